"""``script/demo``: boot the demonstration host, say where to look, go on until Ctrl-C. ``--check``: play the story."""

import argparse
import signal
import sys
from types import FrameType

from script.demohost.host import UNITS, VERSION, demo_host
from script.demohost.story import tell
from tests.bed import leftovers
from tests.bed.bed import Bed
from tests.bed.engines import REPOSITORY
from tests.boot.host import Host

TEXT = """
The host is up. In another terminal, as root, in {repository}:

  look      .venv/bin/dockwarden --run-dir {run} status
            .venv/bin/dockwarden --run-dir {run} events -f
            .venv/bin/dockwarden --run-dir {run} why flaky
            .venv/bin/dockwarden --run-dir {run} logs network
  metrics   nsenter -t {init} -n curl -s http://127.0.0.1:9779/metrics
  break it  docker -H unix://{socket} kill console        # it is back at once
            docker -H unix://{socket} rm -f ntp           # it is made anew
            docker -H unix://{socket} stop syslog         # it stays stopped
            .venv/bin/dockwarden --run-dir {run} start syslog
            kill -9 {supervisor}                          # the supervisor; this program boots another one
            nsenter -t {init} -p -m kill -9 {engine}      # System Docker; no unit notices

Ctrl-C takes the host down, and everything with it. The supervisor's log follows.
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="play the story unattended; exit 0 if all was seen")
    parser.add_argument("--engine-version", default=VERSION, help="of System Docker (default: %(default)s)")
    options = parser.parse_args(arguments)
    leftovers.sweep()
    # An ended demo takes its bed along, however it ends.
    signal.signal(signal.SIGTERM, _interrupt)
    with Bed() as bed:
        host = demo_host(bed, options.engine_version, echo=not options.check)
        if options.check:
            return 0 if tell(bed, host) else 1
        return show(bed, host)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def show(bed: Bed, host: Host) -> int:
    try:
        host.boot(log_format="console")
        host.wait_up(*UNITS)
        print(host.cli("status").stdout)
        while True:
            assert host.process is not None
            print(
                TEXT.format(
                    repository=REPOSITORY,
                    run=host.run_dir,
                    init=bed.init_pid,
                    socket=host.socket,
                    supervisor=host.process.outer_pid,
                    engine=host.engine_pid(),
                ),
                flush=True,
            )
            code = host.process.wait()
            if code == 0:
                return 0
            print(f"the supervisor ended with {code}; another one takes over", flush=True)
            host.boot(log_format="console")
            host.wait_up("console")
    except KeyboardInterrupt:
        print("\ngoing down ...", flush=True)
        return host.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
