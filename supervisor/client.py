"""The client's half of the command line: asks a running supervisor over its socket and shows the answer.

Only the standard library, and little of it: a command must have answered before the daemon's modules were even loaded.
"""

import argparse
import http.client
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from supervisor import client_doctor, client_hooks, client_logs, client_switch, render
from supervisor.version import VERSION

OK, FAILED, USAGE, UNREACHABLE, UNKNOWN = range(5)
"""Exit codes; docs/reference/cli.md says what they mean."""
INTERRUPTED = 130

SOCKET = "control.sock"
PATIENCE = 15.0
"""Seconds for an answer that needs no wait."""
TOGETHER = 128
"""Units asked at the same time: they may wait for one another."""
LONGEST_WAIT = 3600.0
LONGEST_LINE = 4 * 1024 * 1024


class UnreachableError(Exception):
    """No supervisor answers; the text says why and what to do."""


class RefusedError(Exception):
    """The supervisor answered with an error."""

    def __init__(self, code: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.code = code
        self.hint = hint


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("dockwarden")
        self._path = path
        self._patience = timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._patience)
        try:
            self.sock.connect(str(self._path))
        except OSError as error:
            self.sock.close()
            raise UnreachableError(_no_answer(self._path, error)) from error


class Client:
    """One supervisor, by its run directory. All calls raise UnreachableError or RefusedError."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / SOCKET

    def get(self, *path: str, **query: object) -> Any:
        return self._ask("GET", path, query, PATIENCE)

    def post(self, *path: str, wait: float = 0, **query: object) -> Any:
        return self._ask("POST", path, {"wait": wait, **query}, PATIENCE + wait)

    def stream(self, *path: str, **query: object) -> Iterator[dict[str, Any]]:
        """JSON lines until the supervisor ends them."""
        connection = _Connection(self.path, None)
        try:
            response = self._send(connection, "GET", path, query)
            if response.status != http.client.OK:
                _refuse(response)
            while line := response.readline(LONGEST_LINE):
                yield json.loads(line)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise UnreachableError(f"the supervisor on {self.path} cut the stream: {_why(error)}") from error
        finally:
            connection.close()

    def _ask(self, method: str, path: Sequence[str], query: dict[str, object], timeout: float) -> Any:
        connection = _Connection(self.path, timeout)
        try:
            response = self._send(connection, method, path, query)
            if response.status not in {http.client.OK, http.client.ACCEPTED}:
                _refuse(response)
            return json.load(response)
        except TimeoutError:
            said = f"the supervisor on {self.path} does not answer within {timeout:g} s: see its log"
            raise UnreachableError(said) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise UnreachableError(f"no sensible answer on {self.path}: {_why(error)}") from error
        finally:
            connection.close()

    @staticmethod
    def _send(
        connection: _Connection, method: str, path: Sequence[str], query: dict[str, object]
    ) -> http.client.HTTPResponse:
        asked = {key: value for key, value in query.items() if value is not None}
        url = "/v1/" + "/".join(quote(part, safe="") for part in path) + (f"?{urlencode(asked)}" if asked else "")
        connection.request(method, url, headers={"Connection": "close"})
        return connection.getresponse()


def _refuse(response: http.client.HTTPResponse) -> None:
    body = response.read(LONGEST_LINE)
    try:
        said = json.loads(body)
        error, hint = str(said["error"]), str(said.get("hint", ""))
    except (ValueError, KeyError, TypeError):
        error, hint = f"HTTP {response.status}: {body[:200].decode(errors='replace')}", ""
    raise RefusedError(response.status, error, hint)


def _no_answer(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"no permission on {path}: run as root (sudo dockwarden ...)"
    return f"no supervisor answers on {path}: {_why(error)}; start one with 'dockwarden boot'"


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)


# The command line.


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
            formatter_class=argparse.RawDescriptionHelpFormatter,
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
    events = add("events", "show what happened lately", "events -f")
    events.add_argument("-f", "--follow", action="store_true", help="and go on with what happens")
    events.add_argument("--unit", metavar="UNIT", help="only of this unit")
    events.add_argument("--tail", type=_count, metavar="N", help="the last N (default: all that is kept; with -f: 10)")
    client_logs.add_arguments(add("logs", "show what was done and what containers wrote", "logs -f web --since 10m"))
    why = add("why", "tell why a unit is in its state, and what would change it", "why console")
    why.add_argument("unit", metavar="UNIT")
    for verb, help_text in (
        ("start", "start units, and wait until they are ready"),
        ("stop", "stop units and keep them stopped, and wait until they are"),
        ("restart", "stop and start units, and wait until they are ready"),
        ("reset-failed", "forget a unit's failures and try it again now"),
    ):
        command = add(verb, help_text, f"{verb} console")
        command.add_argument("units", nargs="+", metavar="UNIT")
        if verb != "reset-failed":
            command.add_argument("--no-wait", action="store_true", help="only ask")
            command.add_argument(
                "--timeout", type=_wait, default=90.0, metavar="SECONDS", help="longest wait (default: %(default)g)"
            )
    client_switch.add_commands(subparsers, add_below)
    client_hooks.add_commands(subparsers, add_below)
    client_doctor.add_commands(add)
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
        # `dockwarden events -f | head`: who wanted to read has read. The interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        return _complain(f"cannot write the answer: {_why(error)}", "", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


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
    screen = render.Screen(sys.stderr)
    screen.line(f"dockwarden: {render.clean(error)}" + (f"; {render.clean(hint)}" if hint else ""))
    return code


def _refused(client: Client, args: argparse.Namespace, error: RefusedError) -> int:
    if error.code != http.client.NOT_FOUND:
        return _complain(str(error), error.hint, FAILED)
    name = getattr(args, "unit", None)
    return _complain(str(error), _did_you_mean(client, name) or error.hint, UNKNOWN)


def _did_you_mean(client: Client, name: str | None) -> str:
    """A unit whose name is close to the one that does not exist."""
    import difflib  # noqa: PLC0415 - only who mistyped pays for it

    if not name:
        return ""
    try:
        known = [str(unit["name"]) for unit in client.get("units")]
    except (UnreachableError, RefusedError):
        return ""
    close = difflib.get_close_matches(name[:100], known, n=3)
    if close:
        return "did you mean " + " or ".join(f"'{other}'" for other in close) + "?"
    return f"there are: {', '.join(known)}" if len(known) <= 20 else "'dockwarden units' lists them"


def _screen() -> render.Screen:
    return render.Screen(sys.stdout)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _status(client: Client, args: argparse.Namespace) -> int:
    answer = client.get("status")
    if args.json:
        _print_json(answer)
    else:
        render.show_status(_screen(), answer)
    return OK


def _units(client: Client, args: argparse.Namespace) -> int:
    answer = client.get("units")
    if args.json:
        _print_json(answer)
    else:
        render.show_units(_screen(), answer)
    return OK


def _why_unit(client: Client, args: argparse.Namespace) -> int:
    answer = client.get("units", args.unit, "why")
    if args.json:
        _print_json(answer)
    else:
        render.show_why(_screen(), answer)
    return OK


def _events(client: Client, args: argparse.Namespace) -> int:
    tail = args.tail if args.tail is not None else (10 if args.follow else None)
    screen = _screen()
    for event in client.stream("events", follow=int(args.follow), tail=tail, unit=args.unit):
        if args.json:
            screen.line(json.dumps(event))
        else:
            render.show_event(screen, event)
        if args.follow:
            screen.flush()
    return OK


def _logs(client: Client, args: argparse.Namespace) -> int:
    return client_logs.run(client, args, _complain, UnreachableError)


def _version(client: Client, args: argparse.Namespace) -> int:
    """Needs no supervisor: without one it says so."""
    try:
        running = client.get("version")
    except UnreachableError as error:
        running, said = None, str(error)
    else:
        said = f"supervisor {render.clean(running['version'])}, pid {render.clean(running['pid'])}"
    if args.json:
        _print_json({"client": VERSION, "supervisor": running})
    else:
        screen = _screen()
        screen.line(f"dockwarden {VERSION}")
        screen.line(said)
    return OK


def _verb(client: Client, args: argparse.Namespace) -> int:
    """Ask for all at once: one unit's start may need another's."""
    wait = 0.0 if getattr(args, "no_wait", True) else args.timeout
    names = list(dict.fromkeys(args.units))
    results: dict[str, Any] = {}

    def ask(name: str) -> None:
        try:
            results[name] = client.post("units", name, args.command, wait=wait)
        except (RefusedError, UnreachableError) as error:
            results[name] = error

    for i in range(0, len(names), TOGETHER):
        threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in names[i : i + TOGETHER]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if args.json:
        _print_json({name: _as_json(results[name]) for name in names})
        return max((_code(results[name]) for name in names), default=OK)
    return max(_report(client, args.command, name, results[name], wait) for name in names)


def _switchable(client: Client, args: argparse.Namespace) -> int:
    return client_switch.run(client, args, _print_json)


def _hooks(client: Client, args: argparse.Namespace) -> int:
    return client_hooks.run(client, args, _print_json)


def _code(result: Any) -> int:
    if isinstance(result, UnreachableError):
        return UNREACHABLE
    if isinstance(result, RefusedError):
        return UNKNOWN if result.code == http.client.NOT_FOUND else FAILED
    return OK if result["ok"] else FAILED


def _as_json(result: Any) -> Any:
    if isinstance(result, RefusedError):
        return {"ok": False, "error": str(result), "hint": result.hint}
    if isinstance(result, UnreachableError):
        return {"ok": False, "error": str(result)}
    return result


def _report(client: Client, verb: str, name: str, result: Any, wait: float) -> int:
    if isinstance(result, RefusedError):
        unknown = result.code == http.client.NOT_FOUND
        return _complain(str(result), (_did_you_mean(client, name) if unknown else "") or result.hint, _code(result))
    if isinstance(result, UnreachableError):
        return _complain(str(result), "", _code(result))
    unit, screen = result["unit"], _screen()
    state = render.clean(unit["state"])
    said = f"{render.clean(name)}: {screen.paint(state, render.COLOURS.get(state))}, {render.clean(unit['reason'])}"
    if result["ok"]:
        screen.line(said)
        return OK
    late = "" if result["settled"] else f" (not settled within {wait:g} s)"
    return _complain(f"{verb} {name}: it is {state}{late}: {unit['reason']}", f"see 'dockwarden why {name}'", FAILED)


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], int]] = {
    "status": _status,
    "units": _units,
    "events": _events,
    "logs": _logs,
    "why": _why_unit,
    "start": _verb,
    "stop": _verb,
    "restart": _verb,
    "reset-failed": _verb,
    "version": _version,
    "hooks": _hooks,
    "console": _switchable,
    "storage": _switchable,
    "engine": _switchable,
    "doctor": client_doctor.doctor,
    "support": client_doctor.support,
}
