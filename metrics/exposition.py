"""The text of a scrape: Prometheus' format and OpenMetrics', byte for byte as prometheus_client writes them.

It is written here because a scrape is made in the thread of the event loop. A unit has some 70 series that differ from
those of another unit in one word: a ``Template`` is their text but for that word.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

from metrics.catalog import Metric, Type
from units.records import dataclass

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version={}; charset=utf-8"
VERSIONS = ("1.0.0", "0.0.1")
"""Of OpenMetrics. What we write is the same in both."""
GAP = "\0"
"""Stands for the unit's name; no name has it."""
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One case among those that were counted: the id that its lines in the log and the journal carry."""

    cause: str
    value: float
    at: float
    """Seconds since 1970."""

    def __str__(self) -> str:
        return f' # {{cause="{escaped(self.cause)}"}} {number(self.value)} {self.at:.3f}'


def content_type(accept: str) -> str:
    """What to answer an ``Accept`` header with: the format of the highest ``q``; text where nothing fits."""
    best, chosen = 0.0, TEXT
    for part in accept.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        given = dict(word.split("=", 1) for word in parameters if "=" in word)
        version = given.get("version", VERSIONS[0])
        weight = _weight(given.get("q", "1"))
        if weight <= best:
            continue
        if kind == "application/openmetrics-text" and version in VERSIONS:
            best, chosen = weight, OPENMETRICS.format(version)
        elif kind in {"text/plain", "text/*", "*/*"}:
            best, chosen = weight, TEXT
    return chosen


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def escaped(value: str) -> str:
    """A label's value, or a help text of OpenMetrics."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def number(value: float) -> str:
    """As Go writes it, with a fraction; it changes to an exponent sooner than Python does."""
    text = repr(float(value))
    dot = text.find(".")
    if value > 0 and dot > 6:
        mantissa = f"{text[0]}.{text[1:dot]}{text[dot + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{dot - 1:02d}"
    return text


def head(metric: Metric, *, openmetrics: bool) -> str:
    """The two lines that begin a metric. OpenMetrics calls a counter by its name without ``_total``."""
    if openmetrics:
        name = metric.name.removesuffix("_total") if metric.type is Type.COUNTER else metric.name
        words = escaped(metric.help)
    else:
        name, words = metric.name, metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {words}\n# TYPE {name} {metric.type}\n"


def pattern(metric: Metric, suffix: str = "", *more: str) -> Callable[..., str]:
    """What writes a sample's line up to its value, given its labels' values in the catalogue's order, then ``more``.

    The labels are written in the order of their names.
    """
    names = (*metric.labels, *more)
    if not names:
        return lambda: f"{metric.name}{suffix} "
    order = sorted(range(len(names)), key=names.__getitem__)
    written = ",".join(f'{names[place]}="{{{place}}}"' for place in order)
    text = f"{metric.name}{suffix}{{{{{written}}}}} "
    return lambda *labels: text.format(*map(escaped, labels))


def plain(metric: Metric, rows: Iterable[tuple[Labels, float]], *, openmetrics: bool) -> str:
    """A whole metric of few series. A truth becomes 1 or 0."""
    series = pattern(metric)
    lines = [f"{series(*labels)}{number(value)}\n" for labels, value in rows]
    return head(metric, openmetrics=openmetrics) + "".join(lines)


class Template:
    """All series of one metric for one unit, as text with a gap for the unit's name.

    The metric has the label ``unit``, and at most one more, whose values are known. The empty value stands for none.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        closed = [(GAP,) if name == "unit" else values for name, values in metric.labels.items()]
        others = [name for name in metric.labels if name != "unit"]
        place = list(metric.labels).index(others[0]) if others else -1
        series = pattern(metric)
        self._lines = {"" if place < 0 else one[place]: series(*one) for one in product(*closed)}
        self.blank = self._text({})
        self._hot: dict[str, str] = {}

    def hot(self, value: str) -> str:
        """1 for this value and 0 for all others."""
        text = self._hot.get(value)
        if text is None:
            text = self._hot[value] = self._text({value: 1})
        return text

    def one(self, value: float) -> str:
        """The single series of a metric without another label."""
        return f"{self._lines['']}{number(value)}\n"

    def counted(self, counts: Mapping[str, float], exemplars: Mapping[str, Exemplar]) -> str:
        return self._text(counts, exemplars) if counts else self.blank

    def _text(self, counts: Mapping[str, float], exemplars: Mapping[str, Exemplar] | None = None) -> str:
        marks = {value: str(exemplar) for value, exemplar in exemplars.items()} if exemplars else {}
        return "".join(
            [
                f"{line}{number(counts[value])}{marks.get(value, '')}\n" if value in counts else f"{line}0.0\n"
                for value, line in self._lines.items()
            ]
        )


def stencilled(names: Sequence[str], texts: Iterable[str]) -> str:
    """Each unit's series; ``names`` are escaped."""
    return "".join([text.replace(GAP, name) for name, text in zip(names, texts, strict=True)])
