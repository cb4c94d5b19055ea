"""``dockwarden logs``: times are understood, lines are searched, and after a cut it goes on where it was."""

import argparse
import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from supervisor.cli import logs
from supervisor.cli.logs import fits, moment
from supervisor.cli.main import UnreachableError
from supervisor.logs.timestamps import stamp

NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("10m", NOW - 600),
        ("2h30m", NOW - 9000),
        ("1d", NOW - 86400),
        ("0s", NOW),
        ("1700000000.5", 1_700_000_000.5),
        ("2026-01-02T03:00:00Z", NOW - 245),
        ("2026-01-02T04:00:00+01:00", NOW - 245),
    ],
)
def test_a_time_is_understood(text: str, at: float) -> None:
    assert float(moment(text, lambda: NOW)) == at


def test_a_time_of_day_is_today_s() -> None:
    """By the local clock, as the lines are shown."""
    assert 0 <= float(moment("03:30", lambda: NOW)) % 1800 < 1
    assert abs(float(moment("00:00:01", lambda: NOW)) - NOW) < 86400


@pytest.mark.parametrize("text", ["", "yesterday", "10x", "25:00", "2026-13-01", "m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time"):
        moment(text)


def test_both_kinds_of_lines_are_searched() -> None:
    """What a container wrote; of ours the words, not the numbers."""
    wanted = re.compile("dead|web")
    assert fits({"unit": "web", "text": "all dead"}, wanted)
    assert not fits({"unit": "web", "text": "alive"}, wanted)
    assert fits({"unit": "db", "event": "unit.transition", "reason": "it is dead"}, wanted)
    assert fits({"unit": "web", "event": "unit.transition"}, wanted)
    assert not fits({"event": "engine.back", "seq": "web"}, wanted)


def output(at: int, text: str, box: str = "box") -> dict[str, Any]:
    return {"time": stamp(at), "unit": "web", "container": box, "stream": "stdout", "text": text}


def record(at: int, seq: int) -> dict[str, Any]:
    return {"time": stamp(at), "event": "engine.back", "seq": seq, "reason": f"r{seq}"}


FOLLOWING = {"time": stamp(0), "event": "following"}


class Supervisors:
    """One after the other. Each tells its lines, and is then cut off, or ends."""

    def __init__(self, *lives: list[dict[str, Any]] | None) -> None:
        self.lives = list(lives)
        self.asked: list[dict[str, Any]] = []

    def stream(self, *_path: str, **query: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(query)
        if not self.lives:
            raise KeyboardInterrupt  # The person has seen enough.
        life = self.lives.pop(0)
        if life is None:
            raise UnreachableError("nobody answers")
        yield from life


def told(supervisors: Supervisors, *words: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was printed: texts, and numbers of records."""
    top = argparse.ArgumentParser()
    top.add_argument("--json", action="store_true")
    logs.add_arguments(top)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(logs, "AGAIN", 0.0)
    complaints: list[str] = []

    def complain(error: str, hint: str, code: int) -> int:
        complaints.append(f"{error}; {hint}")
        return code

    with contextlib.suppress(KeyboardInterrupt):
        logs.run(supervisors, top.parse_args(["--json", *words]), complain, UnreachableError)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line.get("text") or str(line["seq"]) for line in lines] + [f"({said})" for said in complaints]


SECOND = 10**9


def test_after_a_cut_it_goes_on_and_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next supervisor counts from 1 again, and tells once more what is not old."""
    at = 1000 * SECOND
    supervisors = Supervisors(
        [output(at, "a"), output(at, "a"), record(at, 8), FOLLOWING, output(at + 1, "b"), output(at + 1, "b")],
        None,
        [
            *(output(at, "a"), output(at, "a"), output(at + 1, "b"), output(at + 1, "b"), output(at + 1, "b")),
            *(record(at, 7), record(at, 8), record(at + 2, 1), FOLLOWING),
            *(output(at + 3, "c"), output(at + 3, "d", "new box")),
        ],
    )
    got = told(supervisors, "-f", monkeypatch=monkeypatch)
    ended = "(the supervisor has ended; waiting for the next one)"
    assert got == ["a", "a", "8", "b", "b", "b", "7", "1", "c", "d", ended]
    assert supervisors.asked[1]["since"] == "990.000000001"
    assert (supervisors.asked[0]["tail"], supervisors.asked[1].get("tail")) == (100, None)


def test_a_supervisor_that_is_not_there_at_first_is_not_waited_for() -> None:
    """Whoever mistypes a directory wants to know."""
    with pytest.raises(UnreachableError), pytest.MonkeyPatch.context() as patch:
        told(Supervisors(None), "-f", monkeypatch=patch)


def test_one_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute; here it is none."""
    monkeypatch.setattr(logs, "AWAY", -1.0)
    with pytest.raises(UnreachableError):
        told(Supervisors([output(SECOND, "a"), FOLLOWING], None), "-f", monkeypatch=monkeypatch)


def test_the_last_lines_are_those_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what there was; what comes is not counted."""
    texts = ["x1", "y", "x2", "x3"]
    lines = [output(number * SECOND, text) for number, text in enumerate(texts, 1)]
    life = [*lines, FOLLOWING, output(9 * SECOND, "x4"), output(10 * SECOND, "y"), output(11 * SECOND, "x5")]
    supervisors = Supervisors(life)
    assert told(supervisors, "-f", "--grep", "x", "--tail", "2", monkeypatch=monkeypatch)[:4] == [
        "x2",
        "x3",
        "x4",
        "x5",
    ]
    assert supervisors.asked[0]["tail"] is None
    assert told(Supervisors(lines), "--grep", "x", "--tail", "2", monkeypatch=monkeypatch) == ["x2", "x3"]


def test_an_end_and_a_follower_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before anybody is asked."""
    supervisors = Supervisors([])
    (said,) = told(supervisors, "-f", "--until", "1m", monkeypatch=monkeypatch)
    assert "exclude each other" in said
    assert supervisors.asked == []
