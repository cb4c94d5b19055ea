"""All commands: which there are, with their options."""

import argparse
import json
import sys
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supervisor.cli.options import COMMANDS, Option
from supervisor.cli.parser import Parser, TopParser
from supervisor.state.paths import CONFIG, run_dir


def parser(argv: Sequence[str] = ()) -> TopParser:
    """The parser. ``boot`` and ``watch`` skip the client's commands: a supervisor need not keep them in memory."""
    top = TopParser(
        prog="dockwarden",
        description="Supervise a host on which everything is a container.",
        epilog="Each command has --help with an example. Exit codes: man dockwarden, or docs/reference/cli.md",
    )
    top.add_argument(
        "--run-dir", type=Path, default=run_dir(), metavar="DIR", help="where control.sock is (default: %(default)s)"
    )
    commands: argparse._SubParsersAction[argparse.ArgumentParser]
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _add_boot(commands)
    _add_watch(commands)
    _add_config(commands)
    if argv[:1] not in (["boot"], ["watch"]):
        from supervisor.cli import (  # noqa: PLC0415 - as the docstring says
            completion_scripts,
            main,
            tls,
        )

        tls.add_commands(commands)
        completion_scripts.add_commands(commands)
        main.add_commands(commands)
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
        help="watch over the containers of any Docker host",
        description="Restarts unhealthy containers, and re-creates those that lost the network they share."
        " Covers containers with the label dockwarden.enable=true or autoheal=true."
        " Understands docker-autoheal's environment variables.",
        epilog="example:\n  dockwarden watch --all --dry-run --log-format console",
    )
    _add_running(watch, COMMANDS["watch"])


def _add_running(command: "argparse.ArgumentParser", options: Sequence[Option]) -> None:
    """Add one argparse option per row."""
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

    def convert(text: str) -> Any:
        try:
            return option.convert(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return convert


def _add_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "example:\n  dockwarden config validate /var/lib/rancher/conf"
    verbs = commands.add_parser("config", help="check cloud-config files", epilog=example).add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    validate = verbs.add_parser("validate", help="report all problems at once; changes nothing", epilog=example)
    validate.add_argument("paths", nargs="*", type=Path, metavar="FILE_OR_DIR")
    validate.add_argument(
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="FILE_OR_DIR",
        help="one more file or directory; repeat it",
    )
    validate.add_argument("--json", action="store_true", help="problems as JSON")


def validate_config(args: "argparse.Namespace") -> int:
    """Carry out ``config validate``; returns its exit code."""
    from supervisor.config.validate import validate  # noqa: PLC0415 - brings yaml

    report = validate([*args.paths, *args.config] or [CONFIG])
    if args.json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        sys.stdout.write(report.as_text() + "\n")
    return 0 if report.valid else 78
