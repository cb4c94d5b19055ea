"""Writes the manual page from the parser, or checks that it is there: ``--write`` and ``--check``.

Exit codes come from the table in docs/reference/cli.md, which a test holds against the code.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from supervisor.cli.commands import parser
from supervisor.cli.parser import GROUPS, commands_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "packaging/dockwarden.1"
REFERENCE = ROOT / "docs/reference/cli.md"


GENERAL = (
    ".TP",
    r".B \-\-run\-dir \fIDIR\fR",
    r"Where the supervisor's control.sock is, /run/dockwarden by default. It may stand before or behind the command.",
    ".TP",
    r".B \-\-json",
    "JSON instead of text, for every command that shows something.",
    ".TP",
    r".B \-h\fR, \fB\-\-help",
    "What a command takes, with an example.",
)


def page() -> str:
    """The whole page, in man's macros."""
    top = parser()
    lines = [
        r".\" Made by script/manual.py from the program's own help: do not edit.",
        ".TH DOCKWARDEN 1",
        ".SH NAME",
        r"dockwarden \- supervise a host on which everything is a container",
        ".SH SYNOPSIS",
        r".B dockwarden \fR[\fB\-\-run\-dir\fR \fIDIR\fR] \fICOMMAND\fR [\fIOPTION\fR...]",
        ".SH DESCRIPTION",
        "Brings up the containers of a host in the order of their dependencies, and keeps them up:",
        r".B dockwarden boot\fR,",
        r"or looks after the containers of any Docker host: \fBdockwarden watch\fR.",
        "All other commands ask a supervisor that runs, over its control socket, or look at the host.",
        ".SH OPTIONS",
        *GENERAL,
    ]
    below = commands_of(top)
    assert below is not None
    told = {action.dest: action.help or "" for action in below._choices_actions}
    named = [name for _, names in GROUPS for name in names]
    groups = [*GROUPS, ("more", tuple(name for name in told if name not in named))]
    lines.append(".SH COMMANDS")
    for title, names in groups:
        here = [name for name in names if name in told]
        lines += [f".SS {_plain(title.capitalize())}"] if here else []
        for name in here:
            lines += _command(f"dockwarden {name}", told[name], below.choices[name])
    lines += [".SH EXIT STATUS", *_exit_codes()]
    lines += [".SH ENVIRONMENT", ".TP", ".B DOCKWARDEN_RUN_DIR", r"The run directory, where \-\-run\-dir does not say."]
    lines += [".TP", ".B NO_COLOR", "When set, nothing is coloured."]
    lines += [".SH FILES", ".TP", ".I /run/dockwarden/control.sock", "The control socket of a running supervisor."]
    lines += [".TP", ".I /var/lib/rancher/conf", "The configuration that \\fBboot\\fR reads."]
    return "\n".join(lines) + "\n"


def _command(path: str, told: str, command: argparse.ArgumentParser) -> Iterator[str]:
    below = commands_of(command)
    if below is not None:
        says = {action.dest: action.help or "" for action in below._choices_actions}
        for name, text in says.items():
            yield from _command(f"{path} {name}", f"{told}: {text}", below.choices[name])
        return
    takes = "".join(f" {_shown(action)}" for action in command._actions if not action.option_strings)
    yield from (".PP", f".B {_plain(path)}", f"[\\fIOPTION\\fR...]{_plain(takes)}", ".RS")
    yield _plain(f"{told[0].upper()}{told[1:]}.")
    yield from _options(command)
    example = (command.epilog or "").partition("\n")[2].strip("\n")
    yield from (".PP", "Example:", ".PP", ".nf", *(_plain(line) for line in example.splitlines()), ".fi", ".RE")


def _shown(action: argparse.Action) -> str:
    """A positional: ``UNIT``, ``UNIT...``, ``[FILE...]``."""
    more = "..." if action.nargs in {"+", "*"} else ""
    shown = f"{action.metavar or action.dest.upper()}{more}"
    return f"[{shown}]" if action.nargs == "*" else shown


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    """All but those that every command has."""
    for action in command._actions:
        if not action.option_strings or action.dest in {"help", "json", "run_dir"}:
            continue
        value = "" if action.nargs == 0 else f" \\fI{_plain(_value_of(action))}\\fR"
        yield from (".TP", f".B {_plain(', '.join(action.option_strings))}{value}")
        text = (action.help or "one of them") % {"default": action.default, "prog": command.prog}
        yield _plain(f"{text[0].upper()}{text[1:]}.")


def _value_of(action: argparse.Action) -> str:
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _exit_codes() -> Iterator[str]:
    table = REFERENCE.read_text().partition("## Exit codes")[2]
    for code, of, meaning in re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \|$", table, re.MULTILINE):
        yield from (".TP", f".B {code}", _plain(f"({of}) {meaning}".replace("`", "")))


def _plain(text: str) -> str:
    """Without what man would obey."""
    told = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{told}" if told.startswith((".", "'")) else told


def main(arguments: list[str]) -> int:
    wanted = page()
    if PAGE.exists() and PAGE.read_text() == wanted:
        return 0
    if "--write" in arguments:
        PAGE.write_text(wanted)
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not what the program says (python -m script.manual --write)", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
