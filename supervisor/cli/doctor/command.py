"""``dockwarden doctor`` and ``dockwarden support``: they ask whoever answers, and need nobody."""

import argparse
import json
import os
import sys
import textwrap
import time
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.views import text as render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.cli.doctor.collect import Wanted
    from supervisor.cli.doctor.facts import Facts, Finding
    from supervisor.http.client import Client

    Add = Callable[[str, str, str], argparse.ArgumentParser]

OK, FOUND = 0, 1
CONFIG = Path("/var/lib/rancher/conf")
"""Looked at without being named when it is there."""
WIDTH = 80
INDENT = " " * 8
COLOURS = {"error": render.RED, "warning": render.YELLOW, "note": render.DIM}


def add_commands(add: "Add") -> None:
    doctor = add(
        "doctor", "say what is wrong with this host, and the way out", "doctor --engine unix:///run/docker.sock"
    )
    support = add("support", "write one file for those who help: no secrets in it", "support --output support.tar.gz")
    for command in (doctor, support):
        command.add_argument("--engine", metavar="URL", help="default: the supervisor's, or $DOCKER_HOST")
        command.add_argument(
            "--config",
            type=Path,
            action="append",
            default=[],
            metavar="FILE_OR_DIR",
            help=f"cloud-config (default: {CONFIG}, if it is there)",
        )
        command.add_argument("--state-dir", type=Path, metavar="DIR", help="default: the supervisor's")
    support.add_argument("--output", type=Path, metavar="FILE", help="default: dockwarden-support-TIME.tar.gz, here")


def doctor(_client: "Client", args: argparse.Namespace) -> int:
    from supervisor.cli.doctor import checks as findings  # noqa: PLC0415 - only who asks for it waits for it
    from supervisor.cli.doctor import collect as examine  # noqa: PLC0415 - only who asks for it waits for it
    from supervisor.logs.redaction import Scrubber  # noqa: PLC0415

    facts = examine.gather(wanted(args))
    found = findings.examine(facts)
    versions = examine.versions(facts)
    if args.json:
        said = {"findings": [one.as_dict() for one in found], "versions": versions}
        sys.stdout.write(json.dumps(Scrubber(()).tree(said), indent=2) + "\n")
    else:
        show(render.Screen.of_stdout(), facts, found)
    return code(found)


def code(found: "Sequence[Finding]") -> int:
    return FOUND if any(one.severity != "note" for one in found) else OK


def support(_client: "Client", args: argparse.Namespace) -> int:
    from supervisor.cli.doctor import support_bundle as bundle  # noqa: PLC0415

    path = args.output or Path(time.strftime("dockwarden-support-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime()))
    # Made by this very call, before anything is asked: 0600 from the first byte, and over nobody's file.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with ExitStack() as half, os.fdopen(fd, "wb") as file:
        half.callback(path.unlink, missing_ok=True)
        members = bundle.write(wanted(args), file)
        size = file.tell()
        half.pop_all()
    if args.json:
        sys.stdout.write(json.dumps({"file": str(path), "bytes": size, "members": members}, indent=2) + "\n")
    else:
        screen = render.Screen.of_stdout()
        screen.line(f"{render.clean(path)}: {len(members)} files, {size} bytes, readable by you alone.")
        screen.line("Environment values, commands and secrets are left out. Look before you send it:")
        screen.line(f"  tar xzOf {render.clean(path)} | less")
    return OK


def wanted(args: argparse.Namespace) -> "Wanted":
    from supervisor.cli.doctor.collect import Wanted  # noqa: PLC0415

    config = tuple(args.config) or ((CONFIG,) if CONFIG.exists() else ())
    return Wanted(Path(args.run_dir), args.engine, args.state_dir, config)


def show(screen: render.Screen, facts: "Facts", found: "Sequence[Finding]") -> None:
    """Grouped by severity, then by id; each with the way out."""
    from supervisor.cli.doctor.collect import versions  # noqa: PLC0415
    from supervisor.logs.redaction import redact  # noqa: PLC0415

    width = min(screen.width or WIDTH, 100)

    def paragraph(text: str, first: str, rest: str) -> None:
        for line in textwrap.wrap(
            render.clean(redact(text)),
            max(width, 40),
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        ):
            screen.line(line)

    paragraph(", ".join(f"{name} {value}" for name, value in versions(facts).items() if value != "-"), "", "  ")
    for severity, group in groupby(found, key=lambda one: one.severity):
        of_one = list(group)
        screen.line()
        head = f"{len(of_one)} {severity}{'s' if len(of_one) > 1 else ''}"
        screen.line(screen.paint(head, COLOURS[severity]))
        for title, same in groupby(of_one, key=lambda one: (one.id, one.title)):
            screen.line()
            screen.line(f"{screen.paint(title[0], render.BOLD)}  {title[1]}")
            _show_places(list(same), paragraph)
    screen.line()
    screen.line(_last_line(found))


def _show_places(same: "Sequence[Finding]", paragraph: "Callable[[str, str, str], None]") -> None:
    """A way out that all share is said once, at the end."""
    ways = {one.fix for one in same}
    for one in same:
        paragraph(f"{one.place}: {one.what}", INDENT, INDENT + "  ")
        if len(ways) > 1:
            paragraph(one.fix, f"{INDENT}  -> ", f"{INDENT}     ")
    if len(ways) == 1:
        paragraph(ways.pop(), f"{INDENT}-> ", f"{INDENT}   ")


def _last_line(found: "Sequence[Finding]") -> str:
    if code(found) == OK:
        return "Nothing is wrong that can be seen from here."
    return "What an id means: docs/reference/doctor.md"


def as_text(facts: "Facts", found: "Sequence[Finding]") -> str:
    from io import StringIO  # noqa: PLC0415

    page: Any = StringIO()
    show(render.Screen(page, {}), facts, found)
    return str(page.getvalue())
