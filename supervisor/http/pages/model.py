"""The content of the status page as plain JSON values: all of it, and the changes since the last look. Pure.

A look costs next to nothing while nothing happens: units are frozen records, so the same record is the same row.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from supervisor.journal.record import Record
from supervisor.logs.redaction import redact
from supervisor.logs.timestamps import as_iso
from supervisor.views.severity import headline, in_order, level
from supervisor.views.status import Context, host, unit_row
from units.links import Links
from units.quantities import Instant
from units.records import dataclass
from units.spec import UnitName
from units.unit import Unit
from units.words import fact_in_words
from units.world import World

LONGEST_REASON = 400
"""Characters of a reason in a list; the details have more."""
LONGEST_TEXT = 4000
"""Characters of anything that comes from outside."""
SHOWN = 60
"""Records in the list of recent events."""

_IN_ROW = ("name", "kind", "state", "health", "checks", "flapping", "restarts", "since", "reason", "touched")
_IN_RECORD = ("seq", "time", "event", "cause", "unit", "before", "after", "reason", "fact", "outcome")


@dataclass(frozen=True, slots=True)
class PageModel:
    """One look at the host."""

    world: World
    raw: Mapping[str, Any]
    """``engine``, ``console``, ...: all that is no unit's."""
    parts: Mapping[str, Any]
    """The same and the headline, tidied up: that takes longer than to see that nothing has changed."""
    rows: Mapping[UnitName, Mapping[str, Any]]


def look(world: World, context: Context, before: PageModel | None = None) -> PageModel:
    """The host now; rows of units that have not changed since ``before`` are taken over."""
    raw = host(world, context)
    if before is not None and before.world is world and before.raw == raw:
        return before
    rows: dict[UnitName, Mapping[str, Any]] = {}
    for name, unit in world.units.items():
        same = before is not None and before.world.units.get(name) is unit and before.world.away == world.away
        rows[name] = before.rows[name] if before is not None and same else row(unit, context, world.away)
    said = headline(raw["engine"], raw["supervisor"], list(rows.values()), raw["switch"]["now"])
    return PageModel(world, raw, tidy({**raw, "headline": said.as_dict()}), rows)


def row(unit: Unit, context: Context, away: Instant | None = None) -> dict[str, Any]:
    """Its row of ``status``, as far as the list shows it: no image, no command, no environment."""
    full = unit_row(unit, context.to_wall, away)
    shown = {key: full[key] for key in _IN_ROW}
    return {**shown, "reason": short(full["reason"]), "level": level(full).word}


def whole(sight: PageModel, records: Iterable[Record], now: str) -> dict[str, Any]:
    """The full state, which a client gets first."""
    return {
        "now": now,
        **sight.parts,
        "units": in_order(sight.rows.values()),
        "records": [told(record) for record in records],
    }


def change(before: PageModel, after: PageModel, records: Iterable[Record], now: str) -> dict[str, Any]:
    """The changes, by the keys of ``whole``; empty when there are none."""
    said: dict[str, Any] = {key: value for key, value in after.parts.items() if value != before.parts.get(key)}
    if rows := [one for name, one in after.rows.items() if one is not before.rows.get(name)]:
        said["units"] = rows
    if gone := sorted(set(before.rows) - set(after.rows)):
        said["gone"] = gone
    if after.world.links != before.world.links or set(after.rows) != set(before.rows):
        said["graph"] = "changed"
    if news := [told(record) for record in records]:
        said["records"] = news[-SHOWN:]
    return {"now": now, **said} if said else {}


def told(record: Record) -> dict[str, Any]:
    """A record, as far as the list shows it."""
    shown = {key: value for key in _IN_RECORD if (value := getattr(record, key))}
    texts: dict[str, Any] = {key: short(shown[key]) for key in ("reason", "fact", "outcome") if key in shown}
    if record.fact:
        texts["happened"] = short(fact_in_words(record.fact))
    return {**shown, **texts, "time": as_iso(record.time)}


@lru_cache(maxsize=1024)
def short(text: str) -> str:
    """For a list. Most reasons are the same few, and to look for secrets in one takes as long as all the rest."""
    return redact(text)[:LONGEST_REASON]


def details(why: Mapping[str, Any], checks: Iterable[Mapping[str, Any]], links: Links) -> dict[str, Any]:
    """The details below a unit: why it is in its state. ``why`` is the journal's answer."""
    name = why["unit"]["name"]
    needs = [{"name": edge.target, "via": edge.via.value} for edge in links.leaders.get(name, ())]
    container = why["unit"]["container_id"]
    said: dict[str, Any] = tidy(
        {
            "unit": {**why["unit"], "container_id": container and container[:12]},
            "meaning": why["meaning"],
            "next": why["next"],
            "next_try": why.get("next_try"),
            "chain": list(why["chain"]),
            "checks": list(checks),
            "needs": needs,
            "needed_by": sorted(links.followers.get(name, ())),
        }
    )
    return said


def tidy(value: Any) -> Any:
    """Without what looks like a secret, and no text longer than a page can bear."""
    if isinstance(value, str):
        return redact(value)[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {key: tidy(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(one) for one in value]
    return value
