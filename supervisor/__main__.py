"""The command line: ``dockwarden boot`` here, ``dockwarden config validate`` here, everything else is the client's.

Only ``boot`` imports the daemon: a client must answer before the daemon's modules would even be loaded.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from supervisor.cli.options import COMMANDS, CONFIG, RUN_DIR, Option

if TYPE_CHECKING:
    import argparse

    from hooks.notifier import Receiver
    from supervisor.cli.parser import TopParser
    from supervisor.logs.targets import Wanted


def parser(argv: Sequence[str] = ()) -> "TopParser":
    """The commands that this command line may mean: a supervisor does not carry its client around for months."""
    from pathlib import Path

    from supervisor.cli.parser import Parser, TopParser

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
        from supervisor.cli import completion_scripts as client_completion
        from supervisor.cli import main as client
        from supervisor.cli import tls as client_tls

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
    _add_running(boot, COMMANDS["boot"])


def _add_watch(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    watch = commands.add_parser(
        "watch",
        help="look after the containers of any Docker host",
        description="Restarts what is unhealthy, and re-links what lost its network: containers with the label"
        " dockwarden.enable=true or autoheal=true. Understands docker-autoheal's environment variables.",
        epilog="example:\n  dockwarden watch --all --dry-run --log-format console",
    )
    _add_running(watch, COMMANDS["watch"])


def _add_running(command: "argparse.ArgumentParser", options: Sequence[Option]) -> None:
    """The rows, as argparse wants them."""
    from argparse import SUPPRESS
    from pathlib import Path

    for option in options:
        asked: dict[str, Any] = {"dest": option.name, "help": option.help or None}
        if not option.metavar:
            command.add_argument(option.flag, action="store_true", **asked)
            continue
        # The one before the command counts, if there is none behind it.
        asked["default"] = SUPPRESS if option.flag == "--run-dir" else option.default
        if option.choices:
            command.add_argument(option.flag, choices=option.choices, **asked)
        else:
            asked |= {"metavar": option.metavar, "type": Path if option.convert is Path else _saying_why(option)}
            command.add_argument(option.flag, action="append" if option.repeat else "store", **asked)


def _saying_why(option: Option) -> Any:
    """Argparse shows the text of its own error only."""
    from argparse import ArgumentTypeError

    def convert(text: str) -> Any:
        try:
            return option.convert(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return convert


def _add_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from pathlib import Path

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
        from supervisor.cli import completion_scripts as client_completion

        return client_completion.answer(parser(), argv[1:])
    args = parser(argv).parse_args(argv)
    if args.command in {"boot", "watch"}:
        return _run(args)
    if args.command == "config":
        return _validate(args)
    if args.command == "completion":
        from supervisor.cli import completion_scripts as client_completion

        return client_completion.run(args)
    if args.command == "tls":
        from supervisor.cli import tls as client_tls

        return client_tls.run(args)
    from supervisor.cli import main as client

    return client.run(args)


def _run(args: "argparse.Namespace") -> int:
    import asyncio
    from collections.abc import Callable, Coroutine

    import uvloop

    from supervisor import app
    from supervisor.http.access import Access

    def runner(main: Callable[[], Coroutine[None, None, int]]) -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            return loop.run(main())

    booting = args.command == "boot"
    try:
        receivers, log_targets = _receivers(args), _log_targets(args)
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
        log_targets=log_targets,
    )
    if booting:
        return app.boot(options, runner)
    from supervisor import watch_app as watching
    from supervisor.preflight import BootError

    try:
        wanted = watching.options_from(options, os.environ, everything=args.everything, dry=args.dry)
    except BootError as error:
        print(f"dockwarden watch: {error}", file=sys.stderr)
        return error.code
    return watching.watch(wanted, runner)


def _receivers(args: "argparse.Namespace") -> "tuple[Receiver, ...]":
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


def _log_targets(args: "argparse.Namespace") -> "tuple[Wanted, ...]":
    """Raises ValueError, which names the option."""
    if not args.log_target:
        return ()
    from supervisor.logs.targets import parse

    return parse(args.log_target)


def _validate(args: "argparse.Namespace") -> int:
    from supervisor.config.validate import validate

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
