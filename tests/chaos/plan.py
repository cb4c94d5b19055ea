"""A plan: what happens to a host, and when. Drawn from a seed; its text is a short script, and is read again. Pure."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.chaos.kinds import KINDS, About, Kind, Shape, drawable

UNITS: Mapping[Shape, tuple[str, ...]] = {
    Shape.ATTACHED: ("alpha", "beta", "gamma", "delta"),
    Shape.EMBEDDED: ("alpha", "beta", "gamma", "delta"),
    Shape.WATCH: ("alpha", "beta", "gamma", "delta"),
    Shape.USER: ("alpha", "beta"),
}
"""What single units may be struck."""
SPAN = (36.0, 46.0)
"""Seconds over which a plan's injections are spread, at least and at most."""
COUNT = (20, 26)
KINDS_OF_ONE = (6, 10)
"""How many kinds one plan has: with few, a history is easier to understand."""
SHORTENED = 8.0
"""Seconds that nothing exceeds in a short plan."""


class PlanError(ValueError):
    """A script makes no sense."""


@dataclass(frozen=True, slots=True)
class Injection:
    """``at``: seconds after the host was up. ``lasts``: seconds."""

    at: float
    kind: Kind
    unit: str = ""
    lasts: float = 0

    def __str__(self) -> str:
        words = [f"{self.at:5.1f}", self.kind.value]
        words += [self.unit] if self.unit else []
        words += ["for", f"{self.lasts:.1f}"] if self.lasts else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    shape: Shape
    engine: str
    live_restore: bool
    injections: tuple[Injection, ...]

    def __str__(self) -> str:
        restore = "live-restore" if self.live_restore else "no-live-restore"
        head = f"seed {self.seed} {self.shape} {self.engine} {restore}"
        return "\n".join([head, *map(str, self.injections)])

    @property
    def ends(self) -> float:
        """When the last injection is over."""
        return max((one.at + one.lasts for one in self.injections), default=0)

    def with_only(self, injections: Sequence[Injection]) -> "Plan":
        return replace(self, injections=tuple(injections))


def draw(
    seed: int, engines: Sequence[str], *, shape: Shape | None = None, engine: str | None = None, short: bool = False
) -> Plan:
    """The plan of a seed. ``short``: nothing lasts long."""
    dice = random.Random(seed)
    drawn_shape, drawn_engine = dice.choice(list(Shape)), dice.choice(list(engines))
    live_restore = dice.random() < 0.5
    shape, engine = shape or drawn_shape, engine or drawn_engine
    kinds = drawable(shape)
    count = dice.randint(*COUNT)
    span = dice.uniform(*SPAN)
    chosen = _sample(dice, kinds, dice.randint(*KINDS_OF_ONE))
    chosen += dice.choices(chosen, [kinds[kind].weight for kind in chosen], k=count - len(chosen))
    dice.shuffle(chosen)
    moments = sorted([0.0, span, *(dice.uniform(0, span) for _ in range(count - 2))])
    made = [_injection(dice, at, kind, UNITS[shape], short) for at, kind in zip(moments, chosen, strict=True)]
    return Plan(seed, shape, engine, live_restore, tuple(made))


def _sample(dice: random.Random, kinds: Mapping[Kind, About], count: int) -> list[Kind]:
    """Different ones; what strikes often is among them more likely."""
    left, found = dict(kinds), list[Kind]()
    while len(found) < count:
        kind = dice.choices(list(left), [about.weight for about in left.values()])[0]
        found.append(kind)
        del left[kind]
    return found


def _injection(dice: random.Random, at: float, kind: Kind, units: Sequence[str], short: bool) -> Injection:
    about = KINDS[kind]
    unit = dice.choice(units) if about.on_unit else ""
    lasts = dice.uniform(*about.lasts)
    return Injection(round(at, 1), kind, unit, round(min(lasts, SHORTENED) if short else lasts, 1))


def read(text: str) -> Plan:
    """A plan from its text. Raises PlanError."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    match lines[0] if lines else []:
        case ["seed", seed, shape, engine, "live-restore" | "no-live-restore" as restore]:
            pass
        case head:
            raise PlanError(f"expected 'seed N SHAPE ENGINE [no-]live-restore', found {' '.join(head)!r}")
    try:
        injections = tuple(_read_injection(words) for words in lines[1:])
        return Plan(int(seed), Shape(shape), engine, restore == "live-restore", injections)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _read_injection(words: list[str]) -> Injection:
    match words:
        case [at, kind]:
            return Injection(float(at), Kind(kind))
        case [at, kind, "for", lasts]:
            return Injection(float(at), Kind(kind), lasts=float(lasts))
        case [at, kind, unit]:
            return Injection(float(at), Kind(kind), unit)
        case [at, kind, unit, "for", lasts]:
            return Injection(float(at), Kind(kind), unit, float(lasts))
        case _:
            raise PlanError(f"expected 'SECONDS KIND [UNIT] [for SECONDS]', found {' '.join(words)!r}")
