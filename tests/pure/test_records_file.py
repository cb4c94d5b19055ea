"""What happened is still known after a restart of the supervisor; and no disk, however bad, is in anybody's way."""

import asyncio
import errno
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from supervisor.journal import record_file
from supervisor.journal.journal import Journal
from supervisor.journal.record import Record
from supervisor.journal.record_file import BOUND, EACH, PAUSE, RETRY, RecordFile, decode, encode, load, select
from tests.simulation.virtual_loop import run

LOG = structlog.get_logger()


def record(seq: int, unit: str = "web", **said: Any) -> Record:
    return Record(seq=seq, time=1_700_000_000.25 + seq, event="unit.transition", unit=unit, **said)


def journal(*units: str) -> Journal:
    made = Journal(LOG, float)
    for unit in units:
        tell(made, unit)
    return made


def tell(made: Journal, unit: str) -> None:
    made.keep(event="unit.transition", time=1.5, unit=unit, reason="x" * 200)


async def at_once(work: Callable[..., int], *arguments: Any) -> int:
    return work(*arguments)


def write(file: RecordFile) -> None:
    asyncio.run(file.write())


def numbers(records: Sequence[Record]) -> list[int]:
    return [one.seq for one in records]


@given(
    st.builds(
        Record,
        seq=st.integers(1, 10**9),
        time=st.floats(0, 4e9),
        event=st.text(),
        unit=st.text(),
        reason=st.text(),
        exit_code=st.none() | st.integers(0, 255),
        restarts=st.none() | st.integers(0, 9),
        engine_ns=st.integers(0, 2 * 10**18),
        rule=st.text(),
        inputs=st.lists(st.tuples(st.text(), st.text() | st.integers() | st.floats(0, 1e9))).map(
            lambda pairs: (tuple(name for name, _ in pairs), tuple(value for _, value in pairs))
        ),
        decision=st.integers(0, 10**9),
    )
)
def test_a_line_gives_back_its_record(one: Record) -> None:
    """Whatever a unit's name or a reason holds; and no line holds a line end."""
    line = encode(one)
    assert line.count(b"\n") == 1
    assert decode(line.rstrip(b"\n")) == one


@given(st.binary())
def test_what_is_no_line_of_ours_is_no_record(line: bytes) -> None:
    assert decode(line) is None


@pytest.mark.parametrize(
    "text", ["[]", "1", "null", '{"seq":1}', '{"inputs":3,"seq":1,"time":1,"event":"x"}', '{"seq":1,"time":1,"event":']
)
def test_a_checksum_does_not_make_sense_of_nonsense(text: str) -> None:
    assert decode(b"%08x %s" % (zlib.crc32(text.encode()), text.encode())) is None


def test_a_field_that_a_later_version_added_is_left_out() -> None:
    """Who goes back to the version before does not lose its past."""
    text = b'{"seq":1,"time":2.0,"event":"x","mood":"good"}'
    assert decode(b"%08x %s" % (zlib.crc32(text), text)) == Record(1, 2.0, "x")


def test_records_survive_and_a_damaged_tail_is_dropped_and_told(tmp_path: Path) -> None:
    """A power loss leaves half a line; what is before it counts."""
    path = tmp_path / "records"
    assert load(path, LOG) == ()
    made = journal("web", "db")
    file = RecordFile(path, made, LOG, in_thread=at_once)
    write(file)
    tell(made, "web")
    write(file)
    assert load(path, LOG) == tuple(made.records())
    path.write_bytes(path.read_bytes()[:-20])
    with capture_logs() as lines:
        assert numbers(load(path, LOG)) == [1, 2]
    assert [(line["event"], line["lines"], line["kept"]) for line in lines] == [("records.damaged", 1, 2)]


def test_a_record_in_the_middle_that_is_damaged_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "records"
    lines = [encode(record(seq)) for seq in (1, 2, 3, 3, 2, 4)]
    lines[1] = b"\0" * 60 + b"\n"
    path.write_bytes(b"".join(lines))
    assert numbers(load(path, LOG)) == [1, 3, 4]


def test_the_file_is_bounded_and_a_quiet_unit_stays_in_it(tmp_path: Path) -> None:
    """A neighbour that crashes all week does not push out what another one did on Monday."""
    path = tmp_path / "records"
    made = journal(*["quiet"] * 3)
    file = RecordFile(path, made, LOG, in_thread=at_once)
    sizes = []
    for _ in range(60):
        for _ in range(40):
            tell(made, "noisy")
        write(file)
        sizes.append(path.stat().st_size)
    assert max(sizes) <= BOUND
    assert min(sizes[20:]) < max(sizes) - 100_000  # It was written anew at least once.
    kept = load(path, LOG)
    assert kept[-1].seq == made.last
    assert [one.unit for one in kept].count("quiet") == 3
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_chosen_is_the_last_of_each_unit_then_what_is_recent() -> None:
    records = [record(seq, "old") for seq in range(1, 30)] + [record(seq, "new") for seq in range(30, 100)]
    chosen = [decode(line.rstrip(b"\n")) for line in select(records, len(encode(records[0])) * 30)]
    seqs = [one.seq for one in chosen if one is not None]
    assert seqs[:EACH] == list(range(30 - EACH, 30))
    assert seqs == sorted(seqs)
    assert seqs[-1] == 99


def test_a_full_disk_is_told_once_and_all_is_written_when_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records"
    made = journal("web")
    file = RecordFile(path, made, LOG, in_thread=at_once)
    write(file)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with capture_logs() as lines, monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        for _ in range(3):
            tell(made, "web")
            write(file)
    assert [line["event"] for line in lines] == ["records.not-written"]
    assert numbers(load(path, LOG)) == [1]
    tell(made, "web")
    with capture_logs() as lines:
        write(file)
    assert [line["event"] for line in lines] == ["records.written-again"]
    assert load(path, LOG) == tuple(made.records())


def test_the_last_record_before_a_silence_is_written_once_there_is_room(tmp_path: Path) -> None:
    """Nothing has to happen for that: on a quiet host it would be lost with the next kill."""
    path, made, full = tmp_path / "records", journal("web"), [True]

    async def in_thread(work: Callable[..., int], *arguments: Any) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return work(*arguments)

    async def story() -> None:
        file = RecordFile(path, made, LOG, in_thread=in_thread)
        nothing: Any = None
        file.observe(nothing, nothing, nothing)
        await asyncio.sleep(PAUSE + 2 * RETRY)
        full[0] = False
        await asyncio.sleep(2 * RETRY)
        assert load(path, LOG) == tuple(made.records())
        await file.close()

    with capture_logs():
        run(story())


def test_a_file_that_somebody_else_changed_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "records"
    made = journal("web")
    file = RecordFile(path, made, LOG, in_thread=at_once)
    write(file)
    path.write_bytes(path.read_bytes() + b"something else\n")
    for _ in range(2):
        tell(made, "web")
        write(file)
    assert path.read_bytes() == b"".join(map(encode, made.records()))


def test_a_file_that_cannot_be_read_keeps_no_supervisor_from_starting(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    with capture_logs() as lines:
        assert load(tmp_path / "records", LOG) == ()
    assert [line["event"] for line in lines] == ["records.not-read"]


def test_a_storm_is_one_write_and_the_end_writes_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written while the observer looks on."""
    monkeypatch.setattr(record_file, "PAUSE", 0.01)
    path = tmp_path / "records"
    calls: list[int] = []

    async def counted(work: Callable[..., int], *arguments: Any) -> int:
        calls.append(len(arguments[0]))
        written.set()
        return work(*arguments)

    written = asyncio.Event()

    async def scene() -> None:
        made = journal()
        file = RecordFile(path, made, LOG, in_thread=counted)
        for _ in range(50):
            tell(made, "web")
            file.observe(None, None, None)  # type: ignore[arg-type]
        assert calls == []
        await written.wait()
        tell(made, "web")
        file.observe(None, None, None)  # type: ignore[arg-type]
        await file.close()
        await file.close()

    asyncio.run(scene())
    assert calls == [50, 1]
    assert numbers(load(path, LOG)) == list(range(1, 52))


def test_a_record_s_every_field_is_kept() -> None:
    """A field that is new and not carried over would be found here."""
    values: dict[object, Any] = {int: 7, float: 2.5, str: "s", int | None: 8}
    full = Record(**{one.name: values.get(one.type, (("i",), (1,))) for one in fields(Record)})
    assert decode(encode(full).rstrip()) == full
    assert replace(full, unit="other") != full
