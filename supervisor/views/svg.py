"""SVG shapes as text, for pictures that stand alone. Pure.

A picture needs nothing from elsewhere (no font, no script, no style sheet), is readable on dark and on light, and
shows names that came from anywhere: every text is escaped here, and every class name is one of ours.
"""

from collections.abc import Iterable

FONT = "ui-sans-serif, system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
STYLE = f"""
svg {{ --back: #ffffff; --ink: #1c2330; --dim: #667085; --rule: #d7dce3; --good: #2e9e5b; --going: #3b7dd8;
  --late: #c98a00; --bad: #d23f3f; --off: #a7b0bd; --note: #7a4fc9; background: var(--back);
  font: 12px {FONT}; }}
@media (prefers-color-scheme: dark) {{ svg {{ --back: #12161d; --ink: #e6e9ef; --dim: #98a2b3; --rule: #313a47;
  --good: #3fb76f; --going: #5b9bf0; --late: #e0a92e; --bad: #f06a6a; --off: #5b6675; --note: #a98bec; }} }}
text {{ fill: var(--ink); }} .back {{ fill: var(--back); }} .dim {{ fill: var(--dim); }} .small {{ font-size: 11px; }}
.head {{ font-size: 15px; font-weight: 600; }} .strong {{ font-weight: 600; }} .rule {{ stroke: var(--rule); }}
.good {{ fill: var(--good); }} .going {{ fill: var(--going); }} .late {{ fill: var(--late); }}
.bad {{ fill: var(--bad); }} .off {{ fill: var(--off); }} .note {{ fill: var(--note); }} .ink {{ fill: var(--ink); }}
.none {{ fill: none; }} .edge {{ stroke: var(--dim); fill: none; }} .marked {{ stroke: var(--ink); stroke-width: 2; }}
"""
"""Colours have names by meaning, so that a class says what it is and not how it looks."""

TONES: dict[str, str] = {
    "ready": "good",
    "completed": "good",
    "running": "going",
    "starting": "going",
    "creating": "going",
    "clearing": "going",
    "pulling": "note",
    "waiting": "off",
    "inactive": "off",
    "paused": "off",
    "draining": "late",
    "stopping": "late",
    "exited": "late",
    "backoff": "late",
    "crash-loop": "bad",
    "image-missing": "bad",
    "failed": "bad",
    "absent": "off",
    "connecting": "going",
    "serving": "good",
    "hung": "bad",
    "lost": "bad",
    "stopped": "off",
}
"""The class of each state."""


def tone(state: str) -> str:
    return TONES.get(state, "off")


def escape(value: object) -> str:
    """Text for between tags and in quotes. What XML forbids, and what could steer or turn text around, becomes ?."""
    text = "" if value is None else str(value)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " if char in "\n\t" else "?" for char in text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def number(value: float) -> str:
    """A coordinate: two decimals are finer than any screen."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """``name`` and the attributes' names are ours, ``content`` is finished; a trailing ``_`` in a name is dropped."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) else escape(value)}"'
        for key, value in attributes.items()
        if value not in {None, ""}
    )
    return f"<{name}{said}>{content}</{name}>" if content else f"<{name}{said}/>"


def rect(x: float, y: float, width: float, height: float, class_: str, *, title: str = "", radius: float = 2) -> str:
    """``title`` is shown where the pointer rests."""
    return element(
        "rect",
        element("title", escape(title)) if title else "",
        x=float(x),
        y=float(y),
        width=float(max(width, 0)),
        height=float(max(height, 0)),
        rx=float(radius),
        class_=class_,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str = "rule", **more: object) -> str:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_, **more)


def text(x: float, y: float, said: object, class_: str = "", *, anchor: str = "start", longest: int = 0) -> str:
    """``longest``: characters; more are cut, and the whole is shown where the pointer rests."""
    whole = "" if said is None else str(said)
    cut = whole if not longest or len(whole) <= longest else whole[: max(longest - 1, 1)] + "…"
    title = element("title", escape(whole)) if cut is not whole else ""
    return element(
        "text",
        title + escape(cut) if whole else " ",
        x=float(x),
        y=float(y),
        class_=class_,
        text_anchor=None if anchor == "start" else anchor,
    )


def path(points: str, class_: str, title: str = "", **more: object) -> str:
    return element("path", element("title", escape(title)) if title else "", d=points, class_=class_, **more)


def circle(x: float, y: float, radius: float, class_: str, title: str = "") -> str:
    return element(
        "circle",
        element("title", escape(title)) if title else "",
        cx=float(x),
        cy=float(y),
        r=float(radius),
        class_=class_,
    )


def drawing(width: float, height: float, title: str, parts: Iterable[str], style: str = "") -> str:
    """A whole picture. ``style``: rules of its own, ours too. Scales to where it is shown, down to a phone."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}" role="img" style="max-width:100%;height:auto">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n{body}\n</svg>\n"
    )
