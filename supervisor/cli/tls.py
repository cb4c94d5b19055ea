"""``dockwarden tls generate``: certificates for user Docker and for its clients. Needs no supervisor."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.state.paths import TLS_DIR
from supervisor.views.text import Screen, clean, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.dockerd.tls.files import TlsOutcome

OK, USAGE = 0, 2


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = commands.add_parser(
        "tls",
        help="make certificates for user Docker over TLS",
        epilog="example:\n  dockwarden tls generate --server --hostname host.example",
    ).add_subparsers(dest="verb", required=True, metavar="VERB")
    generate = verbs.add_parser(
        "generate",
        aliases=["gen"],
        help="make a client certificate, or with --server the server's; keep those that are valid",
        epilog="example:\n"
        "  dockwarden tls generate --server --hostname host.example --hostname 192.0.2.7\n"
        "  dockwarden tls generate --dir ./for-ann",
    )
    generate.add_argument("-s", "--server", action="store_true", help="the server's, for --hostname and localhost")
    generate.add_argument(
        "-H",
        "--hostname",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address of the server, or name of the client; repeat it",
    )
    generate.add_argument(
        "-d", "--dir", type=Path, metavar="DIR", help="for the files (default: ~/.docker; with --server: --ca-dir)"
    )
    generate.add_argument(
        "--ca-dir",
        type=Path,
        default=TLS_DIR,
        metavar="DIR",
        help="directory of the certificate authority (default: %(default)s)",
    )
    generate.add_argument("--force", action="store_true", help="make a new certificate, with exactly these names")
    generate.add_argument("--json", action="store_true", help="JSON instead of text")


def run(args: argparse.Namespace) -> int:
    from supervisor.dockerd.tls import certificates, files  # noqa: PLC0415 - only this command needs cryptography
    from supervisor.dockerd.tls.settings import REFUSED, UNUSABLE, TlsError, UnusableError  # noqa: PLC0415 - as above

    try:
        names = [certificates.hostname(name) for name in args.hostname]
        directory = args.dir or (args.ca_dir if args.server else Path.home() / ".docker")
    except (certificates.HostnameError, RuntimeError) as error:
        return _complain(str(error), USAGE)
    try:
        if args.server:
            outcomes = files.make_server(directory.absolute(), names, force=args.force)
        else:
            outcomes = files.make_client(directory.absolute(), args.ca_dir.absolute(), names, force=args.force)
    except TlsError as error:
        return _complain(str(error), UNUSABLE if isinstance(error, UnusableError) else REFUSED)
    if args.json:
        sys.stdout.write(json.dumps([outcome.as_dict() for outcome in outcomes], indent=2) + "\n")
    else:
        _show(outcomes)
    return OK


def _show(outcomes: "Sequence[TlsOutcome]") -> None:
    rows = [
        (
            outcome.path,
            outcome.done,
            f"{outcome.until:%Y-%m-%d}" if outcome.until else "-",
            ", ".join(outcome.names),
            "; ".join(part for part in (outcome.why, _aside(outcome)) if part),
        )
        for outcome in outcomes
    ]
    table(Screen.of_stdout(), ("CERTIFICATE", "", "UNTIL", "NAMES", "REASON"), rows)


def _aside(outcome: "TlsOutcome") -> str:
    return f"previous files moved to {', '.join(outcome.aside)}" if outcome.aside else ""


def _complain(said: str, code: int) -> int:
    screen = Screen(sys.stderr)
    for line in said.splitlines():
        screen.line(f"dockwarden: {clean(line)}")
    return code
