"""One supervisor per run directory, also after a kill -9."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.state.lock import LockError, LockHeld, RunLock

HOLDER = """
import sys, subprocess
from pathlib import Path
from supervisor.state.lock import RunLock
RunLock(Path(sys.argv[1]), ["python", "-m", "supervisor", "boot"]).acquire()
child = subprocess.Popen(["sleep", "1000"], close_fds=False, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""


def test_a_lock_says_who_holds_it(tmp_path: Path) -> None:
    run_dir = tmp_path / "deep" / "run"
    with RunLock(run_dir, ["python", "-m", "supervisor", "boot now"]):
        assert (run_dir / "dockwarden.pid").read_text() == f"{os.getpid()}\npython -m supervisor 'boot now'\n"
        with pytest.raises(LockHeld) as refused:
            RunLock(run_dir).acquire()
    assert (refused.value.pid, refused.value.command) == (os.getpid(), "python -m supervisor 'boot now'")
    assert str(refused.value) == (
        f"another supervisor (pid {os.getpid()}, \"python -m supervisor 'boot now'\") uses {run_dir};"
        " stop it or choose another --run-dir"
    )


def test_a_released_lock_is_free_and_a_lock_may_be_released_twice(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    for _ in range(2):
        lock.acquire()
        lock.acquire()
        lock.release()
        lock.release()
        with RunLock(tmp_path):
            pass


def test_a_holder_that_has_not_written_yet_is_no_riddle(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        (tmp_path / "dockwarden.pid").write_text("")
        with pytest.raises(LockHeld, match=re.escape(f"another supervisor (starting) uses {tmp_path};")):
            RunLock(tmp_path).acquire()


def test_kill_9_frees_the_lock_although_children_live(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(LockHeld) as refused:
                RunLock(tmp_path).acquire()
            assert (refused.value.pid, refused.value.command) == (holder.pid, "python -m supervisor boot")
            holder.kill()
            holder.wait()
            with RunLock(tmp_path):
                os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_directory_that_cannot_be_used_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run_dir = tmp_path / "file" / "run"
    with pytest.raises(LockError) as refused:
        RunLock(run_dir).acquire()
    assert str(refused.value) == (
        f"cannot use {run_dir} as the run directory: Not a directory; choose another --run-dir"
    )


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "dockwarden.pid").symlink_to(victim)
    with pytest.raises(LockError):
        RunLock(tmp_path).acquire()
    assert victim.read_text() == "precious"
