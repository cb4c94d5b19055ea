"""``dockwarden config validate``: reports all problems of a configuration, and changes nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supervisor.config import loader
from supervisor.config.tree import ConfigError, Problem
from units.records import dataclass


@dataclass(frozen=True, slots=True)
class Validation:
    """The result."""

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


def validate(paths: Sequence[Path], kernel: str = "") -> Validation:
    try:
        settings = loader.read(paths, kernel)
    except ConfigError as error:
        return Validation(error.problems, (), 0)
    problems, warnings = settings.link_problems()
    return Validation(problems, (*settings.warnings, *warnings), len(settings.units))
