"""The candidates for the next word of a command line, for the completion scripts of all shells."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from supervisor.cli.parser import Parser, commands_of, options_of

FILES = ":files"
"""Says that the shell shall complete a file's name: it knows better how."""

Named = Callable[[str], Iterable[tuple[str, str]]]
"""Names and what they are, for a metavar such as ``UNIT``."""


def complete(parser: Parser, words: Sequence[str], named: Named) -> list[str]:
    """Lines of a word, a tab and what it means; ``words`` are those after the program's name, the last one begun."""
    here, waiting = _walked(parser, words[:-1])
    begun = words[-1] if words else ""
    if isinstance(waiting, argparse.Action):
        found = _values(waiting, here, named)
    elif begun.startswith("-"):
        found = [(name, _help_of(here, name)) for name in options_of(here) if name.startswith("--")]
    else:
        action = next(iter(waiting), None)
        found = [] if action is None else _values(action, here, named)
    if found is None:
        return [FILES]
    # What cannot stand on a line is not offered; nor is what would steer the terminal.
    return [f"{word}\t{says}" for word, says in found if word.startswith(begun) and word.isprintable()]


def _walked(parser: Parser, words: Sequence[str]) -> tuple[Parser, argparse.Action | list[argparse.Action]]:
    """The parser that counts, and the option that waits for its value or the positionals that may come."""
    here, left = parser, _positionals(parser)
    waiting: argparse.Action | None = None
    for word in words:
        if waiting is not None:
            waiting = None
        elif word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            action = next((one for one in here._actions if name in one.option_strings), None)  # noqa: SLF001
            waiting = action if action is not None and action.nargs != 0 and not equals else None
        elif (below := commands_of(here)) is not None and left and left[0] is below:
            if word not in below.choices:
                return here, []
            here = below.choices[word]
            left = _positionals(here)
        elif left and left[0].nargs not in {"+", "*"}:
            left = left[1:]
    return here, waiting or left


def _positionals(parser: Parser) -> list[argparse.Action]:
    return [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 - no other way


def _values(action: argparse.Action, here: Parser, named: Named) -> list[tuple[str, str]] | None:
    """None for a file's name."""
    if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
        return [(one.dest, one.help or "") for one in action._choices_actions]  # noqa: SLF001
    if action.choices is not None:
        return [(str(choice), "") for choice in action.choices]
    if action.type is Path:
        return None
    metavar = str(action.metavar)
    return list(named(f"{here.prog.split()[1]} {metavar}" if metavar == "NAME" else metavar))


def _help_of(parser: Parser, name: str) -> str:
    text = next(one.help or "" for one in parser._actions if name in one.option_strings)  # noqa: SLF001
    return text.partition(" (default")[0]
