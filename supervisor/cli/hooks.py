"""The commands about hooks: ``hooks list``, ``test``, ``enable``, ``disable`` and ``reload``."""

import argparse
from typing import TYPE_CHECKING, Any

from supervisor.views.text import Screen, clean, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.http.client import Client

    Add = Callable[[Any, str, str, str], argparse.ArgumentParser]

OK, FAILED = 0, 1


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", add: "Add") -> None:
    below = commands.add_parser(
        "hooks", help="list, test, enable and disable the host's hooks", epilog="example:\n  dockwarden hooks list"
    ).add_subparsers(dest="verb", required=True, metavar="VERB")
    add(below, "list", "list hooks with their events, state and number of runs", "hooks list")
    test = add(below, "test", "call the hooks with a made-up event", "hooks test unit.restarted --unit web")
    test.add_argument("event", metavar="EVENT", help="an event, or a gate such as before_start")
    test.add_argument(
        "--unit", dest="about", default="test", metavar="UNIT", help="the unit it is about (default: %(default)s)"
    )
    for verb, what in (
        ("enable", "call a hook again"),
        ("disable", "do not call a hook until it is enabled"),
    ):
        switch = add(below, verb, what, f"hooks {verb} note.py:tell")
        switch.add_argument("name", metavar="NAME", help="as in 'hooks list'")
    add(below, "reload", "read the hooks' directory again", "hooks reload")


def run(client: "Client", args: argparse.Namespace, show_json: "Callable[[Any], None]") -> int:
    answer = _ask(client, args)
    if args.json:
        show_json(answer)
    else:
        _show(Screen.of_stdout(), args.verb, answer)
    return FAILED if args.verb == "test" and any(one["error"] for one in answer) else OK


def _ask(client: "Client", args: argparse.Namespace) -> Any:
    match args.verb:
        case "list":
            return client.get("hooks")
        case "test":
            return client.post("hooks", "test", args.event, unit=args.about)
        case "reload":
            return client.post("hooks", "reload")
        case _:
            return client.post("hooks", args.verb, args.name)


def _show(screen: Screen, verb: str, answer: Any) -> None:
    if verb in {"enable", "disable"}:
        screen.line(clean(f"{answer['hook']} is {'on' if answer['on'] else 'off'}"))
    elif not answer:
        screen.line("no hook for this event" if verb == "test" else "no hooks")
    elif verb == "test":
        _show_told(screen, answer)
    else:
        _show_list(screen, answer)


def _show_told(screen: Screen, answer: list[dict[str, Any]]) -> None:
    for one in answer:
        said = one["error"] or one["answer"] or "done"
        screen.line(clean(f"{one['hook']}: {said}") + _printed(one["output"]))


def _show_list(screen: Screen, answer: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["name"],
            one["events"],
            one["state"],
            one["runs"],
            one["failed"],
            one["dropped"],
            one["last_error"] or "",
        )
        for one in answer
    ]
    table(screen, ("HOOK", "EVENTS", "STATE", "RUNS", "FAILED", "DROPPED", "LAST ERROR"), rows)


def _printed(output: str | None) -> str:
    lines = (output or "").splitlines()
    return "".join(f"\n  | {clean(line)}" for line in lines)
