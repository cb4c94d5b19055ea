"""One supervisor per run directory, also after a kill -9."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.child import ROOT
from supervisor.state.lock import LockError, LockHeld, RunLock, engine_lock, state_lock

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


def test_one_state_directory_has_one_supervisor(tmp_path: Path) -> None:
    """The second one is told the first one's pid; with another directory it is free, and a run directory is no bar."""
    with RunLock(tmp_path), state_lock(tmp_path):
        with (
            pytest.raises(LockHeld, match=f"pid {os.getpid()}, .* uses {tmp_path};.* --state-dir"),
            state_lock(tmp_path),
        ):
            pass
        with state_lock(tmp_path / "other"):
            pass
    with state_lock(tmp_path):
        pass


def test_a_state_directory_that_takes_no_lock_ends_nothing(tmp_path: Path) -> None:
    """There is nothing that two could write there."""
    (tmp_path / "file").touch()
    with state_lock(tmp_path / "file"):
        pass


ENGINE_HOLDER = """
import sys, time
from supervisor.state.lock import engine_lock
with engine_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(1000)
"""


def test_one_engine_has_one_supervisor(tmp_path: Path) -> None:
    """By its socket, whatever links lead to it; told with the first one's pid and command; free after a kill -9."""
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    one, same = (f"unix://{tmp_path}/{name}/docker.sock" for name in ("run", "var"))
    with subprocess.Popen([sys.executable, "-c", ENGINE_HOLDER, one], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        with pytest.raises(LockHeld, match="--engine") as refused, engine_lock(same):
            pass
        assert refused.value.pid == holder.pid
        assert str(refused.value).startswith(f"another supervisor (pid {holder.pid}, {sys.executable!r} -c "[:40])
        with engine_lock(f"unix://{tmp_path}/other.sock"), engine_lock("tcp://127.0.0.1:2375"):
            pass
        holder.kill()
        holder.wait()
    with engine_lock(same):
        pass


def test_a_stranger_cannot_keep_a_supervisor_down() -> None:
    """The names of such locks are free for all; one that another user has taken counts for nothing."""
    held = ENGINE_HOLDER.replace("with engine_lock", "import os; os.setuid(65534)\nwith engine_lock")
    python = [sys.executable, "-P", "-c", held, "unix:///strange.sock"]
    with subprocess.Popen(python, stdout=subprocess.PIPE, text=True, cwd="/", env={"PYTHONPATH": ROOT}) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        with engine_lock("unix:///strange.sock"):
            pass
        holder.kill()


def test_no_address_of_a_notice_is_written_down(tmp_path: Path) -> None:
    """Everybody may read who holds the lock."""
    words = [
        "dockwarden",
        "boot",
        "--notify-webhook",
        "https://x/token1",
        "--notify-command=say token2",
        "--notify-apprise",
        "https://x/token3",
        "--engine",
        "e",
    ]
    with RunLock(tmp_path, words):
        text = (tmp_path / "dockwarden.pid").read_text()
    assert "token" not in text
    assert text.endswith(
        "--notify-webhook '[redacted]' '--notify-command=[redacted]' --notify-apprise '[redacted]' --engine e\n"
    )


def test_nor_is_it_told_to_who_finds_the_engine_held() -> None:
    """Whose command line is read from the system."""
    url = "unix:///of/nobody.sock"
    code = f"from supervisor.state.lock import engine_lock\nwith engine_lock({url!r}): print(flush=True); input()"
    command = [sys.executable, "-c", code, "--notify-webhook", "https://x/token"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "\n"
        with pytest.raises(LockHeld, match=f"pid {holder.pid}.*--notify-webhook") as held, engine_lock(url):
            pass
        holder.communicate("\n")
    assert "token" not in str(held.value)
