"""The command line: ``dockwarden boot`` here, ``dockwarden config validate`` here, everything else is the client's.

Only ``boot`` imports the daemon: a client must answer before the daemon's modules would even be loaded.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from supervisor import client_tls

RUN_DIR = Path(os.environ.get("DOCKWARDEN_RUN_DIR", "/run/dockwarden"))
STATE_DIR = Path("/var/lib/dockwarden")
CONFIG = Path("/var/lib/rancher/conf")


def parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The commands that this command line may mean: a supervisor does not carry its client around for months."""
    top = argparse.ArgumentParser(
        prog="dockwarden",
        description="Supervise a host on which everything is a container.",
        epilog="Exit codes and examples: docs/reference/cli.md",
    )
    top.add_argument("--run-dir", type=Path, default=RUN_DIR, help="where control.sock is (default: %(default)s)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_boot(commands)
    _add_config(commands)
    client_tls.add_commands(commands)
    if argv[:1] != ["boot"]:
        from supervisor import client

        client.add_commands(commands)
    return top


def _add_boot(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    boot = commands.add_parser(
        "boot",
        help="bring the host up and keep it up (foreground)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  dockwarden boot --config /var/lib/rancher/conf --images /usr/share/dockwarden/images",
    )
    boot.add_argument(
        "--config",
        type=Path,
        action="append",
        metavar="FILE_OR_DIR",
        help=f"cloud-config; repeat it, later ones win (default: {CONFIG})",
    )
    boot.add_argument("--engine", metavar="URL", help="attach to this engine (unix:///...) instead of starting one")
    boot.add_argument("--state-dir", type=Path, default=STATE_DIR, metavar="DIR", help="default: %(default)s")
    boot.add_argument(
        "--run-dir", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="for control.sock and the lock"
    )
    boot.add_argument("--images", type=Path, metavar="DIR", help="load its images*.tar[.gz|.xz|.zst] first")
    boot.add_argument(
        "--listen", default="127.0.0.1:9779", metavar="HOST:PORT", help="metrics; '' for none (default: %(default)s)"
    )
    boot.add_argument("--log-format", choices=("json", "console"), default="json")
    boot.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")


def _add_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = commands.add_parser("config", help="look at cloud-config files").add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    validate = verbs.add_parser("validate", help="report every problem at once; touches nothing")
    validate.add_argument("paths", nargs="*", type=Path, metavar="FILE_OR_DIR")
    validate.add_argument("--config", type=Path, action="append", default=[], metavar="FILE_OR_DIR")
    validate.add_argument("--json", action="store_true", help="problems as JSON")


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = parser(argv).parse_args(argv)
    if args.command == "boot":
        return _boot(args)
    if args.command == "config":
        return _validate(args)
    if args.command == "tls":
        return client_tls.run(args)
    from supervisor import client

    return client.run(args)


def _boot(args: argparse.Namespace) -> int:
    import asyncio
    from collections.abc import Callable, Coroutine

    import uvloop

    from supervisor import app

    def runner(main: Callable[[], Coroutine[None, None, int]]) -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            return loop.run(main())

    options = app.Options(
        config=tuple(args.config or (CONFIG,)),
        engine=args.engine,
        state_dir=args.state_dir,
        run_dir=args.run_dir,
        images=args.images,
        listen=args.listen or None,
        log_format=args.log_format,
        log_level=args.log_level,
    )
    return app.boot(options, runner)


def _validate(args: argparse.Namespace) -> int:
    from supervisor.checking import validate

    report = validate([*args.paths, *args.config] or [CONFIG])
    if args.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print(report.as_text())
    return 0 if report.valid else 78


def entry() -> None:
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`dockwarden events | head`): that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    entry()
