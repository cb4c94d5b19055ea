"""The commands that list and switch consoles, storage contexts and engines: ``console``, ``storage``, ``engine``."""

import argparse
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from supervisor.cli.progress import Progress
from supervisor.views.text import Screen, clean, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.http.client import Client

    Add = Callable[[Any, str, str, str], argparse.ArgumentParser]

OK, FAILED = 0, 1
LONGEST = 900.0
"""Seconds: a switch may pull an image first."""

VERBS = {
    "console": ("list", "current", "switch", "enable", "recreate"),
    "storage": ("list", "current", "switch", "enable", "check"),
    "engine": ("list", "current", "switch", "enable"),
}
ABOUT = {
    "console": "the console, the container that users log in to",
    "storage": "the storage context, whose file system user Docker uses",
    "engine": "the engine, the dockerd binary of user Docker",
}
HELP = {
    "list": "list them, and mark the current one",
    "current": "show which one is running",
    "switch": "switch now, and use it at every boot; on failure the previous one is back",
    "enable": "switch at the next boot",
    "recreate": "re-create the current console from its definition; on failure the previous one is back",
    "check": "check whether a unit can be the storage context, and what it lacks",
}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", add: "Add") -> None:
    for name, verbs in VERBS.items():
        top = commands.add_parser(
            name, help=f"show or switch {ABOUT[name]}", epilog=f"example:\n  dockwarden {name} list"
        )
        below = top.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in verbs:
            taker = verb in {"switch", "enable", "check"}
            command = add(below, verb, HELP[verb], f"{name} {verb}" + (" NAME" if taker else ""))
            if taker:
                command.add_argument("name", metavar="NAME")
            if verb in {"switch", "recreate"}:
                command.add_argument(
                    "--force", action="store_true", help="also while users are logged in to the console"
                )
                if (name, verb) == ("console", "switch"):
                    command.add_argument(
                        "--empty",
                        action="store_true",
                        help="also when its container was removed: make a new, empty one",
                    )
                command.add_argument("--no-wait", action="store_true", help="return at once")


def run(client: "Client", args: argparse.Namespace, show_json: "Callable[[Any], None]") -> int:
    answer = _ask(client, args)
    if args.json:
        show_json(answer)
    else:
        _show(Screen.of_stdout(), args, answer)
    return FAILED if args.verb == "check" and not answer["fits"] else OK


def _ask(client: "Client", args: argparse.Namespace) -> Any:
    wait = 0.0 if getattr(args, "no_wait", False) else LONGEST
    match args.verb:
        case "switch" | "recreate":
            anew = args.verb == "recreate"
            name = _present(client) if anew else args.name
            with Progress(client, ("console", "user-docker")) if wait else nullcontext():
                empty = {"empty": 1} if getattr(args, "empty", False) else {}
                return client.post(
                    "switch", args.command, name, wait=wait, force=int(args.force), anew=int(anew), **empty
                )
        case "enable":
            return client.post("enable", args.command, args.name)
        case "check":
            return client.get("storage", args.name, "check")
        case _:
            return _looked_up(client, args.command)


def _present(client: "Client") -> str:
    """The name of the current console, also while it does not run; a dash if there is none."""
    known = (client.get("status")["console"] or {}).get("consoles", ())
    return next((str(one["name"]) for one in known if one["state"] not in {"parked", "removed", "available"}), "-")


def _show(screen: Screen, args: argparse.Namespace, answer: dict[str, Any]) -> None:
    match args.verb:
        case "list":
            _show_list(screen, args.command, answer)
        case "current":
            screen.line(clean(answer["current"] or "none"))
        case "check":
            for line in answer["problems"] or [f"{args.name} can be the storage context"]:
                screen.line(clean(line))
        case _:
            screen.line(clean(answer["answer"]))
            for step in (answer.get("switch") or {}).get("steps", ()):
                screen.line(f"  {step['step']:<12}{step['seconds']:8.3f} s")


def _looked_up(client: "Client", what: str) -> Any:
    if what == "engine":
        return client.get("engines")
    found = client.get("status")[what]
    if found is None:
        return {"current": None, "enabled": None, "consoles": [], "contexts": []}
    return found


def _show_list(screen: Screen, what: str, answer: dict[str, Any]) -> None:
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
            table(screen, ("CONSOLE", "", "STATE", "KIND", "", "IMAGE"), rows)
        case "storage":
            rows3 = [(one["name"], mark(one["name"]), one["state"]) for one in answer["contexts"]]
            table(screen, ("CONTEXT", "", "STATE"), rows3)
        case _:
            rows2 = [(one["name"], mark(one["name"]), one["binary"]) for one in answer["engines"]]
            table(screen, ("ENGINE", "", "BINARY"), rows2)
