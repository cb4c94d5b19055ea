"""What a host boots with: its configuration, else the last good one, else what of it makes sense.

``dockwarden config validate`` and a reload are strict. A boot is not: a host that is down because of a typing mistake
helps nobody. What came instead is said with it, in a sentence.
"""

import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from supervisor.config.fields import Validators
from supervisor.config.labels import console_name
from supervisor.config.settings import Reading, Settings
from supervisor.config.sources import LIMIT, SHIPPED, Sources, explain, gather, merge, read
from supervisor.config.tree import ConfigError, Node, Problem, ProblemReport, lookup
from supervisor.state.file import StateError, StateFile
from units.records import replace
from units.spec import CONSOLE, USER_DOCKER
from units.tables.console import undefined

__all__ = [
    "LIMIT",
    "SHIPPED",
    "boot_settings",
    "explain",
    "gather",
    "last_settings",
    "merge",
    "read",
    "strict_settings",
]

NAMED = 3
"""Problems that a sentence names; the others are only counted."""
SECTIONS = {"", "rancher", "rancher.services"}
"""Too much to be left out for one mistake."""
USER_DOCKERS = ("rancher", "docker")
"""Left out as a whole: with a part of it user Docker might come up over another data root."""


def boot_settings(paths: Sequence[Path], kernel: str, last: Path) -> Reading:
    """``last``: where the last good configuration is. Raises ConfigError where there is nothing to boot with."""
    report = ProblemReport()
    sources = gather(paths, kernel, report)
    try:
        return Reading(_good(sources, report, last))
    except ConfigError as error:
        refused = f"the configuration is refused ({_named(error.problems)})"
        if (kept := _kept(last)) is not None:
            return Reading(kept, f"{refused}; the host runs with the last good one")
        if not sources.layers:
            raise
        return _reduced(sources, refused)


def strict_settings(paths: Sequence[Path], kernel: str, last: Path | None) -> Reading:
    """All of the configuration, or ConfigError. One whose links hold becomes the last good one."""
    report = ProblemReport()
    sources = gather(paths, kernel, report)
    settings = sources.settings(report)
    if last is not None and not settings.link_problems()[0]:
        _keep(sources, last)
    return Reading(settings)


def last_settings(last: Path) -> Reading:
    """The last good configuration, without a look at the present one. Raises ConfigError where there is none."""
    if (kept := _kept(last)) is None:
        raise ConfigError([])
    return Reading(kept, "the host runs with the last good configuration")


def _good(sources: Sources, report: ProblemReport, last: Path | None) -> Settings:
    """Settings without any problem; their sources become the last good ones. Raises ConfigError."""
    settings = sources.settings(report)
    problems, _ = settings.link_problems()
    if problems:
        raise ConfigError(problems)
    if last is not None:
        _keep(sources, last)
    return settings


def _file(last: Path) -> StateFile:
    """Its log goes beside our answer, not into it."""
    return StateFile(last, structlog.wrap_logger(structlog.PrintLogger(sys.stderr)))


def _keep(sources: Sources, last: Path) -> None:
    store, content = _file(last), sources.as_plain()
    with contextlib.suppress(StateError):  # That nothing can be kept there is told by the supervisor.
        if not last.exists() or store.load() != content:
            store.save(content)


def _kept(last: Path | None) -> Settings | None:
    """What was good once, but may not be for this version."""
    plain = None if last is None else _file(last).load()
    if plain is None:
        return None
    try:
        return _good(Sources.of_plain(plain), ProblemReport(), None)
    except (ConfigError, KeyError, TypeError, ValueError):
        return None


def _reduced(sources: Sources, refused: str) -> Reading:
    """The configuration without what is wrong in it, piece by piece, until the rest holds."""
    loading = ProblemReport()
    root = merge(sources.nodes(loading))
    console = _wanted_console(root)
    left_out: dict[Piece, None] = {}
    problems: Iterable[Problem] = loading.problems
    settings = Settings()
    while True:
        for piece in sorted({piece for problem in problems for piece in _pieces(root, problem)}):
            root = _without(root, piece)
            left_out[piece] = None
        try:
            settings = _with_console(sources.parsed(root, ProblemReport()), console)
            problems, _ = settings.link_problems()
        except ConfigError as error:
            settings, problems = Settings(), error.problems
        if not any(_pieces(root, problem) for problem in problems):
            break
    if problems:
        settings = Settings()  # An engine without units: nothing more could be left out.
    names = ", ".join(".".join(piece).removeprefix("rancher.services.") for piece in left_out)
    return Reading(settings, f"{refused}; there is no last good one, so the host runs without {names or 'any of it'}")


Piece = tuple[str, ...]
"""Keys from the top to what is left out."""


def _pieces(root: Node, problem: Problem) -> set[Piece]:
    """What of the tree is left out for a problem; nothing where it is there no more, or would be too much."""
    if problem.path in SECTIONS:
        return set()
    below = problem.path.removeprefix("rancher.services.")
    if below == problem.path:
        return _deepest(root, problem.path)
    services = _services(root)
    named = [name for name in services if below == name or below.startswith(f"{name}.")]
    if named:
        return {("rancher", "services", max(named, key=len))}
    if below == USER_DOCKER:
        return _deepest(root, "rancher.docker")
    return {
        ("rancher", "services", name) for name, node in services.items() if below == CONSOLE and _console(name, node)
    }


def _deepest(root: Node, path: str) -> set[Piece]:
    found: list[str] = []
    node = root
    for key in path.replace("[", ".").split("."):
        if not isinstance(node.value, dict) or key not in node.value or tuple(found) == USER_DOCKERS:
            break
        found.append(key)
        node = node.value[key]
    return set() if ".".join(found) in SECTIONS else {tuple(found)}


def _without(root: Node, piece: Piece) -> Node:
    if not isinstance(root.value, dict) or piece[0] not in root.value:
        return root
    rest = {key: node for key, node in root.value.items() if key != piece[0]}
    if len(piece) > 1:
        rest[piece[0]] = _without(root.value[piece[0]], piece[1:])
    return replace(root, value=rest)


def _services(root: Node) -> dict[str, Node]:
    node = lookup(root, "rancher.services")
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _console(name: str, service: Node) -> str:
    """The console that a service would define."""
    labels = lookup(service, "labels")
    pairs = Validators(ProblemReport()).pairs(labels, "") if labels is not None else ()
    return console_name(name, {key: node.text for key, node in pairs})


def _wanted_console(root: Node) -> str:
    """The console that this host has; empty for one that has none."""
    named = [console for name, node in _services(root).items() if (console := _console(name, node))]
    chosen = lookup(root, "rancher.console")
    return "" if not named else (chosen.text if chosen is not None and chosen.text else named[0])


def _with_console(settings: Settings, console: str) -> Settings:
    """A host that had a console keeps the container of it, also where its definition is left out."""
    if not console or any(spec.name == CONSOLE for spec in settings.units):
        return settings
    spec = undefined(console)
    return replace(settings, units=(*settings.units, spec), consoles=(spec,))


def _named(problems: Sequence[Problem]) -> str:
    said = "; ".join(map(str, problems[:NAMED]))
    return said + (f"; and {len(problems) - NAMED} more" if len(problems) > NAMED else "")
