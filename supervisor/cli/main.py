"""The client's commands: send a request to the running supervisor over its socket, and show the answer.

Only the standard library, and little of it: a command must have answered before the daemon's modules were even loaded.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from supervisor import os_errors
from supervisor.cli import graph, hooks, logs, switch, top, wait, why
from supervisor.cli.doctor import command as doctor
from supervisor.cli.parser import guessed
from supervisor.cli.progress import Progress
from supervisor.http.client import NOT_FOUND, Client, RefusedError, UnreachableError
from supervisor.version import VERSION
from supervisor.views.text import COLOURS, Screen, clean, show_event, show_status, show_units

__all__ = ["Client", "RefusedError", "UnreachableError", "add_commands", "run"]

OK, FAILED, USAGE, UNREACHABLE, UNKNOWN = range(5)
"""Exit codes; docs/reference/cli.md says what they mean."""
INTERRUPTED = 130

TOGETHER = 128
"""Units asked at the same time: they may wait for one another."""
LONGEST_WAIT = 3600.0


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that ask a running supervisor; ``run`` carries them out."""

    def add_below(
        commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, help_text: str, example: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            epilog=f"example:\n  dockwarden {example}",
        )
        command.add_argument("--json", action="store_true", help="JSON instead of text")
        command.add_argument(
            "--run-dir", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="where control.sock is"
        )
        return command

    def add(name: str, help_text: str, example: str) -> argparse.ArgumentParser:
        return add_below(subparsers, name, help_text, example)

    add("status", "show the engine, the supervisor and all units", "status --json")
    add("units", "list the units", "units")
    events = add("events", "show recent events", "events -f")
    events.add_argument("-f", "--follow", action="store_true", help="keep printing new events")
    events.add_argument("--unit", metavar="UNIT", help="only this unit")
    events.add_argument("--tail", type=_count, metavar="N", help="the last N (default: all that are kept; with -f: 10)")
    logs.add_arguments(add("logs", "show what was done and what containers wrote", "logs -f web --since 10m"))
    why.add_commands(add)
    for verb, help_text in (
        ("start", "start units, and wait until they are ready"),
        ("stop", "stop units and keep them stopped, and wait until they are stopped"),
        ("restart", "stop and start units, and wait until they are ready"),
        ("reset-failed", "clear a unit's failures and start it now"),
    ):
        command = add(verb, help_text, f"{verb} console")
        command.add_argument("units", nargs="+", metavar="UNIT")
        if verb != "reset-failed":
            command.add_argument("--no-wait", action="store_true", help="return at once")
            command.add_argument(
                "--timeout", type=_wait, default=90.0, metavar="SECONDS", help="longest wait (default: %(default)g)"
            )
    wait.add_commands(add, _wait)
    switch.add_commands(subparsers, add_below)
    hooks.add_commands(subparsers, add_below)
    doctor.add_commands(add)
    graph.add_commands(add)
    top.add_commands(add)
    add("version", "show the versions of this program and of the running supervisor", "version")


def run(args: argparse.Namespace) -> int:
    """Carry out a command of ``add_commands``; returns its exit code."""
    client = Client(Path(args.run_dir))
    try:
        code = _COMMANDS[args.command](client, args)
        sys.stdout.flush()
    except UnreachableError as error:
        return _complain(str(error), "", UNREACHABLE)
    except RefusedError as error:
        return _refused(client, args, error)
    except BrokenPipeError:
        _write_no_more()  # `dockwarden events -f | head`: who wanted to read has read.
        return OK
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:
            _write_no_more()
        return _complain(f"cannot write the answer: {os_errors.why(error)}", "", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _write_no_more() -> None:
    """The interpreter's last flush must not complain, nor end us with an exit code of its own (120)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a whole number, not '{text}'")
    return int(text)


def _wait(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"expected 0 to {LONGEST_WAIT:g} seconds, not '{text}'")
    return value


def _complain(error: str, hint: str, code: int) -> int:
    screen = Screen(sys.stderr)
    screen.line(f"dockwarden: {clean(error)}" + (f"; {clean(hint)}" if hint else ""))
    return code


def _refused(client: Client, args: argparse.Namespace, error: RefusedError) -> int:
    if error.code != NOT_FOUND:
        return _complain(str(error), error.hint, FAILED)
    if str(error).startswith("there is no unit"):
        name = getattr(args, "unit", None) or getattr(args, "name", None)
        return _complain(str(error), _did_you_mean(client, name) or error.hint, UNKNOWN)
    named = str(getattr(args, "event", None) or getattr(args, "name", ""))
    guess = guessed(named, error.hint.removeprefix("there are: ").split(", "))
    return _complain(str(error), guess.removeprefix("; ") or error.hint, UNKNOWN)


def _did_you_mean(client: Client, name: str | None) -> str:
    """The name of a unit that resembles the unknown one."""
    if not name:
        return ""
    try:
        known = [str(unit["name"]) for unit in client.get("units")]
    except (UnreachableError, RefusedError):
        return ""
    if guess := guessed(name, known):
        return guess.removeprefix("; ")
    return f"there are: {', '.join(known)}" if len(known) <= 20 else "'dockwarden units' lists them"


def _screen() -> Screen:
    return Screen(sys.stdout)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _status(client: Client, args: argparse.Namespace) -> int:
    answer = client.get("status")
    if args.json:
        _print_json(answer)
    else:
        show_status(_screen(), answer)
    return OK


def _units(client: Client, args: argparse.Namespace) -> int:
    answer = client.get("units")
    if args.json:
        _print_json(answer)
    else:
        show_units(_screen(), answer)
    return OK


def _why_unit(client: Client, args: argparse.Namespace) -> int:
    return why.run(client, args, _print_json)


def _plot(client: Client, args: argparse.Namespace) -> int:
    return why.run_plot(client, args, _print_json)


def _events(client: Client, args: argparse.Namespace) -> int:
    tail = args.tail if args.tail is not None else (10 if args.follow else None)
    screen = _screen()
    for event in client.stream("events", follow=int(args.follow), tail=tail, unit=args.unit):
        if args.json:
            screen.line(json.dumps(event))
        else:
            show_event(screen, event)
        if args.follow:
            screen.flush()
    return OK


def _logs(client: Client, args: argparse.Namespace) -> int:
    return logs.run(client, args, _complain, UnreachableError)


def _version(client: Client, args: argparse.Namespace) -> int:
    """Show both versions. Works without a supervisor."""
    try:
        running = client.get("version")
    except UnreachableError as error:
        running, said = None, str(error)
    else:
        said = f"supervisor {clean(running['version'])}, pid {clean(running['pid'])}"
    if args.json:
        _print_json({"client": VERSION, "supervisor": running})
    else:
        screen = _screen()
        screen.line(f"dockwarden {VERSION}")
        screen.line(said)
    return OK


def _verb(client: Client, args: argparse.Namespace) -> int:
    """Send all requests concurrently: the start of one unit may need another's."""
    patience = 0.0 if getattr(args, "no_wait", True) else args.timeout
    names = list(dict.fromkeys(args.units))
    results = _asked(
        client, names, lambda name: client.post("units", name, args.command, wait=patience), quick=not patience
    )
    if args.json:
        _print_json({name: _as_json(results[name]) for name in names})
        return max((_code(results[name]) for name in names), default=OK)
    return max(_report(client, args.command, name, results[name], patience) for name in names)


def _wait_for(client: Client, args: argparse.Namespace) -> int:
    names = list(dict.fromkeys(args.units))
    results = _asked(client, names, lambda name: wait.ask(client, name, args))
    if args.json:
        _print_json({name: _as_json(results[name]) for name in names})
        return max(_code(results[name], "reached") for name in names)
    return max(_report_wait(client, args, name, results[name]) for name in names)


def _report_wait(client: Client, args: argparse.Namespace, name: str, result: Any) -> int:
    if isinstance(result, RefusedError | UnreachableError):
        return _report(client, "wait", name, result, args.timeout)
    code, said = wait.report(name, result, args)
    if code:
        return _complain(said, f"see 'dockwarden why {name}'", code)
    _screen().line(clean(said))
    return code


def _asked(client: Client, names: Sequence[str], ask: Callable[[str], Any], *, quick: bool = False) -> dict[str, Any]:
    """Request all units concurrently and show their progress; returns an answer or an error for each."""
    results: dict[str, Any] = {}

    def one(name: str) -> None:
        try:
            results[name] = ask(name)
        except (RefusedError, UnreachableError) as error:
            results[name] = error

    with nullcontext() if quick else Progress(client, names):
        for i in range(0, len(names), TOGETHER):
            threads = [threading.Thread(target=one, args=(name,), daemon=True) for name in names[i : i + TOGETHER]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    return results


def _switchable(client: Client, args: argparse.Namespace) -> int:
    return switch.run(client, args, _print_json)


def _hooks(client: Client, args: argparse.Namespace) -> int:
    return hooks.run(client, args, _print_json)


def _graph(client: Client, args: argparse.Namespace) -> int:
    return graph.run(client, args, _print_json)


def _top(client: Client, args: argparse.Namespace) -> int:
    return top.run(client, args, _print_json)


def _code(result: Any, good: str = "ok") -> int:
    if isinstance(result, UnreachableError):
        return UNREACHABLE
    if isinstance(result, RefusedError):
        return UNKNOWN if result.code == NOT_FOUND else FAILED
    return OK if result[good] else FAILED


def _as_json(result: Any) -> Any:
    if isinstance(result, RefusedError):
        return {"ok": False, "error": str(result), "hint": result.hint}
    if isinstance(result, UnreachableError):
        return {"ok": False, "error": str(result)}
    return result


def _report(client: Client, verb: str, name: str, result: Any, patience: float) -> int:
    if isinstance(result, RefusedError):
        unknown = result.code == NOT_FOUND
        return _complain(str(result), (_did_you_mean(client, name) if unknown else "") or result.hint, _code(result))
    if isinstance(result, UnreachableError):
        return _complain(str(result), "", _code(result))
    unit, screen = result["unit"], _screen()
    state = clean(unit["state"])
    said = f"{clean(name)}: {screen.paint(state, COLOURS.get(state))}, {clean(unit['reason'])}"
    if result["ok"]:
        screen.line(said)
        return OK
    late = "" if result["settled"] else f" (not settled within {patience:g} s)"
    return _complain(f"{verb} {name}: it is {state}{late}: {unit['reason']}", f"see 'dockwarden why {name}'", FAILED)


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], int]] = {
    "status": _status,
    "units": _units,
    "events": _events,
    "logs": _logs,
    "why": _why_unit,
    "plot": _plot,
    "blame": _plot,
    "start": _verb,
    "stop": _verb,
    "restart": _verb,
    "reset-failed": _verb,
    "wait": _wait_for,
    "version": _version,
    "hooks": _hooks,
    "graph": _graph,
    "tree": _graph,
    "top": _top,
    "console": _switchable,
    "storage": _switchable,
    "engine": _switchable,
    "doctor": doctor.doctor,
    "support": doctor.support,
}
