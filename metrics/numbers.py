"""Counters, histograms and downtimes, and how they are written."""

from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import accumulate, product

from metrics import exposition
from metrics.catalog import OPEN, OTHER, Metric
from metrics.exposition import Exemplar, Template, head, number, pattern, stencilled

MOST = 1000
"""Series of a counter whose label may have any value; what comes on top is counted as ``other``."""


class Counter:
    """A counter: one number for each combination of label values, all there from the start."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._counts: dict[tuple[str, ...], float] = dict.fromkeys(product(*metric.labels.values()), 0)

    def add(self, *labels: str, by: float = 1) -> None:
        if labels not in self._counts:
            labels = self._folded(labels)
        self._counts[labels] = self._counts.get(labels, 0) + by

    def _folded(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Label sets are closed: what stands outside is one value."""
        known = zip(labels, self.metric.labels.values(), strict=True)
        full = len(self._counts) >= MOST
        return tuple(label if label in values or (values == OPEN and not full) else OTHER for label, values in known)

    def text(self, *, openmetrics: bool) -> str:
        return exposition.plain(self.metric, self._counts.items(), openmetrics=openmetrics)


class Histogram:
    """A histogram of seconds. A negative duration, from a clock that was set back, counts as 0."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._counts = [0] * (len(metric.buckets) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def add(self, seconds: float) -> int:
        """Returns the number of its bucket."""
        bucket = bisect_left(self.metric.buckets, seconds)
        self._counts[bucket] += 1
        if seconds > 0:
            self._sum += seconds
        return bucket

    def trace(self, seconds: float, cause: str, at: float) -> None:
        """As ``add``, and the case can be looked up by its cause."""
        self._exemplars[self.add(seconds)] = Exemplar(cause, max(0.0, seconds), at)

    def lines(self, labels: tuple[str, ...], *, openmetrics: bool) -> Iterable[str]:
        bucket, count, total_of = (
            pattern(self.metric, *suffix) for suffix in (("_bucket", "le"), ("_count",), ("_sum",))
        )
        bounds = (*map(str, self.metric.buckets), "+Inf")
        total = 0
        for place, (bound, total) in enumerate(zip(bounds, accumulate(self._counts), strict=True)):
            exemplar = self._exemplars.get(place) if openmetrics else None
            yield f"{bucket(*labels, bound)}{number(total)}{exemplar or ''}\n"
        yield f"{count(*labels)}{number(total)}\n"
        yield f"{total_of(*labels)}{number(self._sum)}\n"


class HistogramBy:
    """A histogram for each value of its one label, all there from the start; without a label, one."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.spreads = {labels: Histogram(metric) for labels in product(*metric.labels.values())}

    def add(self, seconds: float, *label: str) -> None:
        (self.spreads.get(label) or self.spreads[OTHER,]).add(seconds)

    def trace(self, seconds: float, cause: str, at: float) -> None:
        """As ``add``, without a label, and the case can be looked up by its cause."""
        self.spreads[()].trace(seconds, cause, at)

    def text(self, *, openmetrics: bool) -> str:
        lines = (
            line for labels, spread in self.spreads.items() for line in spread.lines(labels, openmetrics=openmetrics)
        )
        return head(self.metric, openmetrics=openmetrics) + "".join(lines)


class UnitCounter:
    """A counter of each unit. What a unit has counted goes when it is forgotten; what it has not, costs nothing."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.counts: dict[str, dict[str, int]] = {}
        self._exemplars: dict[str, dict[str, Exemplar]] = {}
        self._stencil = Template(metric)

    def add(self, unit: str, value: str = "", by: int = 1) -> None:
        counts = self.counts.setdefault(unit, {})
        counts[value] = counts.get(value, 0) + by

    def trace(self, unit: str, value: str, cause: str, at: float) -> None:
        """As ``add``, and the case can be looked up by its cause."""
        self.add(unit, value)
        self._exemplars.setdefault(unit, {})[value] = Exemplar(cause, 1, at)

    def keep(self, known: Container[str]) -> None:
        for kept in (self.counts, self._exemplars):
            for unit in [unit for unit in kept if unit not in known]:
                del kept[unit]

    def text(self, units: Sequence[str], names: Sequence[str], *, openmetrics: bool) -> str:
        """The units' series, without the head. ``names`` are the same units, escaped."""
        counts, exemplars = self.counts, self._exemplars if openmetrics else {}
        nothing: Mapping[str, Exemplar] = {}
        return stencilled(
            names,
            [
                self._stencil.counted(counts[unit], exemplars.get(unit, nothing))
                if unit in counts
                else self._stencil.blank
                for unit in units
            ],
        )


class Downtime:
    """Total downtime of a unit after its first start."""

    def __init__(self) -> None:
        self._gone: float | None = None
        self._seconds = 0.0
        self._seen = False

    def note(self, *, here: bool, now: float) -> None:
        if here:
            self._seconds, self._gone, self._seen = self.seconds(now), None, True
        elif self._seen and self._gone is None:
            self._gone = now

    def seconds(self, now: float) -> float:
        return self._seconds + (0.0 if self._gone is None else now - self._gone)
