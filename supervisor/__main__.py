"""The command line: ``dockwarden boot`` here, ``dockwarden config validate`` here, everything else is the client's.

Only ``boot`` imports the daemon: a client must answer before the daemon's modules would even be loaded.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.command_line import Parser, TopParser

if TYPE_CHECKING:
    from hooks.notifier import Receiver

RUN_DIR = Path(os.environ.get("DOCKWARDEN_RUN_DIR", "/run/dockwarden"))
STATE_DIR = Path("/var/lib/dockwarden")
WATCH_STATE_DIR = Path("/var/lib/dockwarden-watch")
"""Of its own: what is known of a host's units by name is no knowledge of another engine's."""
CONFIG = Path("/var/lib/rancher/conf")
HOOKS = Path("/etc/dockwarden/hooks.d")


def parser(argv: Sequence[str] = ()) -> TopParser:
    """The commands that this command line may mean: a supervisor does not carry its client around for months."""
    top = TopParser(
        prog="dockwarden",
        description="Supervise a host on which everything is a container.",
        epilog="Each command has --help with an example. Exit codes: man dockwarden, or docs/reference/cli.md",
    )
    top.add_argument(
        "--run-dir", type=Path, default=RUN_DIR, metavar="DIR", help="where control.sock is (default: %(default)s)"
    )
    commands: argparse._SubParsersAction[argparse.ArgumentParser]
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _add_boot(commands)
    _add_watch(commands)
    _add_config(commands)
    if argv[:1] not in (["boot"], ["watch"]):
        from supervisor import client, client_completion, client_tls

        client_tls.add_commands(commands)
        client_completion.add_commands(commands)
        client.add_commands(commands)
    return top


def _add_boot(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    boot = commands.add_parser(
        "boot",
        help="bring the host up and keep it up",
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
    boot.add_argument("--images", type=Path, metavar="DIR", help="load its images*.tar[.gz|.xz|.zst] first")
    _add_running(boot, STATE_DIR)


def _add_watch(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    watch = commands.add_parser(
        "watch",
        help="look after the containers of any Docker host",
        description="Restarts what is unhealthy, and re-links what lost its network: containers with the label"
        " dockwarden.enable=true or autoheal=true. Understands docker-autoheal's environment variables.",
        epilog="example:\n  dockwarden watch --all --dry-run --log-format console",
    )
    watch.add_argument("--all", action="store_true", dest="everything", help="also those that do not ask for it")
    watch.add_argument("--dry-run", action="store_true", dest="dry", help="say what would be done, and do nothing")
    watch.add_argument("--engine", metavar="URL", help="default: $DOCKER_HOST, or unix:///var/run/docker.sock")
    _add_running(watch, WATCH_STATE_DIR)


def _add_running(command: argparse.ArgumentParser, state_dir: Path) -> None:
    """What all that runs in the foreground can be told."""
    command.add_argument("--state-dir", type=Path, default=state_dir, metavar="DIR", help="default: %(default)s")
    command.add_argument(
        "--run-dir", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="for control.sock and the lock"
    )
    command.add_argument(
        "--listen", default="127.0.0.1:9779", metavar="HOST:PORT", help="metrics; '' for none (default: %(default)s)"
    )
    command.add_argument(
        "--metrics-units",
        type=_count,
        default=1000,
        metavar="N",
        help="so many units have series of their own (default: %(default)s)",
    )
    command.add_argument(
        "--notify-webhook", action="append", default=[], metavar="URL", help="tell of what was done by HTTP; repeat it"
    )
    command.add_argument(
        "--notify-command", action="append", default=[], metavar="COMMAND", help="tell by a command; repeat it"
    )
    command.add_argument(
        "--hooks", type=Path, default=HOOKS, metavar="DIR", help="executables told of events (default: %(default)s)"
    )
    command.add_argument(
        "--control-group", default="", metavar="GROUP", help="its members may do everything on control.sock"
    )
    command.add_argument(
        "--control-readers",
        default="",
        metavar="GROUP",
        help="its members ('everybody': all) may look, on control-ro.sock",
    )
    command.add_argument(
        "--control-listen", default="", metavar="HOST:PORT", help="whoever comes here may look, without any password"
    )
    command.add_argument("--log-format", choices=("json", "console"), default="json")
    command.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, not {text!r}")
    return int(text)


def _add_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "example:\n  dockwarden config validate /var/lib/rancher/conf"
    verbs = commands.add_parser("config", help="look at cloud-config files", epilog=example).add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    validate = verbs.add_parser("validate", help="report every problem at once; touches nothing", epilog=example)
    validate.add_argument("paths", nargs="*", type=Path, metavar="FILE_OR_DIR")
    validate.add_argument(
        "--config", type=Path, action="append", default=[], metavar="FILE_OR_DIR", help="also this; repeat it"
    )
    validate.add_argument("--json", action="store_true", help="problems as JSON")


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["__complete"]:
        from supervisor import client_completion

        return client_completion.answer(parser(), argv[1:])
    args = parser(argv).parse_args(argv)
    if args.command in {"boot", "watch"}:
        return _run(args)
    if args.command == "config":
        return _validate(args)
    if args.command == "completion":
        from supervisor import client_completion

        return client_completion.run(args)
    if args.command == "tls":
        from supervisor import client_tls

        return client_tls.run(args)
    from supervisor import client

    return client.run(args)


def _run(args: argparse.Namespace) -> int:
    import asyncio
    from collections.abc import Callable, Coroutine

    import uvloop

    from supervisor import app
    from supervisor.doors import Access

    def runner(main: Callable[[], Coroutine[None, None, int]]) -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            return loop.run(main())

    booting = args.command == "boot"
    try:
        receivers = _receivers(args)
    except ValueError as error:
        print(f"dockwarden {args.command}: {error}", file=sys.stderr)
        return 2
    options = app.Options(
        config=tuple(args.config or (CONFIG,)) if booting else (),
        engine=args.engine,
        state_dir=args.state_dir,
        run_dir=args.run_dir,
        images=args.images if booting else None,
        receivers=receivers,
        hooks=args.hooks,
        access=Access(args.control_group, args.control_readers, args.control_listen),
        listen=args.listen or None,
        metrics_units=args.metrics_units,
        log_format=args.log_format,
        log_level=args.log_level,
    )
    if booting:
        return app.boot(options, runner)
    from supervisor import watching

    try:
        wanted = watching.options_from(options, os.environ, everything=args.everything, dry=args.dry)
    except app.BootError as error:
        print(f"dockwarden watch: {error}", file=sys.stderr)
        return error.code
    return watching.watch(wanted, runner)


def _receivers(args: argparse.Namespace) -> "tuple[Receiver, ...]":
    """Raises ValueError, which names the option. A watch listens to docker-autoheal's variables, too."""
    environ = os.environ if args.command == "watch" else {}
    urls = [*args.notify_webhook, *filter(None, [environ.get("WEBHOOK_URL")])]
    script = environ.get("POST_RESTART_SCRIPT")
    if not urls and not args.notify_command and not script:
        return ()
    from hooks.command import CommandReceiver
    from hooks.webhook import Webhook

    key = environ.get("WEBHOOK_JSON_KEY") or "text"
    try:
        found: list[Receiver] = [Webhook(url, key) for url in urls]
    except ValueError as error:
        raise ValueError(f"--notify-webhook: {error}") from error
    try:
        found += [CommandReceiver(command) for command in args.notify_command]
        found += [CommandReceiver(script, arguments=True)] if script else []
    except ValueError as error:
        raise ValueError(f"--notify-command: {error}") from error
    return tuple(found)


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
