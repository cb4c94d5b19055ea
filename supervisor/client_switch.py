"""The commands about what can be switched: ``console``, ``storage`` and ``engine``."""

import argparse
from typing import TYPE_CHECKING, Any

from supervisor import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.client import Client

    Add = Callable[[Any, str, str, str], argparse.ArgumentParser]

OK, FAILED = 0, 1
LONGEST = 900.0
"""Seconds: a switch may pull an image first."""

VERBS = {
    "console": ("list", "current", "switch", "enable"),
    "storage": ("list", "current", "switch", "enable", "check"),
    "engine": ("list", "current", "switch", "enable"),
}
ABOUT = {
    "console": "the container in which people work",
    "storage": "the storage context, in whose file system user Docker runs",
    "engine": "the program that user Docker runs",
}
HELP = {
    "list": "which there are, and which one is current",
    "current": "which one truly runs",
    "switch": "change over now, and at every boot; if it fails, all is as before",
    "enable": "change over at the next boot",
    "check": "whether a unit could be the storage context, and what it lacks",
}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", add: "Add") -> None:
    for name, verbs in VERBS.items():
        top = commands.add_parser(name, help=f"show or switch {ABOUT[name]}")
        below = top.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in verbs:
            taker = verb in {"switch", "enable", "check"}
            command = add(below, verb, HELP[verb], f"{name} {verb}" + (" NAME" if taker else ""))
            if taker:
                command.add_argument("name", metavar="NAME")
            if verb == "switch":
                command.add_argument("--force", action="store_true", help="also while somebody works in the console")
                command.add_argument("--no-wait", action="store_true", help="only ask")


def run(client: "Client", args: argparse.Namespace, show_json: "Callable[[Any], None]") -> int:
    screen = render.Screen.of_stdout()
    match args.verb:
        case "switch":
            answer = client.post(
                "switch", args.command, args.name, wait=0 if args.no_wait else LONGEST, force=int(args.force)
            )
        case "enable":
            answer = client.post("enable", args.command, args.name)
        case "check":
            answer = client.get("storage", args.name, "check")
        case _:
            answer = _looked_up(client, args.command)
    if args.json:
        show_json(answer)
    elif args.verb == "list":
        _show_list(screen, args.command, answer)
    elif args.verb == "current":
        screen.line(render.clean(answer["current"] or "none"))
    elif args.verb == "check":
        for line in answer["problems"] or [f"{args.name} can be the storage context"]:
            screen.line(render.clean(line))
        return OK if answer["fits"] else FAILED
    else:
        screen.line(render.clean(answer["answer"]))
        for step in (answer.get("switch") or {}).get("steps", ()):
            screen.line(f"  {step['step']:<12}{step['seconds']:8.3f} s")
    return OK


def _looked_up(client: "Client", what: str) -> Any:
    if what == "engine":
        return client.get("engines")
    found = client.get("status")[what]
    if found is None:
        return {"current": None, "enabled": None, "consoles": [], "contexts": []}
    return found


def _show_list(screen: render.Screen, what: str, answer: dict[str, Any]) -> None:
    def mark(name: str) -> str:
        words = ["current"] if name == answer["current"] else []
        return ", ".join(words + (["enabled"] if name == answer.get("enabled") else []))

    match what:
        case "console":
            rows = [
                (
                    one["name"],
                    mark(one["name"]),
                    one["state"],
                    "persistent" if one["persistent"] else "ephemeral",
                    "definition changed" if one["dirty"] else "",
                    one["image"],
                )
                for one in answer["consoles"]
            ]
            render.table(screen, ("CONSOLE", "", "STATE", "KIND", "", "IMAGE"), rows)
        case "storage":
            rows3 = [(one["name"], mark(one["name"]), one["state"]) for one in answer["contexts"]]
            render.table(screen, ("CONTEXT", "", "STATE"), rows3)
        case _:
            rows2 = [(one["name"], mark(one["name"]), one["binary"]) for one in answer["engines"]]
            render.table(screen, ("ENGINE", "", "BINARY"), rows2)
