"""The doctor's table: total, stable, and each row says what its fact means and nothing else."""

import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli.doctor.checks import TABLE
from supervisor.cli.doctor.checks import examine as judge
from supervisor.cli.doctor.facts import (
    ConfigFacts,
    ConfigProblem,
    DirectoryFacts,
    EngineFacts,
    Facts,
    HostFacts,
    Severity,
    StateFacts,
    SupervisorFacts,
)
from supervisor.cli.doctor.host_facts import cgroup_facts
from supervisor.cli.doctor.supervisor_facts import is_supervisor
from supervisor.http.client import BudgetClient, UnansweredError
from supervisor.http.reach import Reach
from supervisor.logs.timestamps import started
from tests.bed.engines import REPOSITORY

NOW = 1_767_225_600.0
ID = "a" * 64
GIB = 1 << 30


def container(name: str = "web", *, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """As an inspect shows a sound one."""
    host = {"NetworkMode": "bridge", "RestartPolicy": {"Name": "no"}, "LogConfig": {"Type": "local", "Config": {}}}
    return {
        "Id": more.pop("Id", ID),
        "Name": f"/{name}",
        "Config": {"Image": more.pop("image", "busybox:1"), "Labels": labels or {}},
        "State": {"Running": more.pop("running", True)},
        "HostConfig": {**host, **more.pop("host", {})},
        "started": more.pop("started", NOW - 100),
    }


ENGINE = EngineFacts(
    "unix:///run/docker.sock",
    Reach.SERVES,
    version={"ApiVersion": "1.45", "MinAPIVersion": "1.24"},
    info={"LiveRestoreEnabled": True, "Driver": "overlay2"},
    containers=(container(),),
    ahead=0.0,
)
SUPERVISOR = SupervisorFacts(
    "/run/dockwarden",
    Reach.SERVES,
    pid=7,
    held=True,
    pid_lives=True,
    own_version="1",
    status={"supervisor": {"version": "1"}, "engine": {"url": ENGINE.url, "up": True}, "units": [{"name": "web"}]},
    others=((7, "dockwarden boot"),),
    files=65536,
)
DIRECTORY = DirectoryFacts(
    "run directory", "/run/d", exists=True, free=50 * GIB, size=100 * GIB, files=10, files_free=9
)
SOUND = Facts(
    ENGINE,
    SUPERVISOR,
    HostFacts(NOW, synchronised=True, forwards=True),
    (DIRECTORY,),
    StateFacts("/state"),
    ConfigFacts(),
)


def engine(**facts: Any) -> Callable[[], Facts]:
    return lambda: replace(SOUND, engine=replace(ENGINE, **facts))


def holds(**one: Any) -> Callable[[], Facts]:
    return engine(containers=(container(**one),))


def silent(reach: Reach) -> Callable[[], Facts]:
    return lambda: replace(SOUND, engine=EngineFacts(ENGINE.url, reach, "said"))


def supervisor(**facts: Any) -> Callable[[], Facts]:
    return lambda: replace(SOUND, supervisor=replace(SUPERVISOR, **facts))


def unit(**shown: Any) -> Callable[[], Facts]:
    return supervisor(status={**SUPERVISOR.status, "units": [{"name": "web", **shown}]})


def directory(**facts: Any) -> Callable[[], Facts]:
    return lambda: replace(SOUND, directories=(replace(DIRECTORY, **facts),))


def host(**facts: Any) -> Callable[[], Facts]:
    return lambda: replace(SOUND, host=replace(SOUND.host, **facts))


def config(*problems: str) -> Callable[[], Facts]:
    return lambda: replace(SOUND, config=ConfigFacts(tuple(ConfigProblem("f:1", text) for text in problems)))


CASES: dict[str, Callable[[], Facts]] = {
    "DW-E01": silent(Reach.MISSING),
    "DW-E02": silent(Reach.NO_SOCKET),
    "DW-E03": silent(Reach.DENIED),
    "DW-E04": silent(Reach.REFUSED),
    "DW-E05": silent(Reach.HANGS),
    "DW-E06": silent(Reach.NONSENSE),
    "DW-E07": silent(Reach.NO_URL),
    "DW-E08": engine(version={"ApiVersion": "1.40", "MinAPIVersion": "1.12"}),
    "DW-E09": engine(mute=("stuck",)),
    "DW-E10": host(dockerd=None, boots_engine=True),
    "DW-E11": engine(info={"LiveRestoreEnabled": False}, containers=(container(labels={"dockwarden.unit": "web"}),)),
    "DW-E12": holds(host={"LogConfig": {"Type": "json-file", "Config": {"max-file": "2"}}}),
    "DW-E13": engine(info={"Driver": "vfs"}),
    "DW-E14": engine(info={"Warnings": ["WARNING: No swap limit support"]}),
    "DW-E15": engine(barred=("/info", "/volumes")),
    "DW-E16": engine(
        version={"Version": "29.5.0", "ApiVersion": "1.54", "Components": [{"Name": "runc", "Version": "1.1.5"}]}
    ),
    "DW-S01": supervisor(reach=Reach.REFUSED, held=False, pid_lives=False, status={}),
    "DW-S02": supervisor(reach=Reach.HANGS, status={}),
    "DW-S03": supervisor(reach=Reach.DENIED, held=None, status={}),
    "DW-S04": supervisor(reach=Reach.NO_SOCKET, status={}),
    "DW-S05": supervisor(others=((7, "dockwarden boot"), (8, "dockwarden boot --log-level debug"))),
    "DW-S06": supervisor(pid_lives=False, reach=Reach.REFUSED, status={}),
    "DW-S07": supervisor(status={"engine": {"url": ENGINE.url, "up": False}}),
    "DW-S08": supervisor(mode=0o666),
    "DW-S09": supervisor(own_version="2"),
    "DW-S10": supervisor(files=256),
    "DW-S11": supervisor(status={"supervisor": {"troubles": [{"of": "state", "reason": "cannot write /state"}]}}),
    "DW-D01": directory(exists=False, size=0),
    "DW-D02": directory(is_directory=False),
    "DW-D03": directory(writable=False),
    "DW-D04": directory(free=1),
    "DW-D05": directory(free=2 * GIB // 4, size=10 * GIB),
    "DW-D06": directory(files=1000, files_free=3),
    "DW-D07": lambda: replace(SOUND, state=StateFacts("/state", "the checksum does not match")),
    "DW-D08": lambda: replace(SOUND, state=StateFacts("/state", set_aside=("state.json.corrupt-1",))),
    "DW-T01": host(synchronised=False),
    "DW-T02": engine(ahead=-7200.0),
    "DW-T03": holds(started=NOW + 3600),
    "DW-K01": host(cgroup="none", controllers=frozenset()),
    "DW-K02": host(controllers=frozenset({"cpu"})),
    "DW-K03": host(cgroup="hybrid"),
    "DW-K04": lambda: replace(engine(info={"Driver": "btrfs"})(), host=replace(SOUND.host, overlay=False)),
    "DW-K05": host(forwards=False),
    "DW-C01": holds(labels={"dockwarden.enabel": "true"}),
    "DW-C02": holds(labels={"dockwarden.unit": "web"}, host={"RestartPolicy": {"Name": "always"}}),
    "DW-C03": holds(image="willfarrell/autoheal:1.2.0"),
    "DW-C04": holds(host={"NetworkMode": f"container:{'b' * 64}"}),
    "DW-C05": engine(
        containers=(
            container("vpn", started=NOW - 10),
            container("friend", Id="c" * 64, host={"NetworkMode": f"container:{ID}"}),
        )
    ),
    "DW-C06": holds(host={"Links": ["/gone:/web/gone"]}),
    "DW-C07": holds(name="0123456789ab_web"),
    "DW-C08": engine(unnamed_volumes=("d" * 64,)),
    "DW-U01": unit(state="crash-loop"),
    "DW-U02": unit(flapping=True, health="unhealthy"),
    "DW-U03": unit(health="unhealthy"),
    "DW-F01": config("rancher.services.web.imgae: unknown key"),
    "DW-F02": config("rancher.services.a: cycle: a -> b -> a; break one of these edges"),
    "DW-F03": config("rancher.services.a: link: there is no unit 'b'"),
    "DW-F04": lambda: replace(SOUND, config=ConfigFacts(warnings=(ConfigProblem("f:1", "not acted on"),))),
}


@pytest.mark.parametrize(
    ("docker", "runc"), [("29.5.0", "1.2.0"), ("29.4.9", "1.1.5"), ("28.5.2", "1.1.5"), ("29.10.0", "1.10.1")]
)
def test_a_runc_that_serves_is_no_finding(docker: str, runc: str) -> None:
    parts = [{"Name": "runc", "Version": runc}, {"Name": "Engine"}, None]
    assert judge(engine(version={"Version": docker, "ApiVersion": "1.54", "Components": parts})()) == []


def test_the_first_cgroup_hierarchy_is_told_once() -> None:
    """The engine warns of it, too."""
    warned = engine(info={"Warnings": ["WARNING: Support for cgroup v1 is deprecated and planned to be removed"]})()
    told = judge(replace(warned, host=replace(SOUND.host, cgroup="v1")))
    assert [one.id for one in told] == ["DW-K03"]


def test_a_sound_host_has_no_findings() -> None:
    """Not a note: what is always said is read by nobody."""
    assert judge(SOUND) == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_a_fact_leads_to_its_own_finding_only(row: Any) -> None:
    """Every row can be reached, and nothing else speaks then."""
    found = judge(CASES[row.id]())
    assert [(one.id, one.severity) for one in found] == [(row.id, row.severity)]
    assert all((one.title, one.place, one.what, one.fix) for one in found)
    assert found[0].place
    assert found[0].fix


def test_a_supervisor_in_a_pid_namespace_of_its_own_is_no_finding() -> None:
    """It answers; that neither its process nor its state directory are to be seen from here says nothing."""
    away = DirectoryFacts("state directory", "/s", exists=False, free=0, size=0, files=0, files_free=0)
    far = replace(SOUND, supervisor=replace(SUPERVISOR, pid_lives=False), directories=(DIRECTORY, away))
    assert judge(far) == []


def test_ids_are_unique_and_well_formed() -> None:
    """An id is one letter for what it is about, and two digits."""
    ids = [row.id for row in TABLE]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"DW-[ESDTKCUF]\d\d", one) for one in ids)
    assert set(CASES) == set(ids)


def test_the_reference_lists_the_table() -> None:
    """Id, severity, title and way out: what a person reads there is what the program says."""
    page = (REPOSITORY / "docs/reference/doctor.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith("| `DW-")]
    wanted = [f"| `{row.id}` | {row.severity} | {row.title} | {row.fix.replace('|', chr(92) + '|')} |" for row in TABLE]
    assert sorted(listed) == sorted(wanted)


def test_the_worst_comes_first() -> None:
    """Errors, warnings, notes."""
    facts = replace(host(cgroup="v1", controllers=frozenset({"memory"}))(), engine=silent(Reach.HANGS)().engine)
    assert [one.severity for one in judge(facts)] == [Severity.ERROR, Severity.WARNING, Severity.NOTE]


def test_a_mistyped_label_is_told_its_neighbour() -> None:
    """The nearest known one is the way out."""
    assert "dockwarden.enable" in judge(CASES["DW-C01"]())[0].fix


def test_a_cut_off_replacement_says_how_to_put_it_back() -> None:
    """Where the new one is not there, the old one's name is given back to it."""
    assert judge(CASES["DW-C07"]())[0].fix == "docker rename 0123456789ab_web web && docker start web"


@pytest.mark.parametrize("reach", [Reach.HANGS, Reach.NO_SOCKET, Reach.MISSING, Reach.REFUSED, Reach.NONSENSE])
def test_a_socket_is_told_by_what_it_does(tmp_path: Path, reach: Reach) -> None:
    """Each way not to answer has its own name, and none is waited for longer than was said."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        match reach:
            case Reach.HANGS:
                listener.bind(str(path))
                listener.listen()
            case Reach.NO_SOCKET:
                path.mkdir()
            case Reach.REFUSED:
                listener.bind(str(path))
            case Reach.NONSENSE:
                path.symlink_to(path)
            case _:
                pass
        with pytest.raises(UnansweredError) as caught:
            BudgetClient(path).raw("/_ping", 0.05)
    assert caught.value.reach is reach


def test_the_budget_of_all_calls_together_is_kept() -> None:
    """On any kind of socket: when it is spent, the next call does not even connect."""
    for address in (Path("/nowhere/s"), ("127.0.0.1", 1)):
        with pytest.raises(UnansweredError) as caught:
            BudgetClient(address, 0.0).raw("/metrics")
        assert caught.value.reach is Reach.HANGS
    with pytest.raises(UnansweredError) as caught:
        BudgetClient(("127.0.0.1", 1)).raw("/metrics")
    assert caught.value.reach is Reach.REFUSED


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00.25+01:00", 60.25),
        ("0001-01-01T00:00:00Z", 0.0),
        ("soon", 0.0),
    ],
)
def test_an_engines_stamp_is_a_moment(stamp: str, at: float) -> None:
    """With any zone; none, and nonsense, are 0."""
    assert started(stamp) == at


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "v2"),
        ("31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory", "v1"),
        ("31 30 0:27 / /m rw - cgroup cgroup rw,memory\n32 30 0:28 / /u rw - cgroup2 cgroup2 rw", "hybrid"),
        ("32 30 0:28 / /u rw - cgroup2 c rw\n33 1 0:29 / /s rw - cgroup c rw,name=systemd", "v2"),
        ("", "none"),
    ],
)
def test_the_kind_of_cgroups_is_told_by_its_mounts(mounts: str, kind: str) -> None:
    """A hierarchy without controllers, as systemd mounts one, makes no hybrid."""
    assert cgroup_facts(mounts, "memory\t5\t80\t1\npids\t6\t80\t1\n")[0] == kind


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("/opt/dockwarden/bin/python /opt/dockwarden/bin/dockwarden boot --images /i", True),
        ("/opt/dockwarden/bin/python -P -OO -m supervisor boot --images /i", True),
        ("python3 -m supervisor --run-dir /r watch --all", True),
        ("dockwarden watch", True),
        ("/opt/dockwarden/bin/python /opt/dockwarden/bin/dockwarden status", False),
        ("python -m hooks.child 7 boot", False),
        ("vim boot", False),
        ("", False),
    ],
)
def test_a_supervisor_is_known_by_its_command_line(line: str, is_one: bool) -> None:
    """Also as its unit file starts it."""
    assert is_supervisor(line.split()) is is_one
