"""The commands that explain: ``why``, ``plot`` and ``blame``."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.logs.timestamps import as_digits, moment
from supervisor.views.text import Screen

if TYPE_CHECKING:
    from supervisor.http.client import Client


def add_commands(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    why = add("why", "explain why a unit is in its state, and what would change it", "why console --since 2h")
    why.add_argument("unit", metavar="UNIT")
    why.add_argument(
        "--since",
        metavar="WHEN",
        help="since when: 10m, 2h, 1d, or a time (default: the unit's last change of state and what led to it)",
    )
    why.add_argument("--svg", type=Path, metavar="FILE", help="draw it as an SVG timeline into this file ('-': stdout)")
    plot = add("plot", "show how the host came up, and what it waited for", "plot --svg boot.svg")
    plot.add_argument("--svg", type=Path, metavar="FILE", help="draw it as SVG into this file ('-': stdout)")
    add("blame", "list the units by the time each took to come up", "blame")


def run(client: "Client", args: argparse.Namespace, print_json: Callable[[Any], None]) -> int:
    answer = client.get("units", args.unit, "why", since=_since(args.since))
    if args.svg is not None:
        from supervisor.views import timeline  # noqa: PLC0415 - only who wants a picture pays for it

        save(args.svg, timeline.draw(answer, time.time()))
    elif args.json:
        print_json(answer)
    else:
        from supervisor.views import why_text  # noqa: PLC0415 - other commands need not load it

        why_text.show(Screen(sys.stdout), answer)
    return 0


def _since(text: str | None) -> str | None:
    """``text`` as seconds; without a zone it is local time. What is not a time is sent as it is, and refused there."""
    try:
        return None if text is None else as_digits(moment(text, time.time(), local=True))
    except ValueError:
        return text


def run_plot(client: "Client", args: argparse.Namespace, print_json: Callable[[Any], None]) -> int:
    """``plot`` and ``blame``: the same chart, drawn or as a table."""
    from supervisor.views import boot_plot  # noqa: PLC0415 - as above

    chart = client.get("boot")
    if getattr(args, "svg", None) is not None:
        save(args.svg, boot_plot.draw(chart))
    elif args.json:
        print_json(chart)
    elif args.command == "plot":
        boot_plot.show(Screen(sys.stdout), chart)
    else:
        boot_plot.show_blame(Screen(sys.stdout), chart)
    return 0


def save(path: Path, picture: str) -> None:
    """Raises OSError, which names the file."""
    if str(path) == "-":
        sys.stdout.write(picture)
    else:
        path.write_text(picture, encoding="utf-8")
