"""Writes what the tables say into the documentation, or checks that it is there: ``--write`` and ``--check``.

docs/reference/transitions has a page for each kind of unit and one for the switch: the state diagram, every row, and
every ignored cell with its reason. The glossary, the log's lines and the events of hooks stand between markers in pages
that are otherwise written by hand. docs/reference/metrics.md and packaging/grafana/dashboard.json are written as a
whole, from the catalogue of metrics, and docs/architecture/rooms.svg from the imports.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_args

from hooks import happenings, points
from metrics import page
from script import dashboard, rooms
from supervisor.logs.catalogue import CATALOGUE
from units import commands, events
from units.machine import Table
from units.spec import Kind
from units.switch import table
from units.tables.by_kind import rules_of
from units.unit import MEANING

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = re.compile(r"(When|After what|Cancelled by what|May it be called twice|What does failure do): ")
TRANSITIONS = "docs/reference/transitions"
BEGIN, END = "<!-- generated: {} -->", "<!-- end of generated: {} -->"


def glossary() -> str:
    """Phases, facts and orders, each with its one sentence."""
    lines = ["| phase | what it means |", "| --- | --- |"]
    lines += [f"| `{phase}` | {text} |" for phase, text in MEANING.items()]
    lines += ["", "| fact | what happened |", "| --- | --- |"]
    lines += [_row(fact) for fact in get_args(events.Event)]
    lines += ["", "| order | what is asked |", "| --- | --- |"]
    lines += [_row(order) for order in get_args(commands.Command)]
    return "\n".join(lines)


def _row(kind: type) -> str:
    told = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return f"| `{kind.__name__}` | {told or _spelled(kind.__name__)} |"


def _spelled(name: str) -> str:
    """``ContainerDied`` -> ``container died``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def diagram(rules: Table) -> str:
    """One arrow for each pair of phases, labelled with the facts that lead there."""
    arrows: dict[tuple[str, str], dict[str, None]] = {}
    for edge in rules.edges:
        if edge.at is not edge.to:
            arrows.setdefault((_state(edge.at), _state(edge.to)), {})[edge.on.__name__] = None
    lines = ["```mermaid", "stateDiagram-v2", *(f"    [*] --> {_state(phase)}" for phase in rules.begins)]
    lines += [f"    {at} --> {to}: {_facts(list(facts))}" for (at, to), facts in arrows.items()]
    return "\n".join([*lines, "```"])


def switch_diagram() -> str:
    """The steps of a switch; its results are its ends."""
    arrows: dict[tuple[str, str], dict[str, None]] = {}
    for row in table.ROWS:
        if row.to is not row.at:
            to = f"{row.to}".replace("-", "_")
            arrows.setdefault((row.at, to), {})[_plain(row.when) or row.on.__name__] = None
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> checking"]
    lines += [f"    {at} --> {to}: {', '.join(why)}" for (at, to), why in arrows.items()]
    return "\n".join([*lines, "```"])


def switch_page() -> str:
    """The steps of a switch as a diagram, its table in its order, and what it ignores."""
    parts = _beginning("Transitions: a switch", table, switch_diagram())
    parts += ["## Rows", "", "| at | on | when | do | to |", "| --- | --- | --- | --- | --- |"]
    parts += [
        f"| {row.at} | {row.on.__name__} | {_plain(row.when)} | {_plain(row.do)} | {row.to} |" for row in table.ROWS
    ]
    parts += ["", "## Ignored", "", "| at | on | why |", "| --- | --- | --- |"]
    parts += [f"| {at} | {on.__name__} | {why} |" for (at, on), why in table.IGNORED.items()]
    return "\n".join([*parts, ""])


def _state(phase: str) -> str:
    return phase.replace("-", "_")


def _facts(names: list[str]) -> str:
    shown = names[:3]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def page_of(kind: Kind) -> str:
    """The diagram of a kind, every row in order, then every ignored cell."""
    rules = rules_of(kind)
    module = import_module(f"units.tables.{kind.name.lower()}")
    parts = _beginning(f"Transitions: {rules.name}", module, diagram(rules))
    parts += ["## Rows", "", "| in | on | when | do | to |", "| --- | --- | --- | --- | --- |"]
    parts += [
        f"| {edge.at} | {edge.on.__name__} | {_plain(edge.when)} | {_plain(edge.do)} | {edge.to} |"
        for edge in rules.edges
    ]
    parts += ["", "## Ignored", "", "| in | on | why |", "| --- | --- | --- |"]
    for entry in rules.ignored:
        at = ", ".join(phase for phase in entry.at if phase in rules.phases)
        parts.append(f"| {at} | {', '.join(on.__name__ for on in entry.on)} | {entry.why} |")
    return "\n".join([*parts, ""])


def _beginning(title: str, module: ModuleType, drawn: str) -> list[str]:
    """What the table's own module says of it, and its diagram."""
    said = (inspect.getdoc(module) or "").replace("``", "`").split("\n")
    source = f"{module.__name__.replace('.', '/')}.py"
    return [
        f"# {title}",
        "",
        *said,
        "",
        f"Generated from [{source}](../../../{source}). [The other kinds](README.md) · [the words](../glossary.md)",
        "",
        drawn,
        "",
    ]


def transitions_index() -> str:
    """Which pages there are."""
    lines = [
        "# Transitions",
        "",
        "Every state and every way out of it, a page for each kind of unit: the diagram, every row in the order in",
        "which they are tried, and every cell that is ignored, with the reason. Generated from `units/`; change the",
        "tables, then run `python -m script.diagrams --write`.",
        "",
        "| kind | rows | states |",
        "| --- | --- | --- |",
    ]
    for kind in Kind:
        rules = rules_of(kind)
        lines.append(f"| [{rules.name}]({kind}.md) | {len(rules.edges)} | {', '.join(rules.phases)} |")
    steps = dict.fromkeys(row.at for row in table.ROWS)
    lines.append(f"| [switch](switch.md) | {len(table.ROWS)} | {', '.join(steps)} |")
    return "\n".join([*lines, ""])


def _plain(function: Callable[..., object]) -> str:
    name = function.__name__
    return "" if name == "always" else name.replace("_", " ")


def log_events() -> str:
    """One table for each group of the log's lines."""
    parts = []
    for group in CATALOGUE:
        parts += [f"## {group.title}", "", "| event | level | when |", "| --- | --- | --- |"]
        parts += [f"| `{line.event}` | {line.level} | {line.when} |" for line in group.lines]
        parts.append("")
    return "\n".join(parts).rstrip()


def hook_events() -> str:
    """What hooks are told of."""
    lines = ["| event | record | when |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | `{kind.__name__}` | {_sentence(kind)} |" for name, kind in happenings.ALL.items()]
    return "\n".join(lines)


def hook_points() -> str:
    """The five answers of each point, and the fields of what a gate is given."""
    parts = []
    for protocol, kind in (
        (points.OnEvent, None),
        (points.BeforeStart, points.Starting),
        (points.BeforeStop, points.Stopping),
        (points.BeforeSwitch, points.Switching),
    ):
        head, _, answers = (inspect.getdoc(protocol) or "").partition("\n\n")
        parts += [f"### {'An event' if kind is None else f'`{kind.point}`'}", "", _one_line(head), ""]
        parts += ["| question | answer |", "| --- | --- |"]
        found = QUESTIONS.split(_one_line(answers))[1:]
        parts += [
            f"| {question} | {answer.strip()} |" for question, answer in zip(found[::2], found[1::2], strict=True)
        ]
        if kind is not None:
            parts += ["", f"Given: {', '.join(f'`{one.name}`' for one in fields(kind))} (`{kind.__name__}`)."]
        parts.append("")
    return "\n".join(parts).rstrip()


def _sentence(kind: type) -> str:
    return _one_line(inspect.getdoc(kind) or "")


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "glossary": ("docs/reference/glossary.md", glossary),
    "log events": ("docs/reference/log.md", log_events),
    "events of hooks": ("docs/reference/hooks.md", hook_events),
    "points of hooks": ("docs/reference/hooks.md", hook_points),
}


WHOLE: dict[str, Callable[[], str]] = {
    "docs/architecture/rooms.svg": rooms.picture,
    f"{TRANSITIONS}/README.md": transitions_index,
    f"{TRANSITIONS}/switch.md": switch_page,
    **{f"{TRANSITIONS}/{kind}.md": partial(page_of, kind) for kind in Kind},
    "docs/reference/metrics.md": page.page,
    "packaging/grafana/dashboard.json": dashboard.render,
}


def replaced(text: str, name: str, content: str) -> str:
    """``text`` with what stands between the markers of ``name`` exchanged."""
    begin, end = BEGIN.format(name), END.format(name)
    if begin not in text or end not in text:
        raise SystemExit(f"no markers for '{name}': {begin} ... {end}")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def stale() -> Iterator[tuple[str, Path, str | None]]:
    """What is not as the source has it: a name for it, the file, and its whole text; ``None``: it has to go."""
    texts: dict[str, str] = {}
    for name, (file, render) in SECTIONS.items():
        before = texts.get(file) or (ROOT / file).read_text()
        texts[file] = replaced(before, name, render())
        if texts[file] != before:
            yield f"{file}: {name}", ROOT / file, texts[file]
    for file, render in WHOLE.items():
        path, wanted = ROOT / file, render()
        if not path.exists() or path.read_text() != wanted:
            yield file, path, wanted
    for path in (ROOT / TRANSITIONS).glob("*.md"):
        if str(path.relative_to(ROOT)) not in WHOLE:
            yield f"{path.relative_to(ROOT)}: of no kind that there is", path, None


def main(arguments: list[str]) -> int:
    found = list(stale())
    if "--write" in arguments:
        for _, path, text in found:
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        return 0
    if found:
        said = (name for name, _, _ in found)
        print("not what the source says (python -m script.diagrams --write):", *said, sep="\n  ", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
