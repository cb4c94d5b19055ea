"""Where log lines can go besides standard output: a file that is rotated, journald, syslog. Loaded only for these.

None of them may hold up the supervisor: a disk that hangs is waited for by a thread, a daemon that does not read by
nobody. What does not fit into the queue is lost, counted, and told when somebody can be told again.
"""

import array
import contextlib
import errno
import fcntl
import os
import re
import select
import socket
import stat
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from supervisor.logs.formats import Line, for_journald, for_syslog
from supervisor.logs.target import Target
from supervisor.os_errors import why
from units.records import dataclass

JOURNALD = "/run/systemd/journal/socket"
SYSLOG = "/dev/log"
WAITING = 2048
"""Lines that wait for a target."""
SMALLEST = 4096
"""Bytes: a file that is rotated after each line helps nobody."""
SIZE, KEEP = 10 << 20, 5
"""Of a file, when nothing else is said."""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_OPTION = re.compile(r",(size=(?P<size>\d{1,12})(?P<unit>[KMG]?)|keep=(?P<keep>\d{1,3}))$")


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """One ``--log-target``."""

    kind: str
    """``stdout``, ``file``, ``journald``, ``syslog``."""
    path: str = ""
    size: int = SIZE
    """Bytes after which a file is put aside."""
    keep: int = KEEP
    """How many older files are kept."""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.path}" if self.path else self.kind


def parse(texts: list[str]) -> tuple[TargetSpec, ...]:
    """``stdout``, ``file:PATH[,size=10M][,keep=5]``, ``journald[:SOCKET]``, ``syslog[:SOCKET]``.

    Raises:
        ValueError: names what is wrong, and what would be right.
    """
    wanted = tuple(map(_parsed, texts))
    names = [one.name for one in wanted]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--log-target: {twice} is given twice")
    return wanted


def _parsed(text: str) -> TargetSpec:
    kind, colon, rest = text.partition(":")
    match kind:
        case "stdout" if not colon:
            return TargetSpec(kind)
        case "file" if rest:
            return _file(text, rest)
        case "journald" | "syslog" if rest or not colon:
            return TargetSpec(kind, rest)
        case _:
            raise ValueError(
                f"--log-target {text[:200]}: expected stdout, file:PATH[,size=10M][,keep=5], journald or syslog"
            )


def _file(text: str, path: str) -> TargetSpec:
    size, keep = SIZE, KEEP
    while found := _OPTION.search(path):
        path = path[: found.start()]
        if found["size"]:
            size = int(found["size"]) * _UNITS[found["unit"]]
        else:
            keep = int(found["keep"])
    if not path or size < SMALLEST or keep < 1:
        raise ValueError(f"--log-target {text[:200]}: a file needs a path, size={SMALLEST} or more, keep=1 or more")
    return TargetSpec("file", path, size, keep)


def made(wanted: TargetSpec, render: Callable[[Line], str]) -> Target:
    """``render`` is how a line looks in a file."""
    match wanted.kind:
        case "file":
            return FileTarget(wanted.name, LogFile(Path(wanted.path), wanted.size, wanted.keep), render)
        case "journald":
            return Datagrams(wanted.name, wanted.path or JOURNALD, for_journald)
        case _:
            host, pid = socket.gethostname(), os.getpid()
            return Datagrams(wanted.name, wanted.path or SYSLOG, lambda line: for_syslog(line, host, pid))


class LogFile:
    """A file and its older ones: ``path.1`` is the youngest of them. Used by one thread."""

    def __init__(self, path: Path, size: int, keep: int) -> None:
        self._path = path
        self._size = size
        self._keep = keep
        self._fd = -1

    def write(self, line: bytes) -> None:
        """All of it or, on OSError, nothing."""
        if self._fd < 0:
            # Non-blocking, for a FIFO without a reader would keep us here.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            self._fd = os.open(self._path, flags, 0o640)
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            os.write(self._fd, line)
            return
        if found.st_size and found.st_size + len(line) > self._size and self._put_aside():
            self.write(line)
            return
        try:
            whole = os.write(self._fd, line) == len(line)
        except OSError:
            whole = False
            raise
        finally:
            if not whole:
                # Ours alone, by the run directory's lock: what is after the old end is the first half of this line.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, found.st_size)
        if not whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """The next line opens it again, by its name."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _put_aside(self) -> bool:
        """Whether it worked. If not, the file grows: a line that can be written is worth more than a bound."""
        names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._keep + 1))]
        try:
            for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
                with contextlib.suppress(FileNotFoundError):
                    newer.replace(older)
        except OSError:
            return False
        self.close()
        return True


class FileTarget:
    """Lines wait for a thread, for a disk may take for ever."""

    def __init__(self, name: str, file: LogFile, render: Callable[[Line], str]) -> None:
        self.name = name
        self.trouble = ""
        self._file = file
        self._render = render
        self._waiting: deque[bytes] = deque()
        self._news = threading.Condition()
        self._writing = False
        self._reopen = False
        self._lost = 0
        self._thread: threading.Thread | None = None

    def tell(self, line: Line) -> None:
        text = self._render(line).encode(errors="backslashreplace") + b"\n"
        with self._news:
            if len(self._waiting) >= WAITING:
                self._lost += 1
                return
            self._waiting.append(text)
            self._news.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"log-{self.name}", daemon=True)
                self._thread.start()

    def flush(self, patience: float = 0.0) -> None:
        with self._news:
            self._news.wait_for(lambda: not self._waiting and not self._writing, patience)

    @property
    def behind(self) -> int:
        """Nothing that would be written sooner for being asked."""
        return 0

    def newly_lost(self) -> int:
        with self._news:
            lost, self._lost = self._lost, 0
            return lost

    def reopen(self) -> None:
        with self._news:
            self._reopen = True

    def _run(self) -> None:
        while True:
            with self._news:
                self._writing = False
                self._news.notify_all()
                self._news.wait_for(lambda: self._waiting)
                text, reopen = self._waiting.popleft(), self._reopen
                self._writing, self._reopen = True, False
            if reopen:
                self._file.close()
            try:
                self._file.write(text)
            except OSError as error:
                self._file.close()
                with self._news:
                    self._lost += 1
                self.trouble = why(error)
            else:
                self.trouble = ""


class Datagrams:
    """One datagram for each line, to a daemon's socket. While nobody listens there, the first lines wait."""

    def __init__(self, name: str, path: str, encode: Callable[[Line], bytes]) -> None:
        self.name = name
        self.trouble = ""
        self._path = path
        self._encode = encode
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._socket: socket.socket | None = None

    def tell(self, line: Line) -> None:
        if len(self._waiting) >= WAITING:
            self._lost += 1
            return
        self._waiting.append(self._encode(line))
        if not self.trouble:
            self.flush()

    def flush(self, patience: float = 0.0) -> None:
        """In trouble, only this tries again: a connect for each line would cost more than the line."""
        try:
            while self._waiting:
                self._send(self._waiting[0], patience)
                self._waiting.popleft()
        except BlockingIOError:
            self.trouble = ""  # It listens, and is busy.
        except OSError as error:
            self.reopen()
            self.trouble = f"{self._path}: {why(error)}"
        else:
            self.trouble = ""

    @property
    def behind(self) -> int:
        return len(self._waiting)

    def newly_lost(self) -> int:
        if self._waiting:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def reopen(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: bytes, patience: float) -> None:
        if self._socket is None:
            self._socket = self._connected()
        try:
            self._sent(self._socket, message, patience)
        except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            # The daemon was started anew, and its socket is another one of the same name.
            self.reopen()
            self._socket = self._connected()
            self._sent(self._socket, message, patience)

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        return made

    def _sent(self, out: socket.socket, message: bytes, patience: float) -> None:
        if patience:
            poll = select.poll()
            poll.register(out, select.POLLOUT)
            poll.poll(patience * 1000)
        try:
            out.send(message)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._lost += not _sent_as_file(out, message)


def _sent_as_file(out: socket.socket, message: bytes) -> bool:
    """How journald takes what is too long for a datagram: as a sealed memory file (the end of its native protocol)."""
    fd = os.memfd_create("dockwarden-line", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(fd, message)
        fcntl.fcntl(
            fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        )
        out.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    except BlockingIOError:
        raise
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
