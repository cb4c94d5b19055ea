"""``dockwarden completion SHELL``, and the call by which a shell asks what may come next."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.http.client import Client, RefusedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.cli.parser import Parser

ASKED = "__complete"
"""The first word of a shell's question."""

BASH = """\
# bash completion for dockwarden: eval "$(dockwarden completion bash)"
_dockwarden() {
    local line cur=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi
        COMPREPLY+=("$(printf %q "${line%%$'\\t'*}")")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _dockwarden dockwarden
"""
ZSH = """\
#compdef dockwarden
# zsh completion for dockwarden: a file _dockwarden in $fpath, or eval "$(dockwarden completion zsh)"
_dockwarden() {
    local -a found
    local line
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done < <("$words[1]" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe dockwarden found
}
if [[ $funcstack[1] == _dockwarden ]]; then
    _dockwarden "$@"
else
    compdef _dockwarden dockwarden
fi
"""
FISH = """\
# fish completion for dockwarden: dockwarden completion fish | source
function __dockwarden_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c dockwarden -f -a "(__dockwarden_complete)"
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "completion",
        help="print a script that makes the shell complete commands, options and units",
        description="Print a script that makes the shell complete commands, options and the names of units.",
        epilog='example:\n  eval "$(dockwarden completion bash)"',
    )
    command.add_argument("shell", choices=tuple(SCRIPTS), metavar="SHELL", help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    sys.stdout.write(SCRIPTS[args.shell])
    return 0


def answer(parser: "Parser", words: Sequence[str]) -> int:
    """Answer a shell's completion request. Errors give no candidates, and no traceback on the screen."""
    from supervisor.cli.completion import complete  # noqa: PLC0415 - only shells ask

    named = [after for word, after in pairwise(words) if word == "--run-dir"]
    run_dir = named[-1] if named else parser.get_default("run_dir")
    names = _Names(Client(Path(run_dir)))
    for line in complete(parser, words, names):
        sys.stdout.write(line + "\n")
    return 0


class _Names:
    """Names from the running supervisor; none when it does not answer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ways: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
            "UNIT": self._units,
            "EVENT": self._events,
            "console NAME": lambda: self._listed("console", "consoles"),
            "storage NAME": lambda: self._listed("storage", "contexts"),
            "engine NAME": self._engines,
            "hooks NAME": lambda: [(str(one["name"]), str(one["state"])) for one in self._client.get("hooks")],
        }

    def __call__(self, metavar: str) -> Iterable[tuple[str, str]]:
        way = self._ways.get(metavar)
        try:
            return [] if way is None else list(way())
        except (UnreachableError, RefusedError):
            return []

    def _units(self) -> Iterable[tuple[str, str]]:
        return [(str(one["name"]), str(one["state"])) for one in self._client.get("units")]

    def _listed(self, of: str, what: str) -> Iterable[tuple[str, str]]:
        told = self._client.get("status")[of]
        return [] if told is None else [(str(one["name"]), str(one["state"])) for one in told[what]]

    def _engines(self) -> Iterable[tuple[str, str]]:
        return [(str(one["name"]), str(one["binary"])) for one in self._client.get("engines")["engines"]]

    @staticmethod
    def _events() -> Iterable[tuple[str, str]]:
        from hooks.happenings import ALL  # noqa: PLC0415 - only for this
        from hooks.points import POINTS  # noqa: PLC0415 - as above

        return [(name, "") for name in (*ALL, *POINTS)]
