"""``script/demo``: boot the demonstration host, say where to look, go on until Ctrl-C. ``--check``: play the story."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from script.demohost.host import USER_UNITS, VERSION, demo_host, with_user
from script.demohost.story import tell
from tests.bed import engines, leftovers
from tests.bed.bed import Bed
from tests.bed.engines import REPOSITORY
from tests.boot.host import Host

INTERRUPTED = 130

TEXT = """
The host is up. In another terminal, as root, in {repository}:

  look      .venv/bin/dockwarden --run-dir {run} status
            .venv/bin/dockwarden --run-dir {run} top
            .venv/bin/dockwarden --run-dir {run} logs -f
            .venv/bin/dockwarden --run-dir {run} why flaky
            .venv/bin/dockwarden --run-dir {run} plot
  switch    .venv/bin/dockwarden --run-dir {run} console switch debian
            .venv/bin/dockwarden --run-dir {run} storage switch storage
            {user} run --rm -v /etc:/context busybox:demo ls /context
  metrics   nsenter -t {init} -n busybox wget -qO- http://127.0.0.1:9779/metrics
  page      nsenter -t {init} -n chromium --no-sandbox http://127.0.0.1:9779/     # on a desktop
  break it  {docker} kill console        # it is back at once
            {docker} rm -f ntp           # it is made anew
            {docker} stop syslog         # it stays stopped, until:
            .venv/bin/dockwarden --run-dir {run} start syslog
            kill -9 {supervisor}   # the supervisor: another one adopts all that runs
            nsenter -t {init} -p -m sh -c 'kill -9 $(cat {pidfile})'   # System Docker: no unit notices
{hint}
Ctrl-C takes the host down, and everything with it. The supervisor's log follows.
"""
HINT = "\n(There is no `docker` client on this machine. Debian has it in docker-cli, Debian 12 in docker.io.)\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="play the story unattended; exit 0 if all was seen")
    parser.add_argument("--engine-version", default=VERSION, help="of System Docker (default: %(default)s)")
    options = parser.parse_args(arguments)
    leftovers.sweep()
    # An ended demo takes its bed along, however it ends.
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, _interrupt)
    try:
        with Bed() as bed:
            host = with_user(demo_host(bed, options.engine_version, echo=not options.check))
            if options.check:
                return 0 if tell(bed, host) else 1
            return show(bed, host)
    except KeyboardInterrupt:
        print("\ninterrupted; the host is gone", flush=True)
        return INTERRUPTED


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def show(bed: Bed, host: Host) -> int:
    """Go on until Ctrl-C or until the supervisor ends well; one that ends otherwise has a successor."""
    try:
        boot(host)
        while True:
            print("\n" + host.cli("status").stdout + invitation(bed, host), flush=True)
            assert host.process is not None
            code = host.process.wait()
            if code == 0:
                return 0
            print(f"\nthe supervisor ended with {code}; another one takes over\n", flush=True)
            boot(host)
    except KeyboardInterrupt:
        print("\ngoing down ...", flush=True)
        return host.end()


def boot(host: Host) -> None:
    """Start a supervisor, and wait until all that should run does: what a person stopped or broke need not."""
    with held_back(signal.SIGINT):
        host.boot(log_format="console")
    settled = {"ready", "completed", "inactive", "backoff", "crash-loop", "failed"}
    host.wait("all units settled", lambda units: all(units[name]["state"] in settled for name in USER_UNITS))


@contextlib.contextmanager
def held_back(sign: signal.Signals) -> Iterator[None]:
    """What is started meanwhile never gets this signal: a terminal sends Ctrl-C to everybody, and one must ask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {sign})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def invitation(bed: Bed, host: Host) -> str:
    """Where things are, and lines to paste."""
    assert host.process is not None
    client = shutil.which("docker", path=f"{os.environ['PATH']}:{engines.SYSTEM_PATH}")
    return TEXT.format(
        repository=REPOSITORY,
        run=host.run_dir,
        init=bed.init_pid,
        docker=f"docker -H unix://{host.socket}",
        user=f"docker -H unix://{host.dir}/user-run/docker.sock",
        supervisor=host.process.outer_pid,
        pidfile=host.pidfile,
        hint="" if client else HINT,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
