"""Keeps the certificates of an engine and its clients: made once, renewed when needed, moved aside and never deleted.

Run as a program it is the child of ``tls_child.py``. All functions block.
"""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from supervisor.dockerd.tls import certificates
from supervisor.dockerd.tls.certificates import (
    CONFIGURED,
    CertificateError,
    CertificateLabels,
    HostnameError,
    Pair,
    Purpose,
)
from supervisor.dockerd.tls.folder import PUBLIC, SECRET, Folder, opened
from supervisor.dockerd.tls.settings import (
    CA,
    CA_KEY,
    CLIENT_CERT,
    CLIENT_KEY,
    REFUSED,
    SERVER_CERT,
    SERVER_KEY,
    UNUSABLE,
    TlsError,
    TlsFiles,
    TlsSettings,
    UnusableError,
)
from units.records import dataclass, replace

KEPT: Final = "kept"


@dataclass(frozen=True, slots=True)
class TlsOutcome:
    """The outcome for one certificate."""

    path: Path
    done: str
    """``kept``, ``made``, ``renewed``, or ``written``: as configured."""
    why: str = ""
    names: tuple[str, ...] = ()
    until: datetime | None = None
    fingerprint: str = ""
    aside: tuple[str, ...] = ()
    """The present names of the files that it replaced."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "done": self.done,
            "why": self.why,
            "names": list(self.names),
            "until": self.until.isoformat() if self.until else None,
            "fingerprint": self.fingerprint,
            "aside": list(self.aside),
        }

    def __str__(self) -> str:
        aside = f"; the previous files are now {', '.join(self.aside)}" if self.aside else ""
        return f"{self.path}: {self.done}{f' (it {self.why})' if self.why else ''}{aside}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A pair that a CA signs, and its files."""

    purpose: Purpose
    cert: str
    key: str
    always: tuple[str, ...] = ()
    """Names that it has in any case."""


SERVER: Final = Leaf(Purpose.SERVER, SERVER_CERT, SERVER_KEY, certificates.ALWAYS)
CLIENT: Final = Leaf(Purpose.CLIENT, CLIENT_CERT, CLIENT_KEY)


def make_server(
    directory: Path, hostnames: Sequence[str], *, force: bool = False, now: datetime | None = None
) -> list[TlsOutcome]:
    """Make a CA and a server's pair in this directory, unless valid ones exist. Raises TlsError.

    A renewed pair keeps the names of the previous one; with ``force`` it has exactly those that are asked for.
    """
    now, names = now or _now(), _hostnames(hostnames)
    with opened(directory) as folder:
        made, ca = _authority(folder, now)
        return [made, _leaf(folder, SERVER, ca, names, now, force=force)]


def make_client(
    directory: Path, ca_directory: Path, names: Sequence[str], *, force: bool = False, now: datetime | None = None
) -> list[TlsOutcome]:
    """Make a client's pair, signed by the CA of another directory, which is made if there is none. Raises TlsError."""
    now, names = now or _now(), _hostnames(names)
    with opened(ca_directory) as folder:
        made, ca = _authority(folder, now)
    with opened(directory) as folder:
        aside = _make_room(folder, ca, force=force)
        outcome = _leaf(folder, CLIENT, ca, names, now, force=force)
        folder.write(CA, ca.cert, PUBLIC)
    return [made, replace(outcome, aside=(*aside, *outcome.aside))]


def materialize(settings: TlsSettings, root: Path = Path("/"), now: datetime | None = None) -> TlsFiles:
    """Write the files that an engine needs to where it reads them: configured ones, the rest made. Raises TlsError.

    Args:
        settings: what is configured; if a part of it is invalid, nothing is changed.
        root: the engine's file system, as in ``/proc/PID/root``; the result is in its terms.
        now: with its zone; the clock's by default.
    """
    now, names = now or _now(), _hostnames(settings.hostnames)
    if problems := configured_problems(settings, now):
        raise TlsError(problems)
    outcomes: list[TlsOutcome] = []
    ca, pair = settings.ca_cert or "", Pair(settings.server_cert or "", settings.server_key or "")
    if settings.ca_key or not settings.server_cert:
        with opened(settings.kept) as folder:
            if settings.ca_key:
                outcomes.append(_written_ca(folder, Pair(ca, settings.ca_key)))
            if not settings.server_cert:
                made, authority = _authority(folder, now)
                outcomes += [made, _leaf(folder, SERVER, authority, names, now)]
                ca, pair = authority.cert, Pair(folder.read(SERVER_CERT), folder.read(SERVER_KEY))
    place = settings.directory
    with opened(place, root) as folder:
        outcomes.append(_given(folder, ca, pair))
    done = tuple(str(outcome) for outcome in outcomes if outcome.done != KEPT)
    return TlsFiles(place / CA, place / SERVER_CERT, place / SERVER_KEY, done)


def configured_problems(settings: TlsSettings, now: datetime) -> list[str]:
    """All problems of the configured certificates."""
    ca, ca_key = settings.ca_cert or "", settings.ca_key or ""
    cert, key = settings.server_cert or "", settings.server_key or ""
    problems = list(_gaps(settings))
    if ca and ca_key:
        problems += certificates.check_ca(Pair(ca, ca_key), now)
    if ca and cert and key:
        # Of the CA it may say the same again.
        problems += [one for one in certificates.check_pair(cert, key, ca, now) if one not in problems]
    return problems


def _gaps(settings: TlsSettings) -> Iterator[str]:
    """Settings that need another one that is missing."""
    both = "set both, or remove both to have a pair made"
    if settings.server_cert and not settings.server_key:
        yield f"{CONFIGURED.key}: is missing beside server_cert; {both}"
    if settings.server_key and not settings.server_cert:
        yield f"{CONFIGURED.cert}: is missing beside server_key; {both}"
    if (settings.server_cert or settings.ca_key) and not settings.ca_cert:
        yield f"{CONFIGURED.ca}: is missing: it decides which clients are accepted; set it too"
    if settings.ca_cert and not (settings.ca_key or settings.server_cert):
        yield f"{CONFIGURED.ca_key}: is missing: it is needed to sign; set it, or server_cert and server_key"


def _written_ca(folder: Folder, ca: Pair) -> TlsOutcome:
    """Write the configured CA, replacing any other."""
    present = Pair(folder.read(CA), folder.read(CA_KEY))
    other = bool(present.cert) and not certificates.same(present.cert, ca.cert)
    other |= bool(present.key) and present.key.strip() != ca.key.strip()
    aside = folder.put_aside(CA_KEY, CA) if other else ()
    folder.write(CA_KEY, ca.key, SECRET)
    changed = folder.write(CA, ca.cert, PUBLIC)
    return _outcome(folder, CA, "written" if changed else KEPT, ca.cert, aside=aside)


def _given(folder: Folder, ca: str, pair: Pair) -> TlsOutcome:
    """What an engine needs, in its own directory."""
    present = folder.read(CA)
    other = bool(present) and not certificates.same(present, ca)
    aside = folder.put_aside(SERVER_KEY, SERVER_CERT, CA) if other else ()
    changed = folder.write(CA, ca, PUBLIC)
    changed |= folder.write(SERVER_KEY, pair.key, SECRET)
    changed |= folder.write(SERVER_CERT, pair.cert, PUBLIC)
    return _outcome(folder, SERVER_CERT, "written" if changed else KEPT, pair.cert, aside=aside)


def _authority(folder: Folder, now: datetime) -> tuple[TlsOutcome, Pair]:
    """The CA of a directory, made if there is none. Raises TlsError."""
    ca = Pair(folder.read(CA), folder.read(CA_KEY))
    folder.tighten(CA_KEY)
    if ca.cert:
        return _outcome(folder, CA, KEPT, ca.cert), ca
    labels = _labels(folder)
    if ca.key and folder.has(SERVER_CERT):
        way = "put it back, or move the key away too to have a CA made"
        raise TlsError([f"{labels.ca}: is missing beside its key, and clients trust it; {way}"])
    with _told():
        # A key and nothing else is a beginning that was cut off.
        ca = certificates.make_ca(now, ca.key, labels)
    folder.write(CA_KEY, ca.key, SECRET)
    folder.write(CA, ca.cert, PUBLIC)
    return _outcome(folder, CA, "made", ca.cert), ca


def _leaf(
    folder: Folder, leaf: Leaf, ca: Pair, asked: Sequence[str], now: datetime, *, force: bool = False
) -> TlsOutcome:
    """A valid pair with these names: the present one, or a new one. Raises TlsError."""
    names = tuple(dict.fromkeys((*asked, *leaf.always)))
    present = Pair(folder.read(leaf.cert), folder.read(leaf.key))
    folder.tighten(leaf.key)
    labels = _labels(folder, leaf)
    why = "was renewed by request"
    if not force:
        why = certificates.why_anew(present, ca.cert, names, now, purpose=leaf.purpose, labels=labels)
        if not why:
            return _outcome(folder, leaf.cert, KEPT, present.cert)
        found = certificates.describe(present.cert)
        names = tuple(dict.fromkeys((*names, *(found.names if found else ()))))
    if not ca.key:
        raise TlsError([f"{labels.ca_key}: is missing, and is needed to sign with {labels.ca}; {labels.ca_remedy}"])
    with _told():
        made = certificates.make_leaf(ca, leaf.purpose, names, now, labels)
    foreign = bool(present.cert) and not certificates.issued(present.cert, ca.cert)
    aside = folder.put_aside(leaf.key, leaf.cert) if foreign else ()
    # In this order: a key that does not match is noticed and fixed the next time.
    folder.write(leaf.key, made.key, SECRET)
    folder.write(leaf.cert, made.cert, PUBLIC)
    if not present.cert:
        return _outcome(folder, leaf.cert, "made", made.cert)
    return _outcome(folder, leaf.cert, "renewed", made.cert, why=why, aside=aside)


def _make_room(folder: Folder, ca: Pair, *, force: bool) -> tuple[str, ...]:
    """A client's directory may hold what it needs for another engine."""
    trusted, cert = folder.read(CA), folder.read(CLIENT_CERT)
    other = (
        not certificates.same(trusted, ca.cert) if trusted else bool(cert) and not certificates.issued(cert, ca.cert)
    )
    if not other:
        return ()
    if not force:
        way = "choose another --dir, or move them aside with --force"
        raise TlsError([f"{folder.shown}: its files were signed by another CA, probably for another engine; {way}"])
    return folder.put_aside(CLIENT_KEY, CLIENT_CERT, CA)


def _labels(folder: Folder, leaf: Leaf = SERVER) -> CertificateLabels:
    place = folder.shown
    return CertificateLabels(
        str(place / leaf.cert),
        str(place / leaf.key),
        str(place / CA),
        str(place / CA_KEY),
        ca_remedy=f"move {CA} and {CA_KEY} away to have a CA made",
    )


def _outcome(
    folder: Folder, name: str, done: str, pem: str, *, why: str = "", aside: tuple[str, ...] = ()
) -> TlsOutcome:
    found = certificates.describe(pem)
    if found is None:
        return TlsOutcome(folder.shown / name, done, why, aside=aside)
    return TlsOutcome(folder.shown / name, done, why, found.names, found.until, found.fingerprint, aside)


def _hostnames(texts: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(certificates.hostname(text) for text in texts)
    except HostnameError as error:
        raise TlsError([str(error)]) from error


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except CertificateError as error:
        raise TlsError(error.problems) from error


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> int:
    """Answer ``isolated.py``, which started us."""
    asked = json.load(sys.stdin)
    try:
        answer = materialize(TlsSettings.from_dict(asked["settings"]), Path(asked["root"])).as_dict()
    except TlsError as error:
        json.dump({"problems": error.problems}, sys.stdout)
        return UNUSABLE if isinstance(error, UnusableError) else REFUSED
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
