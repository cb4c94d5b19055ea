"""The status page as an HTML document: the state at the moment of the request, readable without a script. Pure.

``static/page.js`` keeps the same elements up to date; both must make the same ones. All text is escaped by ``said``:
names and reasons come from files, images and engines.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from supervisor.views.severity import Level
from supervisor.views.text import clean

State = Mapping[str, Any]

MARKS = {level.word: level.mark for level in Level}
COLUMNS = ("Unit", "State", "Health", "Restarts", "Since", "Reason")
GROUPS = 12
"""Causes in the list of recent events."""


def said(value: object) -> str:
    """Any value as escaped text without control characters."""
    return escape(clean(value))


def document(state: State, picture: str, details: State | None = None) -> str:
    """The whole page.

    Args:
        state: The state, as ``model.whole`` makes it.
        picture: The graph as SVG.
        details: The details of the requested unit.
    """
    head = state["headline"]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{said(head["text"])} - dockwarden</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body data-level="{said(head["level"])}">
<header>
<h1 id="headline" aria-live="polite"><span class="mark" aria-hidden="true">{MARKS[head["level"]]}</span> \
<span class="text">{said(head["text"])}</span></h1>
<p id="because">{_because(head)}</p>
<p id="live" data-live="no">As it was at {_time(state["now"])}. <span>Without its script this page does not update \
itself: reload it.</span></p>
</header>
<main>
<section id="units" aria-labelledby="units-head">
<h2 id="units-head">Units</h2>
<table>
<thead><tr>{"".join(f'<th scope="col">{name}</th>' for name in COLUMNS)}</tr></thead>
<tbody>
{chr(10).join(_unit(unit, details) for unit in state["units"])}
</tbody>
</table>
<p class="none"{"" if not state["units"] else " hidden"}>There are no units.</p>
</section>
<section id="host" aria-labelledby="host-head">
<h2 id="host-head">Host</h2>
<dl>{"".join(f"<dt>{said(term)}</dt><dd>{said(text)}</dd>" for term, text in facts(state))}</dl>
</section>
<section id="graph" aria-labelledby="graph-head">
<h2 id="graph-head">Dependencies</h2>
<p class="legend"><span class="key shares">shares or holds</span> <span class="key order">starts after</span> \
<a href="/graph.svg">as an image</a></p>
<div class="scroll" tabindex="0" role="group" aria-label="The graph; it may be wider than the window">{picture}</div>
</section>
<section id="lately" aria-labelledby="lately-head">
<h2 id="lately-head">Recent events</h2>
<ol>{"".join(_group(group) for group in grouped(state["records"]))}</ol>
<p class="none"{"" if not state["records"] else " hidden"}>No events since the supervisor started.</p>
</section>
</main>
<footer>dockwarden {said(state["supervisor"]["version"])} &middot; read only &middot; \
<a href="/metrics">metrics</a> &middot; <a href="/healthz">healthz</a> &middot; <a href="/readyz">readyz</a></footer>
</body>
</html>
"""


def _because(head: State) -> str:
    since = f"since {_time(head['since'])}" if head["since"] else ""
    return ": ".join(part for part in (since, said(head["reason"])) if part)


def _time(stamp: str | None, kind: str = "clock") -> str:
    """In UTC; the script shows it as the reader's clock does."""
    if not stamp:
        return "-"
    shown = f"{stamp[11:19]}" if kind == "clock" else f"{stamp[:10]} {stamp[11:16]}"
    return f'<time class="{kind}" datetime="{said(stamp)}" title="{said(stamp)}">{said(shown)} UTC</time>'


def _unit(unit: State, details: State | None) -> str:
    name, level = unit["name"], unit["level"]
    open_ = details is not None and details["unit"]["name"] == name
    more = f'\n<tr class="more"><td colspan="{len(COLUMNS)}">{_details(details)}</td></tr>' if open_ and details else ""
    href = "/" if open_ else f"/?unit={quote(name, safe='')}"
    return (
        f'<tr class="unit" data-unit="{escape(name)}" data-level="{said(level)}">'
        f'<th scope="row"><a href="{escape(href)}" aria-expanded="{"true" if open_ else "false"}">'
        f"<bdi>{said(name)}</bdi></a></th>"
        f'<td class="state"><span class="mark" aria-hidden="true">{MARKS[level]}</span> '
        f'<span class="text">{said(unit["state"])}</span></td>'
        f'<td class="health">{said(health(unit))}</td>'
        f'<td class="restarts">{said(unit["restarts"])}</td>'
        f'<td class="since">{_time(unit["since"], "ago")}</td>'
        f'<td class="reason"><bdi>{said(reason(unit))}</bdi></td></tr>{more}'
    )


def health(unit: State) -> str:
    """``-`` for a unit without checks; with several, how many of them pass."""
    if unit["health"] == "none":
        return "-"
    checks = unit["checks"].values()
    count = f", {sum(one == 'healthy' for one in checks)} of {len(checks)}" if len(checks) > 1 else ""
    return f"{unit['health']}{', flapping' if unit['flapping'] else ''}{count}"


def reason(unit: State) -> str:
    return str(unit["reason"] if unit["touched"] else f"not managed (no label); {unit['reason']}")


def facts(state: State) -> Iterator[tuple[str, str]]:
    """The facts about the host, as pairs of a term and a text."""
    engine, boss, console = state["engine"], state["supervisor"], state["console"]
    version = f" {engine['version']}" if engine["version"] else ""
    yield "engine", f"{'up' if engine['up'] else 'down'}{version}, {engine['mode']}: {engine['reason']}"
    if engine["daemon"]:
        yield "its process", engine["daemon"]
    if console is not None:
        later = "" if console["enabled"] == console["current"] else f"; {console['enabled']} at the next boot"
        others = [one["name"] for one in console["consoles"] if one["name"] != console["current"]]
        yield "console", f"{console['current'] or 'none'}{later}" + (f" (also: {', '.join(others)})" if others else "")
    if (storage := state["storage"]) is not None:
        later = "" if storage["enabled"] == storage["current"] else f"; {storage['enabled']} at the next boot"
        yield "storage", f"{storage['current']}{later}"
    if (docker := state["user_docker"]) is not None:
        trouble = f": {docker['trouble']}" if docker["trouble"] else ""
        yield (
            "user Docker",
            f"{docker['state']}, {docker['version'] or 'version unknown'}, in {docker['context']}{trouble}",
        )
    yield "switch", _switch(state["switch"])
    if (read := boss.get("configuration", "in-force")) != "in-force":
        yield "configuration", read.replace("-", " ")
    for trouble in boss.get("troubles", ()):
        yield "trouble", trouble["reason"]
    going = ", going down" if boss["draining"] else ""
    yield (
        "supervisor",
        f"{boss['version']}, pid {boss['pid']}, since {boss['started'][:16].replace('T', ' ')} UTC{going}",
    )


def _switch(switch: State) -> str:
    if (now := switch["now"]) is not None:
        why = f" ({now['why']})" if now["why"] else ""
        return f"{now['of']}: {now['origin'] or 'own'} to {now['target'] or 'own'}, {now['step']}{why}"
    if (last := switch["last"]) is not None:
        why = f": {last['why']}" if last["why"] else ""
        seconds = sum(step["seconds"] for step in last["steps"])
        way = f"{last['origin'] or 'own'} to {last['target'] or 'own'}"
        return f"last: {last['of']}: {way}, {last['result']} in {seconds:.1f} s{why}"
    return "none since the supervisor started"


def _details(details: State) -> str:
    """The details that open below a unit; the script makes the same."""
    unit = details["unit"]
    facts_ = [("means", details["meaning"]), ("next", details["next"])]
    if details["next_try"]:
        facts_.append(("next try", details["next_try"]))
    if unit["exit_code"] is not None:
        facts_.append(("last exit code", unit["exit_code"]))
    if unit["container_id"]:
        facts_.append(("container", unit["container_id"]))
    if details["needs"]:
        facts_.append(("needs", ", ".join(f"{one['name']} ({one['via']})" for one in details["needs"])))
    if details["needed_by"]:
        facts_.append(("needed by", ", ".join(details["needed_by"])))
    facts_ += [
        (f"check {one['check']}", f"{one['outcome']}: {one['output']}" if one["output"] else one["outcome"])
        for one in details["checks"]
    ]
    listed = "".join(f"<dt>{said(term)}</dt><dd>{said(text)}</dd>" for term, text in facts_)
    chain = "".join(_link(record, unit["name"]) for record in reversed(details["chain"]))
    told = f"<ol>{chain}</ol>" if chain else "<p>No events since the supervisor started.</p>"
    return f'<div class="details"><dl>{listed}</dl><h3>What happened</h3>{told}</div>'


def _link(record: State, name: str) -> str:
    whose = record.get("unit", "")
    other = f"<bdi>{said(whose)}</bdi> " if whose and whose != name else ""
    on = said(_ground(record))
    return f"<li>{_time(record['time'])} <span>{other}{_happened(record)}</span> <small>{on}</small></li>"


def _ground(record: State) -> str:
    """For a decision its rule and inputs, else the event behind it."""
    if record["event"] != "unit.decision":
        return str(record.get("happened", ""))
    inputs = ", ".join(f"{name}={value}" for name, value in record.get("inputs", {}).items())
    return f"{record.get('rule', '')}: {inputs}" if inputs else str(record.get("rule", ""))


def _happened(record: State) -> str:
    what = record["event"]
    if what == "unit.transition":
        what = f"{record.get('before', '')} → {record.get('after', '')}"
    elif what == "unit.fact":
        what = record.get("happened", what)
    elif what == "unit.decision":
        what = f"decided: {record.get('outcome', '')}"
    because = f": {record['reason']}" if record.get("reason") else ""
    return f"<b>{said(what)}</b><bdi>{said(because)}</bdi>"


def grouped(records: Sequence[State]) -> list[list[State]]:
    """Records by cause, the newest cause first; within a cause in order."""
    groups: dict[str, list[State]] = {}
    for record in records:
        groups.setdefault(record.get("cause") or f"-{record['seq']}", []).append(record)
    newest = sorted(groups.values(), key=lambda group: -int(group[-1]["seq"]))
    return newest[:GROUPS]


def _group(group: Iterable[State]) -> str:
    first, *_ = members = list(group)
    items = "".join(
        f'<li><bdi class="unit-name">{said(one.get("unit") or "host")}</bdi> {_happened(one)}</li>' for one in members
    )
    return (
        f'<li>{_time(first["time"])} <b class="fact">{said(first.get("happened") or first["event"])}</b> '
        f"<small>{said(first.get('cause', ''))}</small><ul>{items}</ul></li>"
    )
