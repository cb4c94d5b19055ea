"""The commands ``graph`` and ``tree``: dependencies between units, as a picture and as text."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.os_errors import cannot
from supervisor.state.atomic import replace
from supervisor.views.text import DIM, GREEN, RED, YELLOW, Screen, clean
from units.words import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.http.client import Client

    Add = Callable[[str, str, str], argparse.ArgumentParser]

OK, FAILED, UNKNOWN = 0, 1, 4
FORMATS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".txt": "text"}


def add_commands(add: "Add") -> None:
    graph = add("graph", "draw the dependencies between units, with their state", "graph --output host.svg")
    graph.add_argument(
        "--format", choices=("text", "svg", "mermaid", "dot"), help="default: from the file's name, else text"
    )
    graph.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (default: stdout)")
    tree = add("tree", "show a unit's dependencies, recursively", "tree console")
    tree.add_argument("unit", metavar="UNIT", nargs="?", help="default: all units that no other unit depends on")


def run(client: "Client", args: argparse.Namespace, show_json: "Callable[[Any], None]") -> int:
    answer = client.get("graph")
    if args.json:
        show_json(answer)
        return OK
    screen = Screen.of_stdout()
    return _tree(screen, answer, args.unit) if args.command == "tree" else _graph(screen, answer, args)


def _graph(screen: Screen, answer: Any, args: argparse.Namespace) -> int:
    from supervisor.views import graph  # noqa: PLC0415 - only these commands draw

    read = graph.read(answer)
    wanted = args.format or (FORMATS.get(args.output.suffix.lower(), "text") if args.output else "text")
    match wanted:
        case "svg":
            from supervisor.views.graph_svg import picture  # noqa: PLC0415 - as above

            drawn = picture(read)
        case "mermaid":
            drawn = graph.as_mermaid(read)
        case "dot":
            drawn = graph.as_dot(read)
        case _:
            drawn = graph.as_text(read, marks(screen))
    if args.output is None:
        screen.stream.write(_writable(screen, drawn))
        return OK
    return _write(args.output, drawn)


def _tree(screen: Screen, answer: Any, unit: str | None) -> int:
    from supervisor.views import graph  # noqa: PLC0415 - only these commands draw

    read = graph.read(answer)
    if unit is not None and read.node(unit) is None:
        guess = did_you_mean(unit, [node.name for node in read.nodes], 3)
        hint = guess or "'dockwarden units' lists them"
        Screen.of_stderr().line(clean(f"dockwarden: there is no unit '{unit[:80]}'; {hint}"))
        return UNKNOWN
    screen.stream.write(_writable(screen, graph.as_tree(read, unit, marks(screen))))
    return OK


def marks(screen: Screen) -> Any:
    """Whether the terminal shows non-ASCII characters, and colours."""
    from supervisor.views.graph import Marks  # noqa: PLC0415 - as above

    colours = {"needs-you": RED, "on-its-way": YELLOW, "up": GREEN, "aside": DIM}
    unicode = (screen.stream.encoding or "ascii").lower().replace("-", "").startswith("utf")
    return Marks(unicode, lambda text, level: screen.paint(text, colours[level.word]))


def _writable(screen: Screen, text: str) -> str:
    encoding = screen.stream.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def _write(path: Path, text: str) -> int:
    """Whole or not at all: a page may be showing the old one."""
    try:
        replace(path, text.encode(), mode=None, durable=False, suffix=str(os.getpid()))
    except OSError as error:
        said = f"dockwarden: {cannot(f'write {path}', error, 'choose another --output')}"
        Screen.of_stderr().line(clean(said))
        return FAILED
    return OK
