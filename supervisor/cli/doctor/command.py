"""``dockwarden doctor`` and ``dockwarden support``: work with or without a supervisor and an engine."""

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.state.paths import CONFIG
from supervisor.views.text import Screen, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.http.client import Client

    Add = Callable[[str, str, str], argparse.ArgumentParser]


def add_commands(add: "Add") -> None:
    doctor = add(
        "doctor", "check this host for problems, and say how to fix them", "doctor --engine unix:///run/docker.sock"
    )
    support = add("support", "write one file for a bug report, without secrets", "support --output support.tar.gz")
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
    from supervisor.cli.doctor import checks, collect, report  # noqa: PLC0415 - only this command waits for it
    from supervisor.logs.redaction import Scrubber  # noqa: PLC0415 - as above

    facts = collect.gather(collect.wanted(args))
    found = checks.examine(facts)
    versions = collect.versions(facts)
    if args.json:
        said = {"findings": [one.as_dict() for one in found], "versions": versions}
        sys.stdout.write(json.dumps(Scrubber(()).tree(said), indent=2) + "\n")
    else:
        report.show(Screen.of_stdout(), facts, found)
    return report.code(found)


def support(_client: "Client", args: argparse.Namespace) -> int:
    from supervisor.cli.doctor import collect, report, support_bundle  # noqa: PLC0415 - as above

    path = args.output or Path(time.strftime("dockwarden-support-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime()))
    # Made by this very call, before anything is asked: 0600 from the first byte, and over nobody's file.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with ExitStack() as half, os.fdopen(fd, "wb") as file:
        half.callback(path.unlink, missing_ok=True)
        members = support_bundle.write(collect.wanted(args), file)
        size = file.tell()
        half.pop_all()
    if args.json:
        sys.stdout.write(json.dumps({"file": str(path), "bytes": size, "members": members}, indent=2) + "\n")
    else:
        screen = Screen.of_stdout()
        screen.line(f"{clean(path)}: {len(members)} files, {size} bytes, readable by its owner only.")
        screen.line("Environment values, commands and secrets are left out. Look before you send it:")
        screen.line(f"  tar xzOf {clean(path)} | less")
    return report.OK
