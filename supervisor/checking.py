"""``dockwarden config validate``: everything that is wrong with a configuration, without touching anything."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supervisor import config
from supervisor.settings import Settings
from supervisor.tree import ConfigError, Place, Problem
from units import links
from units.records import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    units: int

    @property
    def valid(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        return {
            "valid": self.valid,
            "units": self.units,
            "problems": [problem.as_dict() for problem in self.problems],
            "warnings": [warning.as_dict() for warning in self.warnings],
        }

    def as_text(self) -> str:
        lines = [*map(str, self.problems), *(f"warning: {warning}" for warning in self.warnings)]
        lines.append(f"valid: {self.units} units" if self.valid else f"{len(self.problems)} problems")
        return "\n".join(lines)


def validate(paths: Sequence[Path], kernel: str = "") -> Verdict:
    try:
        settings = config.read(paths, kernel)
    except ConfigError as error:
        return Verdict(error.problems, (), 0)
    problems, warnings = link_problems(settings)
    return Verdict(problems, (*settings.warnings, *warnings), len(settings.units))


def link_problems(settings: Settings) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """What the dependency graph says, each told where the unit it begins with was defined."""
    checked = links.check(settings.units)

    def placed(text: str) -> Problem:
        unit = text.removeprefix("cycle: ").split(":")[0].split(" ")[0]
        return Problem(settings.places.get(unit, Place("rancher.services")), f"rancher.services.{unit}", text)

    return tuple(map(placed, checked.errors)), tuple(map(placed, checked.warnings))
