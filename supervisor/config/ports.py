"""Parses compose port mappings such as ``127.0.0.1:8000-8001:80-81/tcp``. Pure."""

import ipaddress
import re

PORT = re.compile(
    r"(?:(?:(?P<ip>[0-9.]+|\[[0-9a-fA-F:.]+\]):)?(?P<outer>[0-9]{1,5}(?:-[0-9]{1,5})?)?:)?"
    r"(?P<inner>[0-9]{1,5}(?:-[0-9]{1,5})?)(?:/(?P<protocol>tcp|udp|sctp))?"
)


def ports(entry: str) -> list[tuple[str, str, str]] | None:
    """``(inner/protocol, host address, host port)`` for each port of an entry; ``None`` when it is none."""
    found = PORT.fullmatch(entry)
    if found is None:
        return None
    inner, ip = _range(found["inner"]), (found["ip"] or "").strip("[]")
    outer = _range(found["outer"]) if found["outer"] else [""] * len(inner)
    if not inner or len(outer) != len(inner) or (ip and not _is_address(ip)):
        return None
    return [(f"{port}/{found['protocol'] or 'tcp'}", ip, out) for port, out in zip(inner, outer, strict=True)]


def _range(text: str) -> list[str]:
    """The ports of a range; empty when it runs backwards or past 65535."""
    first, _, last = text.partition("-")
    low, high = int(first), int(last or first)
    return [str(port) for port in range(low, high + 1)] if 1 <= low <= high <= 65535 else []


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
