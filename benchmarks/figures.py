"""What is said of many measurements. A ratio is taken within each round, for rounds differ more than programs do."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

Rounds: TypeAlias = Sequence[Mapping[str, Sequence[float]]]
"""What each round measured of each variant."""


def percentile(values: Sequence[float], part: float) -> float:
    """By the nearest rank: a value that was measured."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


@dataclass(frozen=True)
class Paired:
    """The ratios of one variant to another, round by round."""

    median: float
    p10: float
    p90: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.p10:.2f}-{self.p90:.2f}]"


def paired(rounds: Rounds, one: str, other: str) -> Paired:
    """Each round's median of ``one``, in those of ``other``."""
    ratios = [median(measured[one]) / median(measured[other]) for measured in rounds]
    return Paired(median(ratios), percentile(ratios, 0.1), percentile(ratios, 0.9))


def quantiles(rounds: Rounds, variant: str, *parts: float) -> list[str]:
    """Of all measurements together, without decimals."""
    return [f"{percentile(pooled(rounds, variant), part):.0f}" for part in parts]


def pooled(rounds: Rounds, variant: str) -> list[float]:
    return [value for measured in rounds for value in measured[variant]]


def of_all(rounds: Rounds, one: str, other: str, summary: Callable[[Sequence[float]], float]) -> float:
    """For what a single round cannot tell, such as a 99th percentile."""
    return summary(pooled(rounds, one)) / summary(pooled(rounds, other))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns stand under each other; the first is text, the others are figures."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
            )
            + " |"
        )

    ruler = [("-" * width) if not column else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join(map(line, (head, ruler, *rows)))
