"""What engines said, and what we make of it. The sentences and messages were recorded from 20.10.24 and 26.1.5."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.engine import decode, errors
from supervisor.engine.log_stream import LONGEST, LogStream
from supervisor.engine.port import EngineError, EngineInfo, EngineMessage, OutputLine
from supervisor.logs.timestamps import nanoseconds, stamp
from supervisor.runtime.engine_watch import EngineWatch
from supervisor.runtime.loop import Inbox
from units.events import (
    ContainerCreated,
    ContainerDestroyed,
    ContainerDied,
    ContainerKilled,
    ContainerOomed,
    ContainerPaused,
    ContainerStarted,
    ContainerStopped,
    ContainerUnpaused,
    EngineFact,
    HealthReported,
    Observed,
)
from units.health import Health
from units.quantities import Seconds
from units.spec import ContainerId, UnitName, Via
from units.unit import Beyond, Failure, Look

UNIT = UnitName("console")
ID = ContainerId("18667f9dfccf30a8faa19239c1c6b5ff2a524cb1c27af70523f7f68341ac07cb")
LABELS = {"dockwarden.config-hash": "abc", "dockwarden.unit": "console"}


def raw_event(action: str, **attributes: str) -> dict[str, Any]:
    return {
        "status": action,
        "id": ID,
        "from": "busybox:demo",
        "Type": "container",
        "Action": action,
        "Actor": {"ID": ID, "Attributes": {**LABELS, "image": "busybox:demo", "name": "uu", **attributes}},
        "scope": "local",
        "time": 1795489935,
        "timeNano": 1795489935951598660,
    }


@pytest.mark.parametrize(
    ("raw", "fact"),
    [
        (raw_event("create"), ContainerCreated(UNIT, ID, "abc")),
        (raw_event("start"), ContainerStarted(UNIT, ID, at=1795489935.95159866)),
        (raw_event("kill", signal="15"), ContainerKilled(UNIT, ID, 15)),
        (raw_event("kill", signal="SIGKILL"), ContainerKilled(UNIT, ID, 9)),
        (raw_event("kill"), ContainerKilled(UNIT, ID, 0)),
        (raw_event("die", exitCode="137", execDuration="1"), ContainerDied(UNIT, ID, 137)),
        (raw_event("die"), ContainerDied(UNIT, ID, 255)),
        (raw_event("stop"), ContainerStopped(UNIT, ID)),
        (raw_event("pause"), ContainerPaused(UNIT, ID)),
        (raw_event("unpause"), ContainerUnpaused(UNIT, ID)),
        (raw_event("oom"), ContainerOomed(UNIT, ID)),
        (raw_event("destroy"), ContainerDestroyed(UNIT, ID)),
        (raw_event("health_status: healthy"), HealthReported(UNIT, ID, Health.HEALTHY)),
        (raw_event("health_status: unhealthy"), HealthReported(UNIT, ID, Health.UNHEALTHY)),
    ],
    ids=lambda value: value.get("Action") if isinstance(value, dict) else "",
)
def test_an_event_of_ours_is_a_fact(raw: dict[str, Any], fact: EngineFact) -> None:
    heard = decode.event(raw)
    assert (heard.fact, heard.at) == (fact, 1795489935951598660)
    assert heard.kind == raw["Action"].partition(":")[0]


@pytest.mark.parametrize(
    "action",
    [
        *("exec_create: sh -c true", "exec_start: sh -c true", "exec_die", "restart", "rename", "resize"),
        *("health_status: running", "health_status", "no such action", ""),
    ],
)
def test_an_event_that_tells_us_nothing_is_no_fact(action: str) -> None:
    heard = decode.event(raw_event(action))
    assert (heard.fact, heard.kind) == (None, "other")


def test_an_event_of_a_foreign_container_is_no_fact() -> None:
    raw = raw_event("die", exitCode="1")
    del raw["Actor"]["Attributes"]["dockwarden.unit"]
    assert decode.event(raw).fact is None
    network = {"Type": "network", "Action": "connect", "Actor": {"ID": "ab", "Attributes": {"container": ID}}}
    assert decode.event(network) == EngineMessage(None, "other", 0, "connect::ab")


@pytest.mark.parametrize(
    "raw", [None, [], "die", {}, {"Action": "die"}, {"Actor": {"ID": ID}}, {"Action": 1, "Actor": 2}]
)
def test_an_event_that_cannot_be_read_is_a_reason_to_look(raw: Any) -> None:
    """What it told is lost, and may have been a death."""
    assert decode.event(raw).doubt == decode.UNREADABLE_EVENT
    assert decode.event(raw_event("die")).doubt == ""


def test_messages_of_one_nanosecond_are_told_apart() -> None:
    keys = {decode.event(raw_event(action)).key for action in ("start", "die", "health_status: healthy")}
    assert len(keys) == 3


def row(state: str, status: str, **fields: Any) -> dict[str, Any]:
    return {"Id": ID, "Names": ["/uu"], "Labels": LABELS, "State": state, "Status": status, **fields}


def seen(**fields: Any) -> Observed:
    known = {"unit": UNIT, "container": ID, "name": "uu", "config_hash": "abc", "running": False, "created": False}
    return Observed(**{**known, **fields})


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (row("running", "Up 3 minutes"), seen(running=True)),
        (row("running", "Up 3 minutes (healthy)"), seen(running=True, health=Health.HEALTHY)),
        (row("running", "Up 3 minutes (unhealthy)"), seen(running=True, health=Health.UNHEALTHY)),
        (row("running", "Up Less than a second (health: starting)"), seen(running=True, health=Health.STARTING)),
        (row("paused", "Up 2 seconds (Paused)"), seen(running=True, beyond=Beyond.PAUSED)),
        (row("exited", "Exited (137) 2 minutes ago"), seen(exit_code=137)),
        (row("exited", "Exited (0) Less than a second ago"), seen()),
        (row("exited", "Exited (-1) About an hour ago"), seen(exit_code=-1)),
        (row("created", "Created"), seen(created=True)),
        (row("dead", "Dead"), seen(beyond=Beyond.DEAD)),
        (row("restarting", "Restarting (1) 2 seconds ago"), seen(beyond=Beyond.RESTARTING)),
        (row("removing", "Removal In Progress"), seen(beyond=Beyond.REMOVING)),
        (row("running", "Up 1 second", Names=["/taker/alias", "/uu"]), seen(running=True)),
        (row("running", "Up 1 second", Names=None), seen(running=True, name="")),
    ],
    ids=lambda value: value["Status"] if isinstance(value, dict) else "",
)
def test_a_row_of_the_list_tells_state_exit_code_and_health(listed: dict[str, Any], expected: Observed) -> None:
    assert decode.observed(listed) == expected


def test_a_container_without_our_label_is_not_seen() -> None:
    for labels in ({}, None, {"dockwarden.unit": ""}):
        assert decode.observed(row("running", "Up 1 second", Labels=labels)) is None
        assert decode.inspected(inspect({}, {"Labels": labels}), 0.0) is None


OTHER = ContainerId("f" * 64)
CHECK = {"Test": ["CMD", "true"], "Interval": 1000000000}


def inspect(state: dict[str, Any], config: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"Id": ID, "Name": "/uu", "Config": {"Labels": LABELS, **(config or {})}, "State": state}


RUNNING = {"Status": "running", "Running": True, "ExitCode": 0, "StartedAt": "2026-11-24T03:07:04.094603655Z"}
STARTED = 1795489624.094603
EXITED = {
    "Status": "exited",
    "Running": False,
    "OOMKilled": True,
    "ExitCode": 137,
    "StartedAt": "2026-11-24T03:07:04.094603655Z",
    "Health": {"Status": "unhealthy"},
}
CREATED = {"Status": "created", "Running": False, "ExitCode": 127, "StartedAt": "0001-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (inspect(RUNNING), seen(running=True, ran_for=Seconds(60.0))),
        (inspect({**RUNNING, "OOMKilled": True}), seen(running=True, ran_for=Seconds(60.0), oom=True)),
        (
            inspect({**RUNNING, "Health": {"Status": "healthy"}}, {"Healthcheck": CHECK}),
            seen(running=True, ran_for=Seconds(60.0), health=Health.HEALTHY),
        ),
        (inspect({**RUNNING, "Running": True, "StartedAt": "?"}), seen(running=True)),
        (inspect({**RUNNING, "StartedAt": "2037-01-01T00:00:00Z"}), seen(running=True)),
        (inspect(EXITED), seen(exit_code=137, oom=True)),
        (inspect(EXITED, {"Healthcheck": CHECK}), seen(exit_code=137, oom=True, health=Health.STARTING)),
        (inspect(CREATED), seen(created=True, exit_code=127)),
        (inspect(CREATED, {"Healthcheck": CHECK}), seen(created=True, exit_code=127, health=Health.STARTING)),
        (inspect(CREATED, {"Healthcheck": {"Test": ["NONE"]}}), seen(created=True, exit_code=127)),
        (inspect(CREATED, {"Healthcheck": {"Test": []}}), seen(created=True, exit_code=127)),
    ],
)
def test_an_inspect_tells_the_rest(found: dict[str, Any], expected: Observed) -> None:
    told = decode.inspected(found, STARTED + 60)
    assert told is not None
    assert told.ran_for == pytest.approx(expected.ran_for, abs=1e-3)
    assert (told.started > 0) == (told.ran_for > 0 or found["State"]["StartedAt"].startswith("2037"))
    within = 31 if found["Config"].get("Healthcheck") == CHECK else 60
    assert told.look == Look(check_within=Seconds(within))
    assert {**fields(told), **UNTOLD} == {**fields(expected), **UNTOLD}


UNTOLD = {"ran_for": 0, "started": 0, "look": None}


def test_an_inspect_tells_what_a_container_holds_on_to() -> None:
    """Joined containers by id, volumes by name and directories by path, and which places are its own."""
    found = inspect(RUNNING) | {
        "Created": "2026-11-24T03:07:04Z",
        "HostConfig": {
            "NetworkMode": f"container:{OTHER}",
            "PidMode": "host",
            "IpcMode": f"container:{OTHER}",
            "Binds": ["/srv:/data:ro", "cache:/cache"],
            "Mounts": [{"Type": "tmpfs", "Target": "/run"}],
        },
        "Mounts": [
            {
                "Type": "volume",
                "Name": "cache",
                "Source": "/var/lib/docker/volumes/cache/_data",
                "Destination": "/cache",
            },
            {"Type": "bind", "Source": "/srv", "Destination": "/data"},
            {"Type": "bind", "Source": "/media", "Destination": "/media"},
        ],
        "NetworkSettings": {"IPAddress": "172.17.0.2"},
    }
    assert decode.ties(found) == Look(
        holds=((Via.NET, OTHER), (Via.IPC, OTHER)),
        mounts=(("/cache", "cache"), ("/data", "/srv"), ("/media", "/media")),
        own_places=frozenset({"/data", "/cache", "/run"}),
        address="172.17.0.2",
        created=1795489624.0,
    )


def test_odd_ties_are_none() -> None:
    """Whatever an engine puts there, the look goes on."""
    for odd in (None, 7, "x", [7, None], {"a": 1}):
        keys = ("NetworkMode", "PidMode", "IpcMode", "Binds", "Mounts")
        found = {"HostConfig": dict.fromkeys(keys, odd), "Mounts": odd, "NetworkSettings": odd, "Created": odd}
        assert decode.ties(found).holds == ()


def fields(value: Observed) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def test_small_answers() -> None:
    assert decode.owner(inspect(RUNNING)) == UNIT
    assert decode.owner({"Config": {"Labels": None}}) is None
    assert decode.name_of({"Name": "/uu"}) == "uu"
    assert decode.has_terminal({"Config": {"Tty": True}})
    told = {"Version": "26.1.5+dfsg1", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux"}
    assert decode.info(told) == EngineInfo("26.1.5+dfsg1", "1.45", "1.24")
    assert decode.loaded({"stream": "Loaded image: busybox:demo\n"}) == ["busybox:demo"]
    assert decode.loaded({"stream": "Loaded image ID: sha256:ab\n"}) == ["sha256:ab"]
    assert decode.loaded({"status": "Loading layer", "progressDetail": {}}) == []


def test_a_line_may_tell_of_trouble() -> None:
    assert errors.trouble({"errorDetail": {"message": "denied"}, "error": "denied"}) == "denied"
    assert errors.trouble({"error": "denied"}) == "denied"
    assert errors.trouble({"errorDetail": None}) == "an error without a message"
    assert errors.trouble({"status": "Pulling"}) == ""


def test_a_signal_has_a_number() -> None:
    assert [decode.signal_number(text) for text in ("9", "KILL", "SIGKILL", "sigterm", "NOPE", "")] == [
        *(9, 9, 9, 15),
        *(0, 0),
    ]


def test_an_error_is_json_or_text() -> None:
    assert errors.sentence('{"message":"No such image: nope:1"}\n') == "No such image: nope:1"
    assert errors.sentence("client version 1.12 is too old.\n") == "client version 1.12 is too old."
    assert errors.sentence('{"message": 5}') == '{"message": 5}'
    assert errors.sentence("") == ""


TAKEN = 'Conflict. The container name "/aa" is already in use by container "8cc2". You have to remove (or rename) that'


@pytest.mark.parametrize(
    ("what", "status", "message", "expected"),
    [
        ("create", 404, "No such image: nope:1", Failure.IMAGE_MISSING),
        ("create", 409, TAKEN, Failure.NAME_TAKEN),
        ("rename", 409, f"Error when allocating new name: {TAKEN}", Failure.NAME_TAKEN),
        (
            "create",
            400,
            "Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            Failure.UNRECOVERABLE,
        ),
        (
            "create",
            400,
            'invalid mount config for type "bind": bind source path does not exist: /n',
            Failure.ABSENT,
        ),
        ("create", 400, "Unknown runtime specified zz", Failure.UNRECOVERABLE),
        ("create", 500, "json: cannot unmarshal number into Go struct field", Failure.UNRECOVERABLE),
        ("create", 500, "invalid mode: zz", Failure.UNRECOVERABLE),
        ("create", 400, "No such container: nobody", Failure.OTHER),
        ("create", 400, "could not get container for nobody: No such container: nobody", Failure.OTHER),
        ("start", 304, "", Failure.CONFLICT),
        ("start", 404, "No such container: me", Failure.NOT_FOUND),
        ("start", 404, "No such container: 9938c298223c", Failure.OTHER),
        ("start", 404, "network nonet not found", Failure.UNRECOVERABLE),
        ("start", 409, "cannot join network of a non running container: 1739", Failure.CONFLICT),
        ("start", 500, "Cannot link to a non running container: /0123456789ab_db AS /web/db", Failure.STALE),
        ("start", 500, "Cannot link to a non running container: /db AS /web/db", Failure.OTHER),
        ("start", 409, "cannot start a paused container, try unpause instead", Failure.CONFLICT),
        (
            "start",
            400,
            'unable to start container process: exec: "/no": no such file or directory',
            Failure.UNRECOVERABLE,
        ),
        ("start", 500, "unable to find user nobodyhere: no matching entries in passwd file", Failure.UNRECOVERABLE),
        ("start", 500, "failed to initialize logging driver: dial tcp 127.0.0.1:9: refused", Failure.OTHER),
        ("signal", 409, "Cannot kill container: me: Container me is not running", Failure.NOT_RUNNING),
        ("restart", 404, f"Cannot restart container me: No such container: {'f' * 64}", Failure.STALE),
        ("restart", 404, "No such container: me", Failure.NOT_FOUND),
        ("start", 400, "runc create failed: namespace path: lstat /proc/9/ns/ipc: no such file", Failure.CONFLICT),
        ("signal", 409, "cannot kill container: me: container me is not running", Failure.NOT_RUNNING),
        ("signal", 404, "Cannot kill container: me: No such container: me", Failure.NOT_FOUND),
        ("signal", 400, "cannot kill container: me: invalid signal: SIGNOPE", Failure.OTHER),
        ("remove", 409, "removal of container me is already in progress", Failure.CONFLICT),
        ("remove", 404, "No such container: me", Failure.NOT_FOUND),
        ("pull", 404, "manifest for x:1 not found: manifest unknown: manifest unknown", Failure.IMAGE_MISSING),
        ("pull", 400, "invalid reference format: repository name must be lowercase", Failure.UNRECOVERABLE),
        ("pull", 500, 'Get "http://127.0.0.1:5999/v2/": dial tcp: connect: connection refused', Failure.OTHER),
        ("load", 0, "archive/tar: invalid tar header", Failure.OTHER),
        ("list", 400, "client version 1.99 is too new. Maximum supported API version is 1.41", Failure.UNREACHABLE),
    ],
)
def test_a_refusal_has_a_meaning(what: str, status: int, message: str, expected: Failure) -> None:
    assert errors.failure(status, message, what, "me") is expected


KEYS = st.sampled_from(
    [
        *("Action", "Actor", "Attributes", "ID", "Id", "Config", "Labels", "State", "Status", "Names", "Name"),
        *("Healthcheck", "Test", "Health", "StartedAt", "Running", "ExitCode", "exitCode", "timeNano", "signal"),
        *("dockwarden.unit", "message", "stream"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | KEYS, inner, max_size=5),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "read",
    [
        *(decode.event, decode.observed, decode.owner, decode.info, decode.declares_health, decode.loaded),
        errors.trouble,
        *(decode.name_of, decode.has_terminal, lambda found: decode.inspected(found, 1e9)),
        lambda found: errors.sentence(json.dumps(found)),
    ],
)
@given(JSON)
def test_no_shape_is_too_odd(read: Callable[[Any], object], found: Any) -> None:
    read(found)


@given(st.integers(), st.text(), st.text(max_size=6), st.text(max_size=3))
def test_every_refusal_means_something(status: int, message: str, what: str, subject: str) -> None:
    assert errors.failure(status, message, what, subject) in Failure


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@given(st.lists(st.integers(1, 60), max_size=6))
def test_output_comes_in_frames_cut_anywhere(cuts: list[int]) -> None:
    data = frame(1, b"one\ntw") + frame(2, b"oh\n") + frame(1, b"") + frame(1, b"o\r\n\xff") + frame(2, b"end")
    output, lines = LogStream(terminal=False), []
    for cut in (*cuts, len(data)):
        lines += output.feed(data[:cut])
        data = data[cut:]
    assert lines == [OutputLine("stdout", "one"), OutputLine("stderr", "oh"), OutputLine("stdout", "two")]
    assert output.end() == [OutputLine("stdout", "\ufffd"), OutputLine("stderr", "end")]
    assert output.end() == []


STAMP = "2026-01-02T03:04:05.67890123{}Z"
AT = 1767323045678901230


@given(st.lists(st.integers(1, 60), max_size=8))
def test_stamps_are_taken_off_however_the_bytes_come(cuts: list[int]) -> None:
    """Also from the middle of a line that the engine has cut in two; what only looks like a stamp stays."""
    said = [f"{STAMP.format(1)} one\n", f"{STAMP.format(2)} tw", f"{STAMP.format(2)} o\n", f"{STAMP.format(3)} \n"]
    said += [f"{STAMP.format(4)} {STAMP.format(9)} mine\n"]
    data = b"".join(frame(1, text.encode()) for text in said)
    output, lines = LogStream(terminal=False, stamped=True), []
    for cut in (*cuts, len(data)):
        lines += output.feed(data[:cut])
        data = data[cut:]
    assert [(line.text, line.at - AT) for line in lines] == [
        ("one", 1),
        ("two", 2),
        ("", 3),
        (f"{STAMP.format(9)} mine", 4),
    ]


def test_stamps_of_a_terminals_output_stand_at_its_lines() -> None:
    output = LogStream(terminal=True, stamped=True)
    lines = output.feed(f"{STAMP.format(1)} one\r\n{STAMP.format(2)} two\r\nno stamp\r\n".encode())
    assert [(line.text, line.at - AT) for line in lines] == [("one", 1), ("two", 2), ("no stamp", 2)]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T02:00:00.5+02:00", 5 * 10**8),
        ("2026-01-02T03:04:05.678901234Z", 1767323045678901234),
        ("2026-13-02T03:04:05Z", None),
        ("then", None),
    ],
)
def test_a_stamp_is_read_to_the_nanosecond(text: str, at: int | None) -> None:
    assert nanoseconds(text) == at


@given(st.integers(0, 4 * 10**18))
def test_a_stamp_that_is_written_is_read(at: int) -> None:
    assert nanoseconds(stamp(at)) == at


def test_a_terminals_output_is_bare() -> None:
    output = LogStream(terminal=True)
    assert output.feed(b"one\r\ntw") == [OutputLine("stdout", "one")]
    assert output.feed(b"o\n") == [OutputLine("stdout", "two")]


def test_output_without_ends_of_lines_does_not_pile_up() -> None:
    output = LogStream(terminal=True)
    (line,) = output.feed(b"x" * (LONGEST + 1))
    assert len(line.text) == LONGEST
    assert output.end() == [OutputLine("stdout", "x")]


@pytest.mark.parametrize(
    ("asked", "stop_timeout"),
    [(2**63 - 1, 10**9), (10**400, 10**9), (30, 30), (0, 0), (-1, None), ("5", None), (1e300, None), (None, None)],
)
def test_a_stop_timeout_stays_a_whole_number_that_engines_take(asked: object, stop_timeout: int | None) -> None:
    """As a float the largest would be one more than the engine reads."""
    found = decode.portrait({"Id": ID, "Name": "/app", "Config": {"StopTimeout": asked}})
    assert found.stop_timeout == stop_timeout
    assert not isinstance(found.stop_timeout, float)


def test_a_long_name_is_the_same_short_one_wherever_it_is_said() -> None:
    """Stream, list and inspect agree; the name for the engine's own calls stays whole."""
    name = "n" * 400_000
    event = decode.event({"Action": "stop", "Actor": {"ID": ID, "Attributes": {"name": name}}}, by_name=True)
    listed = decode.observed({"Id": ID, "Names": [f"/{name}"]}, by_name=True)
    inspected = decode.inspected({"Id": ID, "Name": f"/{name}"}, 0, by_name=True)
    assert event.fact is not None
    assert listed is not None
    assert inspected is not None
    names = {event.fact.unit, listed.unit, inspected.unit, decode.portrait({"Id": ID, "Name": f"/{name}"}).name}
    assert len(names) == 1
    assert len(names.pop()) == 128
    assert decode.name_of({"Name": f"/{name}"}) == name


@pytest.mark.parametrize("stamp", [10**300, 2**63 - 1, "1" * 4400, float("inf"), -5])
def test_a_stamp_of_the_future_does_not_move_the_next_stream_s_beginning(stamp: Any) -> None:
    """Neither beyond now, nor beyond what an engine can read."""
    asked: list[int | None] = []

    class Once:
        def events(self, since: int | None) -> Any:
            asked.append(since)
            raise EngineError(Failure.UNREACHABLE, "gone")

    watch = EngineWatch(
        cast("Any", Once()),
        Inbox(lambda: 0.0),
        cast("Any", Mock()),
        cast("Any", Mock()),
        period=Seconds(30),
        prepare=cast("Any", None),
        units=dict,
        wall=lambda: 1000.0,
    )
    watch._hear(decode.event({"timeNano": stamp}))
    with pytest.raises(EngineError):
        asyncio.run(watch._listen(EngineInfo("", "", "")))
    assert asked[0] is not None
    assert asked[0] <= 1000 * 10**9
