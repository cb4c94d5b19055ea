"""The argument parser: commands in groups, an example in each help, and suggestions for misspelt words."""

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from units.words import did_you_mean

GROUPS = (
    ("show", ("status", "units", "why", "events", "logs", "incidents", "top", "tree", "graph", "blame", "plot")),
    ("control units", ("start", "stop", "restart", "reset-failed", "wait")),
    ("consoles and user Docker", ("console", "storage", "engine", "tls")),
    ("this host", ("doctor", "support", "config", "hooks")),
    ("run in the foreground", ("boot", "watch")),
    ("this program", ("version", "completion")),
)
"""Which command is shown where; one that is in none comes last."""


class Parser(argparse.ArgumentParser):
    """Names the error, suggests a correction, and says where to read more."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, left = self.parse_known_args(args, namespace)
        if left:
            below = self.meant(found)
            guess = guessed(left[0].partition("=")[0], options_of(below)) if left[0].startswith("-") else ""
            below.error(f"unknown argument: {' '.join(left)}{guess}")
        return found

    def meant(self, found: argparse.Namespace) -> "Parser":
        """The parser of the command that was given, as far down as there is one."""
        below = commands_of(self)
        name = None if below is None else getattr(found, below.dest, None)
        return self if below is None or name is None else below.choices[name].meant(found)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        raise argparse.ArgumentError(
            action, f"there is no '{value}'{guessed(str(value), known) or '; there are: ' + ', '.join(known)}"
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n{self.format_usage()}more: {self.prog} --help\n")


class TopParser(Parser):
    """The program's own: its help shows the commands in groups."""

    def format_help(self) -> str:
        commands = commands_of(self)
        assert commands is not None
        told = {action.dest: action.help or "" for action in commands._choices_actions}  # noqa: SLF001 - no other way
        shown = [name for _, names in GROUPS for name in names]
        rest = ("more", tuple(name for name in told if name not in shown))
        width = max(map(len, told))
        lines = [f"usage: {self.prog} [--run-dir DIR] COMMAND [OPTION...]", "", self.description or ""]
        for title, names in (*GROUPS, rest):
            here = [name for name in names if name in told]
            lines += ["", f"{title}:", *(f"  {name:<{width}}  {told[name]}" for name in here)] if here else []
        return "\n".join([*lines, "", self.epilog or ""]) + "\n"


def commands_of(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[Parser] | None":
    """Its subcommands, if it has any."""
    return next((one for one in parser._actions if isinstance(one, argparse._SubParsersAction)), None)  # noqa: SLF001


def options_of(parser: argparse.ArgumentParser) -> list[str]:
    """Long before short."""
    found = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001 - as above
    return sorted(found, key=lambda name: (not name.startswith("--"), name))


def guessed(text: str, known: Iterable[str]) -> str:
    """``; did you mean 'start'?``, or nothing."""
    guess = did_you_mean(text, known, 3)
    return f"; {guess}" if guess else ""
