"""Whether a process of this machine lives, as the supervisor asks for a container's."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

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
