"""The page of ``why``: readable at night, in 80 columns, each moment once, and nothing of it steers a terminal."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.views.text import Screen
from supervisor.views.why_blocks import ALIKE, blocks, fold, headline, inputs_in_words
from supervisor.views.why_text import show
from units import events as fact
from units import switch_events
from units.words import FACTS, duration, fact_in_words

UNIT: dict[str, Any] = {
    "name": "web",
    "state": "backoff",
    "since": "2026-01-01T00:00:00Z",
    "reason": "exit code 1",
    "restarts": 1,
    "exit_code": 1,
    "container_id": "c" * 64,
    "health": "none",
}


def answer(*chain: dict[str, Any], **more: Any) -> dict[str, Any]:
    said = {"unit": UNIT, "meaning": "dead", "next": "it is started again", "next_try": None, "chain": chain}
    return said | more


def record(taken: int, event: str = "unit.transition", unit: str = "web", **said: Any) -> dict[str, Any]:
    stamp = f"2026-01-01T00:{taken // 60 % 60:02}:{taken % 60:02}Z"
    return {"event": event, "unit": unit, "taken": taken, "time": stamp, **said}


def page(told: dict[str, Any]) -> str:
    stream = io.StringIO()
    show(Screen(stream, {}), told)
    return stream.getvalue()


def test_what_one_fact_led_to_stands_together_under_its_unit() -> None:
    """The peer's part comes under the peer's name, and the unit's own under its own."""
    died = {"fact": "ContainerDied exit_code=137 of vpn", "engine_time": "2026-01-01T00:00:07Z"}
    told = page(
        answer(
            record(7, unit="vpn", before="ready", after="starting", reason="exit code 137", **died),
            record(7, "unit.decision", rule="relink.net", outcome="stop it", inputs={"tie": "net of vpn"}, **died),
            record(7, before="ready", after="stopping", reason="vpn restarted", **died),
            record(9, fact="ContainerStarted", before="stopping", after="ready", restarts=1, restart="relink"),
        )
    )
    assert re.search(r"vpn: died \(exit code 137\)\s+\[engine ", told)
    assert re.search(
        r"            vpn:\n              ready -> starting: .*\n"
        r"            web:\n              decided relink.net: stop it\n                 from tie net of vpn\n",
        told,
    )
    assert "stopping -> ready (restart 1: relink)" in told
    assert told.count("died") == 1


def test_what_a_host_and_a_switch_say_is_told_in_words() -> None:
    told = page(
        answer(
            record(1, "engine.lost", unit="", reason="cut"),
            record(2, "switch.step", unit="console", rule="switch.proving", reason="user Docker is being started"),
        )
    )
    assert "the engine was lost: cut" in told
    assert "switch.proving  user Docker is being started" in told


def test_a_unit_that_is_down_has_its_last_words_and_one_that_waits_those_ahead_of_it() -> None:
    ahead = {"unit": "db", "state": "failed", "reason": "no space"}
    told = page(answer(output=["no such \x1b[31mdevice"], waits_for=[ahead], earlier=4))
    assert "  output   no such ?[31mdevice\n" in told
    assert "  waits    db is failed: no space\n" in told
    assert "No events recorded for it" in told


def rounds(count: int) -> list[dict[str, Any]]:
    made = []
    for i in range(count):
        made.append(record(2 * i, fact="ContainerDied exit_code=1", before="ready", after="backoff", exit_code=1))
        made.append(record(2 * i + 1, fact="RetryDue", before="backoff", after="ready"))
    return made


@pytest.mark.parametrize("count", [1, ALIKE, ALIKE + 1, 30])
def test_rounds_that_look_alike_are_told_once_and_none_is_lost(count: int) -> None:
    """The first and the last of many, and how many lie between."""
    told = list(fold(list(blocks(rounds(count)))))
    left_out = sum(times for _, times in told)
    assert len(told) + 2 * left_out == 2 * count
    assert left_out == (count - 2 if count > ALIKE else 0)
    assert told[-1][0][0]["taken"] == 2 * count - 1


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_folding_keeps_the_order_and_the_ends(letters: list[str]) -> None:
    """Whatever comes again: what is shown is in order, and the first and the last are shown."""
    chain = [record(i, fact=letter, before=letter, after=letter) for i, letter in enumerate(letters)]
    told = [block[0]["taken"] for block, _ in fold(list(blocks(chain)))]
    assert told == sorted(set(told))
    assert told[:1] == [0][: len(letters)]
    assert told[-1:] == [len(letters) - 1][: len(letters)]


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.floats(0, 1e9)))
def test_no_name_and_no_reason_steers_a_terminal(name: str, reason: str, inputs: dict[str, Any]) -> None:
    chain = (
        record(1, "unit.decision", unit=name, rule="restart.backoff", outcome=reason, inputs=inputs, fact=reason),
        record(1, unit=name, before=reason, after=reason, reason=reason, fact=reason),
    )
    told = page(answer(*chain, unit=UNIT | {"name": name, "reason": reason}))
    assert all(char.isprintable() or char == "\n" for char in told)


def test_a_line_fits_eighty_columns() -> None:
    long = "word " * 60
    told = page(answer(record(1, fact="ContainerDied", before="ready", after="backoff", reason=long), next=long))
    assert max(map(len, told.splitlines())) <= 80


def test_inputs_are_said_in_the_order_in_which_one_wants_to_know() -> None:
    inputs = {
        "ran_for": 0.5,
        "good_run": 10.0,
        "exit_code": 3,
        "policy": "always",
        "failures": 2,
        "restarts": 1,
        "burst": 5,
        "interval": 60.0,
        "base_delay": 0.2,
        "jitter": 0.25,
        "drawn": 0.4,
        "delay": 0.19,
    }
    assert inputs_in_words(inputs) == (
        "ran for 0.5 s (a good run: 10 s); exit code 3; failure 2 in a row; 1 restart in 60 s (limit 5); "
        "delay 0.2 s, with jitter 0.19 s; policy always"
    )
    assert inputs_in_words({"ran_for": "unknown", "good_run": 100.0}) == "ran for unknown (a good run: 1 min 40 s)"


def test_the_words_are_those_of_facts_that_there_are() -> None:
    """A fact that was renamed would be told by its old name for ever."""
    assert [name for name in FACTS if not (hasattr(fact, name) or hasattr(switch_events, name))] == []
    assert headline([record(1, fact="SomethingNew x=1")], "web") == "SomethingNew (x 1)"


@pytest.mark.parametrize(
    ("fact_of_record", "words"),
    [
        ("ContainerDied exit_code=137 oom of vpn", "vpn: died (exit code 137, OOM)"),
        ("RestartAsked", "restart requested"),
        ("SnapshotTaken trigger=connect containers=3", "snapshot taken (trigger connect, containers 3)"),
        ("HealthReported check=a output=out of token=x", "health reported (check a, output out of token=x)"),
    ],
)
def test_a_fact_is_said_in_words(fact_of_record: str, words: str) -> None:
    """Free text stays as it is, so that a secret in it is still found by its name."""
    assert fact_in_words(fact_of_record) == words


def test_a_duration_is_rounded_and_has_its_units() -> None:
    spans = (0.1234, 45, 60, 61, 300, 1800, 187200)
    assert [duration(span) for span in spans] == ["0.123 s", "45 s", "60 s", "1 min 1 s", "5 min", "30 min", "2 d 4 h"]
