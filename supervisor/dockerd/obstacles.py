"""What would keep a dockerd from starting: an earlier one that lives, and pid files that name somebody else by now."""

import asyncio
import contextlib
import signal as signals
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.dockerd.command_line import DaemonPlan, data_root_of
from supervisor.dockerd.left_behind import is_containerd, lair_of
from supervisor.dockerd.process import Daemon, dockerd_command, pid_in
from supervisor.dockerd.rooted_path import within
from supervisor.engine.port import EngineError
from units.unit import Failure

END_GRACE, KILL_GRACE = 30.0, 10.0


async def end_in_pidfile(how: DaemonPlan, root: Path, context: str, log: FilteringBoundLogger) -> None:
    """Stop the dockerd that its pid file names, if it is ours. Raises EngineError for another's, left alone."""
    pid = await asyncio.to_thread(pid_in, within(root, str(how.pidfile)))
    command = dockerd_command(pid, "dockerd") if pid else []
    if pid and command[1:] == list(how.argv[1:]):
        # Ours: the supervisor before us died between its start and its record.
        await end_earlier(pid, log)
    elif command and data_root_of(command) == str(how.data_root):
        raise EngineError(
            Failure.OTHER,
            f"another dockerd (pid {pid}, not started by dockwarden) holds {how.pidfile} in {context}: stop it",
        )


async def end_earlier(pid: int, log: FilteringBoundLogger) -> None:
    """Stop one that a previous supervisor started. Raises EngineError when it does not end."""
    with contextlib.suppress(ProcessLookupError):
        daemon = Daemon(pid, adopted=True)
        log.warning("user_docker.second", pid=pid)
        for sign, patience in ((signals.SIGTERM, END_GRACE), (signals.SIGKILL, KILL_GRACE)):
            daemon.send(sign)
            await asyncio.wait([daemon.exited], timeout=patience)
            if daemon.exited.done():
                return
        daemon.release()
        raise EngineError(Failure.OTHER, f"the previous dockerd (pid {pid}) is still running after SIGKILL")


def remove_pidfiles(how: DaemonPlan, root: Path, log: FilteringBoundLogger) -> None:
    """Remove its pid file and its containerd's: an engine takes any living process of that number for its own."""
    lair = lair_of(how)
    for path in (str(how.pidfile), lair.containerd_pid):
        file = within(root, path)
        pid = pid_in(file)
        if pid is None or (path == lair.containerd_pid and is_containerd(pid, lair)):
            continue
        log.info("user_docker.stale_pidfile", path=path, pid=pid)
        file.unlink(missing_ok=True)
