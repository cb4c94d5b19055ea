"""``dockwarden tls``: certificates for user Docker over TLS. Asks no supervisor."""

import argparse
import json
import sys
from pathlib import Path

OK, FAILED = 0, 1
DIRECTORY = Path("/var/lib/dockwarden/tls")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = commands.add_parser("tls", help="make certificates for user Docker over TLS").add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    generate = verbs.add_parser(
        "generate",
        help="make a client certificate, or with --server the server's",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  dockwarden tls generate --server --hostname host.example\n  dockwarden tls generate",
    )
    generate.add_argument("--server", action="store_true", help="the server's, for --hostname and localhost")
    generate.add_argument(
        "-H", "--hostname", action="append", default=[], metavar="NAME", help="name or address; repeat it"
    )
    generate.add_argument("-d", "--dir", type=Path, metavar="DIR", help="for a client's files (default: ~/.docker)")
    generate.add_argument(
        "--ca-dir", type=Path, default=DIRECTORY, metavar="DIR", help="where the authority is (default: %(default)s)"
    )
    generate.add_argument("--force", action="store_true", help="a new one even if the present one will do")
    generate.add_argument("--json", action="store_true", help="JSON instead of text")


def run(args: argparse.Namespace) -> int:
    from supervisor import certificates  # noqa: PLC0415 - a large library, only for this

    try:
        if args.server:
            certificates.server_in(args.ca_dir, args.hostname, force=args.force)
            made, then = args.ca_dir, "user Docker uses it from its next start on"
        else:
            made = args.dir or Path.home() / ".docker"
            certificates.give_client(made, certificates.authority_in(args.ca_dir))
            then = "docker --tlsverify -H tcp://HOST:2376 uses it"
    except (certificates.CertificateError, OSError) as error:
        sys.stderr.write(f"dockwarden: {error}\n")
        return FAILED
    if args.json:
        sys.stdout.write(json.dumps({"directory": str(made), "server": args.server}) + "\n")
    else:
        sys.stdout.write(f"{'server' if args.server else 'client'} certificate in {made}; {then}\n")
    return OK
