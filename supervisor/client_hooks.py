"""The commands about hooks: ``hooks list`` and ``hooks test``."""

import argparse
from typing import TYPE_CHECKING, Any

from supervisor import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.calling import Client

    Add = Callable[[Any, str, str, str], argparse.ArgumentParser]

OK, FAILED = 0, 1


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", add: "Add") -> None:
    below = commands.add_parser(
        "hooks", help="show and try the host's hooks", epilog="example:\n  dockwarden hooks list"
    ).add_subparsers(dest="verb", required=True, metavar="VERB")
    add(below, "list", "which hooks there are, what they ask for and how they fared", "hooks list")
    test = add(below, "test", "tell the hooks of an event that did not happen", "hooks test unit.restarted --unit web")
    test.add_argument("event", metavar="EVENT")
    test.add_argument("--unit", default="test", metavar="UNIT", help="whom it is about (default: %(default)s)")


def run(client: "Client", args: argparse.Namespace, show_json: "Callable[[Any], None]") -> int:
    answer = client.get("hooks") if args.verb == "list" else client.post("hooks", "test", args.event, unit=args.unit)
    if args.json:
        show_json(answer)
    else:
        _show(render.Screen.of_stdout(), args.verb, answer)
    return FAILED if args.verb == "test" and any(one["error"] for one in answer) else OK


def _show(screen: render.Screen, verb: str, answer: list[dict[str, Any]]) -> None:
    if not answer:
        screen.line("no hooks" if verb == "list" else "no hook asks for it")
    for one in answer:
        if verb == "test":
            screen.line(render.clean(f"{one['hook']}: {one['error'] or 'done'}"))
            continue
        said = f"{one['name']}  {one['events']}  {one['state']}  {one['runs']} runs, {one['failed']} failed"
        last = f"; last: {one['last_error']}" if one["last_error"] else ""
        lost = f", {one['dropped']} dropped" if one["dropped"] else ""
        screen.line(render.clean(said + lost + last))
