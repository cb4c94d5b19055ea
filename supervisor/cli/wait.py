"""The command ``wait``: blocks until units reach a state; the exit code is for scripts."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.http.client import Client

    Add = Callable[[str, str, str], argparse.ArgumentParser]

OK, FAILED = 0, 1
GOALS = ("ready", "running", "healthy", "completed", "stopped", "failed")
"""As the supervisor has them; a test compares."""


def add_commands(add: "Add", seconds: "Callable[[str], float]") -> None:
    command = add("wait", "wait until units reach a state, without polling", "wait web --for healthy --timeout 60")
    command.add_argument("units", nargs="+", metavar="UNIT")
    command.add_argument(
        "--for",
        dest="goal",
        choices=GOALS,
        default="ready",
        metavar="GOAL",
        help=f"the state to wait for: {', '.join(GOALS)} (default: %(default)s)",
    )
    command.add_argument(
        "--timeout", type=seconds, default=90.0, metavar="SECONDS", help="longest wait (default: %(default)g)"
    )


def ask(client: "Client", name: str, args: argparse.Namespace) -> Any:
    return client.get("units", name, "wait", wait=args.timeout, **{"for": args.goal, "timeout": args.timeout})


def report(name: str, told: dict[str, Any], args: argparse.Namespace) -> tuple[int, str]:
    """The exit code, and its message."""
    unit = told["unit"]
    if told["reached"]:
        return OK, f"{name}: {args.goal}, {unit['reason']}"
    late = "it cannot reach it without intervention" if told["hopeless"] else f"the {args.timeout:g} s are over"
    return FAILED, f"{name} is not {args.goal}, and {late}: it is {unit['state']}, {unit['reason']}"
