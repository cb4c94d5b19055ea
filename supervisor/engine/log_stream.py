"""Decodes the engine's framing of container output: the only module that knows it. Pure."""

from collections.abc import Iterable

from supervisor.engine.port import OutputLine
from supervisor.logs.timestamps import nanoseconds

_STREAMS = {1: "stdout", 2: "stderr"}
_HEADER = 8
LONGEST = 1024 * 1024
"""Longer lines are cut into pieces of this many bytes."""


class LogStream:
    """Without a terminal: frames of a byte for the stream, three zeros, four for the length. With one: bare bytes.

    ``stamped``: the engine was asked for time stamps. It puts one before each of its messages, and cuts a line of more
    than 16 KiB into several of those: in a frame that goes on with a line the stamp is no part of the line. With a
    terminal there are no frames, and the stamps within such a line cannot be told from what was written.
    """

    def __init__(self, *, terminal: bool, stamped: bool = False) -> None:
        self._terminal = terminal
        self._stamped = stamped
        self._buffer = bytearray()
        self._begun: dict[str, bytes] = {}
        self._last = 0

    def feed(self, data: bytes) -> list[OutputLine]:
        """The lines that are complete now."""
        lines: list[OutputLine] = []
        for stream, part in [("stdout", data)] if self._terminal else self._frames(data):
            begun = self._begun.get(stream, b"")
            if self._stamped and not self._terminal and begun:
                part = part.partition(b" ")[2]  # noqa: PLW2901 - the stamp of a message that goes on with a line
            *whole, rest = (begun + part).split(b"\n")
            while len(rest) > LONGEST:
                whole.append(rest[:LONGEST])
                rest = rest[LONGEST:]
            self._begun[stream] = rest
            lines += (self._line(stream, text) for text in whole)
        return lines

    def end(self) -> list[OutputLine]:
        """The last line, if it has no end."""
        begun, self._begun = self._begun, {}
        return [self._line(stream, text) for stream, text in begun.items() if text]

    def _frames(self, data: bytes) -> Iterable[tuple[str, bytes]]:
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            end = _HEADER + int.from_bytes(self._buffer[4:_HEADER], "big")
            if len(self._buffer) < end:
                return
            yield _STREAMS.get(self._buffer[0], "stdout"), bytes(self._buffer[_HEADER:end])
            del self._buffer[:end]

    def _line(self, stream: str, text: bytes) -> OutputLine:
        if self._stamped:
            stamp, _, rest = text.partition(b" ")
            at = nanoseconds(stamp.decode(errors="replace"))
            if (
                at is not None
            ):  # Else the rest of a line that was cut into pieces: they all have the stamp of the first.
                self._last, text = at, rest
        return OutputLine(stream, text.removesuffix(b"\r").decode(errors="replace"), self._last)
