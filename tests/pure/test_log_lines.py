"""A log's reader may be slow, stop, or go away; the supervisor goes on."""

import os
import threading
from collections.abc import Iterator

import pytest

from supervisor.logs.nonblocking import WAITING, LineLogger


class Pipe:
    """A log whose reader is the test."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.stream = os.fdopen(writer, "w")
        self.lines = LineLogger(self.stream)

    def read(self) -> bytes:
        """All that is there, and what comes when there is room again."""
        told = b""
        while True:
            try:
                told += os.read(self.reader, 1 << 20)
            except BlockingIOError:
                return told
            self.lines.flush()

    def close(self) -> None:
        self.stream.close()
        os.close(self.reader)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_a_reader_that_stops_reading_holds_nobody_up(pipe: Pipe) -> None:
    """What does not fit waits, up to a bound; the rest is counted, and what comes out is whole and in order."""
    given = 3 * WAITING
    for number in range(given):
        pipe.lines.msg(f"{number} {'x' * 100}")
    assert pipe.lines.lost > 0
    assert pipe.lines.behind == WAITING
    assert pipe.lines.newly_lost() == 0  # Whom would one tell?
    told = pipe.read().decode().splitlines()
    assert [int(line.split()[0]) for line in told] == list(range(len(told)))
    assert len(told) + pipe.lines.lost == given
    assert pipe.lines.newly_lost() == pipe.lines.lost
    assert pipe.lines.newly_lost() == 0


def test_a_line_longer_than_the_pipe_arrives_whole(pipe: Pipe) -> None:
    """In pieces, as there is room."""
    pipe.lines.msg("x" * 300_000)
    pipe.lines.msg("end")
    assert pipe.read() == b"x" * 300_000 + b"\nend\n"


def test_a_reader_that_went_away_costs_the_lines_only() -> None:
    """And they are counted."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        lines = LineLogger(stream)
        os.close(reader)
        lines.msg("one")
        lines.msg("two")
        assert lines.lost == 2


def test_a_line_that_is_no_text_is_escaped(pipe: Pipe) -> None:
    """A lone surrogate comes from a file name."""
    pipe.lines.msg("a\udcffb")
    assert pipe.read() == b"a\\udcffb\n"


def test_threads_may_log_at_the_same_time() -> None:
    """Each line arrives whole, and nobody's end is a poll that another one is in."""
    reading, writing = os.pipe()
    told: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as source:
            told.extend(source)

    reader = threading.Thread(target=read)
    reader.start()
    failed: list[BaseException] = []
    with os.fdopen(writing, "w") as stream:
        logger = LineLogger(stream)

        def talk(number: int) -> None:
            try:
                for count in range(300):
                    logger.msg(f"{number} {count} " + "x" * 200)
            except BaseException as error:  # noqa: BLE001 - whatever ends a thread
                failed.append(error)

        talkers = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        logger.flush(patience=5)
    reader.join()
    assert failed == []
    assert sorted(line.split()[:2] for line in told) == sorted(
        [str(number).encode(), str(count).encode()] for number in range(8) for count in range(300)
    )
