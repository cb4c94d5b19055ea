"""A process inside a bed, held from outside."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

Argument = str | Path
Stream = int | IO[str] | None

HANDSHAKE = 'echo $$ >&{told}; read -r go <&{go}; exec {told}>&- {go}<&-; cd "$1" || exit 126; shift; exec "$@"'
"""Tells its number inside the bed, and starts the program only when we hold the process and can signal it."""


class BedError(Exception):
    """A bed, or something in it, did not come up."""


class InsideProcess(subprocess.Popen[str]):
    """A Popen whose signals reach the program in the bed.

    `nsenter` must fork to enter a pid namespace, so the process that Popen knows (`pid`) is not the program:
    it waits for it and ends as it ends. The program is `inner_pid` in the bed and `outer_pid` on the machine.
    """

    def __init__(
        self,
        init_pid: int,
        args: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> None:
        told, tell = os.pipe()
        go, let_go = os.pipe()
        script = HANDSHAKE.format(told=tell, go=go)
        shell = ["/bin/busybox", "sh", "-c", script, "sh", str(cwd or "/"), *map(str, args)]
        try:
            super().__init__(
                ["nsenter", "-t", str(init_pid), "-m", "-p", "-n", "-u", "-i", "--", *shell],
                env={**os.environ, **(env or {})},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                text=True,
                pass_fds=(tell, go),
            )
            os.close(tell)
            self._hold(told)
        finally:
            os.close(told)
            os.close(go)
            os.close(let_go)

    def _hold(self, told: int) -> None:
        said = os.read(told, 32)
        if not said:
            raise BedError(f"nsenter ended with {self.wait()}: is the bed gone?")
        self.inner_pid = int(said)
        self.outer_pid = children(self.pid)[0]
        self._pidfd = os.pidfd_open(self.outer_pid)

    def send_signal(self, sig: int) -> None:
        """Signal the program, not nsenter; one that has ended needs no signal."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, sig)
            if sig in {signal.SIGCONT, signal.SIGKILL}:
                os.kill(self.pid, signal.SIGCONT)  # nsenter stops with its program, and would not see its end

    def release(self) -> None:
        """Close what is held of a process that has ended."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
