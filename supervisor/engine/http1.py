"""A parser of HTTP/1.1 responses and of the lines in them, fed with pieces of any size. Pure.

Strict: an engine's answers are simple, and anything else is an error.
"""

from collections.abc import Callable

LONGEST_HEAD = 64 * 1024
LONGEST_LINE = 16 * 1024 * 1024
"""Of an event (a container's labels are part of it). A longer one is skipped, for a replay would bring it again."""

_HEX = b"0123456789abcdefABCDEF"


class WireError(Exception):
    """The peer does not speak HTTP/1.1, or has stopped in the middle."""


class Response:
    """Parses one response from pieces of any size. ``body`` is called with each part of its body."""

    def __init__(self, body: Callable[[bytes], None]) -> None:
        self.status = 0
        """0 until the head is complete."""
        self.done = False
        self.keep_alive = True
        self.begun = False
        self._body = body
        self._buffer = bytearray()
        self._step: Callable[[], bool] = self._head
        self._left = 0
        self._between = False
        """Between two chunks."""

    def feed(self, data: bytes) -> None:
        """Raises WireError."""
        self.begun = True
        if self._between and not self._buffer:
            data = self._whole_chunks(data)
        self._buffer += data
        while not self.done and self._step():
            pass
        if self.done and self._buffer:
            raise WireError("data after the end of the response")

    def end(self) -> None:
        """The peer has closed. Raises WireError when that leaves the response incomplete."""
        if self._step == self._until_end and self.status:
            self.done = True
        if not self.done:
            raise WireError("the connection was cut")

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > LONGEST_HEAD:
                raise WireError("the response header is too long")
            return False
        head = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 4]
        first, _, fields = head.partition("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not (code := rest[:3]).isdecimal():
            raise WireError(f"no status line: {first[:80]!r}")
        if code.startswith("1"):
            return True  # An interim answer; the real one follows.
        self.status = int(code)
        fields = fields.lower()
        self.keep_alive = version == "HTTP/1.1" and "connection: close" not in fields
        if self.status in {204, 304}:
            self.done = True
        else:
            self._choose_framing({name: value.strip() for name, _, value in map(_parted, fields.split("\r\n"))})
        return True

    def _choose_framing(self, headers: dict[str, str]) -> None:
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"] != "chunked":
                raise WireError(f"transfer encoding {headers['transfer-encoding'][:80]!r}")
            self._step, self._between = self._chunk_size, True
        elif "content-length" in headers:
            self._left = _size(headers["content-length"].encode(), 10)
            self._step = self._sized
            self.done = not self._left
        else:
            self._step, self.keep_alive = self._until_end, False

    def _sized(self) -> bool:
        self._pass_on()
        self.done = not self._left
        return False

    def _until_end(self) -> bool:
        self._left = len(self._buffer)
        self._pass_on()
        return False

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._left = _size(line.partition(b";")[0].strip(), 16)
        self._step, self._between = (self._chunk if self._left else self._trailer), False
        return True

    def _chunk(self) -> bool:
        self._pass_on()
        if self._left or len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise WireError("a chunk is longer than its declared size")
        del self._buffer[:2]
        self._step, self._between = self._chunk_size, True
        return True

    def _whole_chunks(self, data: bytes) -> bytes:
        """Pass on the chunks that have come whole, as an event does, and return the rest."""
        start = 0
        while (end := data.find(b"\r\n", start)) > start and not data[start:end].strip(_HEX):
            stop = end + 2 + int(data[start:end], 16)
            if stop == end + 2 or data[stop : stop + 2] != b"\r\n":
                break
            self._body(data[end + 2 : stop])
            start = stop + 2
        return data[start:] if start else data

    def _trailer(self) -> bool:
        line = self._line()
        self.done = line == b""
        return line is not None

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > LONGEST_HEAD:
                raise WireError("a line is too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _pass_on(self) -> None:
        """Hand over what belongs to the present part, complete or not."""
        if part := bytes(self._buffer[: self._left]):
            del self._buffer[: len(part)]
            self._left -= len(part)
            self._body(part)


def _parted(field: str) -> tuple[str, str, str]:
    return field.partition(":")


def _size(digits: bytes, base: int) -> int:
    """Strict: ``int`` alone accepts signs, underscores and ``0x``."""
    allowed = _HEX if base == 16 else b"0123456789"
    if not digits or len(digits) > 16 or digits.strip(allowed):
        raise WireError(f"no size: {digits[:80]!r}")
    return int(digits, base)


class Lines:
    """Splits pieces of any size into lines."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._begun: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends and without empty ones."""
        if not self._length and data.find(b"\n") == len(data) - 1 <= self._longest:
            return [data[:-1]] if data.strip() else []  # One whole line, as an event comes.
        first, *rest = data.split(b"\n")
        self._begin(first)
        if not rest:
            return []
        whole = b"" if self._length > self._longest else b"".join(self._begun)
        self._begun, self._length = [], 0
        self._begin(rest.pop())
        return [line for line in (whole, *rest) if line.strip()]

    def _begin(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= self._longest:
            self._begun.append(piece)
        else:
            self._begun.clear()
