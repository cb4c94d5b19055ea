"""Reads what a container wrote out of the engine's framing: the only place that knows it. Pure."""

from collections.abc import Iterable

from supervisor.engine import OutputLine

_STREAMS = {1: "stdout", 2: "stderr"}
_HEADER = 8
LONGEST = 1024 * 1024
"""A program need not write lines at all: longer ones come in pieces of this many bytes."""


class Output:
    """Without a terminal: frames of a byte for the stream, three zeros, four for the length. With one: bare bytes."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._buffer = bytearray()
        self._begun: dict[str, bytes] = {}

    def feed(self, data: bytes) -> list[OutputLine]:
        """The lines that are complete now."""
        lines: list[OutputLine] = []
        for stream, part in [("stdout", data)] if self._terminal else self._frames(data):
            *whole, rest = (self._begun.get(stream, b"") + part).split(b"\n")
            while len(rest) > LONGEST:
                whole.append(rest[:LONGEST])
                rest = rest[LONGEST:]
            self._begun[stream] = rest
            lines += (_line(stream, text) for text in whole)
        return lines

    def end(self) -> list[OutputLine]:
        """What was begun and never ended."""
        begun, self._begun = self._begun, {}
        return [_line(stream, text) for stream, text in begun.items() if text]

    def _frames(self, data: bytes) -> Iterable[tuple[str, bytes]]:
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            end = _HEADER + int.from_bytes(self._buffer[4:_HEADER], "big")
            if len(self._buffer) < end:
                return
            yield _STREAMS.get(self._buffer[0], "stdout"), bytes(self._buffer[_HEADER:end])
            del self._buffer[:end]


def _line(stream: str, text: bytes) -> OutputLine:
    return OutputLine(stream, text.removesuffix(b"\r").decode(errors="replace"))
