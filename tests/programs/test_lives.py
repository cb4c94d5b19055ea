"""Whether a process of this machine lives, as the supervisor asks for a container's."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.engine.lost_run import Ended, end_of
from supervisor.engine.processes import is_of, lives
from units.spec import ContainerId


@pytest.fixture
def child() -> Iterator[int]:
    """A process of this machine, which waits for a signal."""
    pid = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
    yield pid
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_a_process_lives_until_it_ends(child: int) -> None:
    """A zombie has ended already; it waits only for its parent."""
    assert lives(child)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not lives(child)
    os.waitpid(child, 0)
    assert not lives(child)


def test_what_is_hidden_is_not_gone(child: int, tmp_path: Path) -> None:
    """``hidepid`` shows a supervisor that is not root only its own user's processes."""
    assert lives(child, tmp_path)
    assert not is_of(child, ContainerId("a" * 64), tmp_path)


def shown(proc: Path, pid: int, container: str, number: int) -> None:
    """What ``/proc`` would tell of it."""
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cgroup").write_text(f"0::/docker/{container}\n")
    (proc / str(pid) / "status").write_text(f"Name:\tx\nNSpid:\t{pid}\t{number}\n")


def test_a_lost_run_is_ended_with_its_stop_signal_and_nobody_else_is(tmp_path: Path) -> None:
    """The first process gets it; what is left after the time that it has is killed."""
    ours, others = "a" * 64, "b" * 64
    first, stubborn, other = (subprocess.Popen(["/bin/sleep", "600"]) for _ in range(3))
    try:
        for number, (process, container) in enumerate([(stubborn, ours), (first, ours), (other, others)]):
            shown(tmp_path, process.pid, container, 1 if process is first else 7 + number)
        done = asyncio.run(end_of(ContainerId(ours), signal.SIGTERM, 0.3, tmp_path))
        assert done == Ended(2, 0)
        assert (first.wait(5), stubborn.wait(5)) == (-signal.SIGTERM, -signal.SIGKILL)
        assert other.poll() is None
        assert asyncio.run(end_of(ContainerId("c" * 64), signal.SIGTERM, 5, tmp_path)) == Ended(0, 0)
    finally:
        for process in (first, stubborn, other):
            process.kill()
            process.wait()
