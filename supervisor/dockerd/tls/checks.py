"""Checks a certificate, its key and its CA; each problem names the file and the fix. Pure."""

import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from units.records import dataclass

SANE = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that says less is wrong: a board without a battery boots in 1970, long before any NTP.

Then dates are not judged, a CA begins here, and what is made lasts as if it were this day already.
"""
RENEWAL = timedelta(days=30)
"""A leaf is renewed this long before it expires: an engine that starts today may run for months."""
LONGEST_CHAIN = 8
Kind = TypeVar("Kind", bound=x509.ExtensionType)
SigningKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
"""Keys that Go, and so every engine and client, supports."""

UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""What reading a certificate may raise."""


class Purpose(Enum):
    SERVER = ExtendedKeyUsageOID.SERVER_AUTH
    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


class CertificateError(Exception):
    """Invalid certificates; ``problems`` are sentences, each with the fix."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (perhaps with its chain) and its key, as PEM."""

    cert: str
    key: str


@dataclass(frozen=True, slots=True)
class CertificateLabels:
    """Names of the parts of a pair in error messages."""

    cert: str
    key: str
    ca: str
    ca_key: str
    remedy: str = ""
    """How to have a valid pair made, as the end of a sentence that begins with "or"."""
    ca_remedy: str = ""


CONFIGURED = CertificateLabels(
    "rancher.docker.server_cert",
    "rancher.docker.server_key",
    "rancher.docker.ca_cert",
    "rancher.docker.ca_key",
    "remove server_cert and server_key to have one made",
    "remove all four settings to have a CA made",
)


@dataclass(frozen=True, slots=True)
class Described:
    """The fields of a certificate that are shown."""

    names: tuple[str, ...]
    until: datetime
    fingerprint: str
    """SHA-256 of its DER, in hex."""


def check_pair(
    cert_pem: str,
    key_pem: str,
    ca_pem: str,
    now: datetime,
    *,
    labels: CertificateLabels = CONFIGURED,
    purpose: Purpose = Purpose.SERVER,
) -> list[str]:
    """All problems that keep this pair from working: a sentence each, with file and fix.

    Args:
        cert_pem: the certificate, perhaps with the intermediate ones behind it.
        key_pem: its key.
        ca_pem: the certificates that the other side trusts.
        now: with its zone.
        labels: what the three are called.
        purpose: what the pair is for.
    """
    chain, bad_cert = _certificates(cert_pem, labels.cert, labels.remedy)
    trusted, bad_ca = _certificates(ca_pem, labels.ca, labels.ca_remedy)
    key, bad_key = private_key(key_pem, labels.key, labels.remedy)
    problems = [problem for problem in (bad_cert, bad_key, bad_ca) if problem]
    if chain:
        leaf = chain[0]
        if key is not None and not belongs(leaf, key):
            way = _way("configure the key that the certificate was made for", labels.remedy)
            problems.append(f"{labels.key}: does not belong to the certificate in {labels.cert}; {way}")
        problems += _dates(leaf, now, labels.cert, _way("renew it", labels.remedy))
        if not _serves(leaf, purpose):
            way = _way("use another one", labels.remedy)
            problems.append(f"{labels.cert}: is not valid for a {purpose.name.lower()} (extended key usage); {way}")
        if trusted:
            problems += _descent(chain, trusted, now, labels)
    return problems


def check_ca(ca: Pair, now: datetime, labels: CertificateLabels = CONFIGURED) -> list[str]:
    """All problems that keep this CA from signing, as in ``check_pair``."""
    trusted, bad_cert = _certificates(ca.cert, labels.ca, labels.ca_remedy)
    key, bad_key = private_key(ca.key, labels.ca_key, labels.ca_remedy)
    if not trusted or key is None:
        return [problem for problem in (bad_cert, bad_key) if problem]
    own = [one for one in trusted if belongs(one, key)]
    if not own:
        way = _way("configure the key that it was made with", labels.ca_remedy)
        return [f"{labels.ca_key}: does not belong to the certificate in {labels.ca}; {way}"]
    return _ca_problems(own[0], now, labels)


def why_anew(
    pair: Pair, ca_pem: str, names: Sequence[str], now: datetime, *, purpose: Purpose, labels: CertificateLabels
) -> str:
    """Why an existing leaf must be renewed; empty when it need not."""
    if problems := check_pair(pair.cert, pair.key, ca_pem, now, labels=labels, purpose=purpose):
        return problems[0].partition(": ")[2].partition(";")[0]
    leaf = x509.load_pem_x509_certificates(pair.cert.encode())[0]
    if lacking := [name for name in names if name not in _names(leaf)]:
        return f"lacks {', '.join(lacking)}"
    # One that ends with its CA would only be made with the same end.
    ends_with_ca = leaf.not_valid_after_utc >= min(ca.not_valid_after_utc for ca in _issuers(leaf, ca_pem))
    if now >= SANE and leaf.not_valid_after_utc - now < RENEWAL and not ends_with_ca:
        return f"ends on {_day(leaf.not_valid_after_utc)}"
    return ""


def describe(cert_pem: str) -> Described | None:
    """The first certificate of a text; ``None`` when there is none."""
    found, _ = _certificates(cert_pem, "", "")
    if not found:
        return None
    return Described(_names(found[0]), found[0].not_valid_after_utc, found[0].fingerprint(hashes.SHA256()).hex())


def issued(cert_pem: str, ca_pem: str) -> bool:
    """Whether one of these CAs signed this certificate."""
    chain, _ = _certificates(cert_pem, "", "")
    return bool(chain) and bool(_issuers(chain[0], ca_pem))


def same(one_pem: str, other_pem: str) -> bool:
    """Whether two texts hold the same certificates, however they are spelled."""
    one, other = (_certificates(text, "", "")[0] for text in (one_pem, other_pem))
    return bool(one) and one == other


def _issuers(leaf: x509.Certificate, ca_pem: str) -> list[x509.Certificate]:
    trusted, _ = _certificates(ca_pem, "", "")
    return [ca for ca in trusted if _issued_by(leaf, ca)]


def _certificates(pem: str, label: str, remedy: str) -> tuple[list[x509.Certificate], str]:
    """The certificates of a text, or its problem."""
    try:
        with warnings.catch_warnings():
            # It warns of oddities that others do not mind.
            warnings.simplefilter("ignore")
            found = x509.load_pem_x509_certificates(pem.encode())
            for one in found:
                # These are read late, and would only then complain.
                _ = one.public_key(), one.extensions, one.subject, one.issuer
                _ = one.not_valid_before_utc, one.not_valid_after_utc
    except UNREADABLE as error:
        return [], _no_pem(pem, label, error, wanted="certificate", other="PRIVATE KEY", remedy=remedy)
    return found, ""


def private_key(pem: str, label: str, remedy: str) -> tuple[SigningKey | None, str]:
    """The key of a text, or its problem."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except TypeError:
        way = _way("store it without, as 'openssl pkey' writes it", remedy)
        return None, f"{label}: is protected by a passphrase, which cannot be entered here; {way}"
    except (ValueError, UnsupportedAlgorithm) as error:
        return None, _no_pem(pem, label, error, wanted="private key", other="CERTIFICATE", remedy=remedy)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return None, f"{label}: engines do not support this kind of key; {_way('use an EC or an RSA key', remedy)}"
    return key, ""


def _no_pem(pem: str, label: str, error: Exception, *, wanted: str, other: str, remedy: str) -> str:
    if f"{other}-----" in pem and f"{wanted.upper()}-----" not in pem:
        return f"{label}: holds a {other.lower()} where a {wanted} belongs; {_way('swap the two', remedy)}"
    if "-----BEGIN" not in pem:
        way = _way(f"it begins with -----BEGIN {wanted.upper()}----- and goes on line by line", remedy)
        return f"{label}: is not PEM text; {way}"
    said = str(error).split(". ")[0].splitlines() or [type(error).__name__]
    return f"{label}: holds no {wanted} that can be read ({said[0][:120]}); {_way('copy it again', remedy)}"


def _way(first: str, remedy: str) -> str:
    return f"{first}, or {remedy}" if remedy else first


def belongs(cert: x509.Certificate, key: SigningKey) -> bool:
    return cert.public_key() == key.public_key()


def _dates(cert: x509.Certificate, now: datetime, label: str, way: str) -> list[str]:
    if now < SANE:
        return []
    if cert.not_valid_after_utc < now:
        return [f"{label}: expired on {_day(cert.not_valid_after_utc)}; {way}"]
    if cert.not_valid_before_utc > now:
        begins = _day(cert.not_valid_before_utc)
        return [f"{label}: is not valid before {begins}, and it is {_day(now)}; set the clock, or {way}"]
    return []


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def _serves(cert: x509.Certificate, purpose: Purpose) -> bool:
    usage = extension(cert, x509.ExtendedKeyUsage)
    return usage is None or purpose.value in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _descent(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: datetime, labels: CertificateLabels
) -> list[str]:
    """The problem between a certificate and the trusted CAs."""
    if chain[0] in trusted:
        return []
    current = chain[0]
    for _ in range(LONGEST_CHAIN):
        anchor = next((ca for ca in trusted if _issued_by(current, ca)), None)
        if anchor is not None:
            return _ca_problems(anchor, now, labels)
        above = next((one for one in chain[1:] if one != current and _issued_by(current, one)), None)
        if above is None:
            break
        current = above
    way = _way(f"add the intermediate certificates to {labels.cert}, name the right CA", labels.remedy)
    return [f"{labels.cert}: is not signed by the CA in {labels.ca}; {way}"]


def _issued_by(cert: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _ca_problems(ca: x509.Certificate, now: datetime, labels: CertificateLabels) -> list[str]:
    problems = _dates(ca, now, labels.ca, _way("use a new CA", labels.ca_remedy))
    if not _may_sign(ca):
        way = _way("name the CA that signs", labels.ca_remedy)
        problems.append(f"{labels.ca}: is not the certificate of a CA (basic constraints, key usage); {way}")
    return problems


def _may_sign(ca: x509.Certificate) -> bool:
    """Whether it is a CA, as Go decides: a version 1 certificate has no such field, and counts as one."""
    constraints, usage = extension(ca, x509.BasicConstraints), extension(ca, x509.KeyUsage)
    if constraints is None:
        return ca.version is x509.Version.v1
    return constraints.ca and (usage is None or usage.key_cert_sign)


def _names(cert: x509.Certificate) -> tuple[str, ...]:
    found = extension(cert, x509.SubjectAlternativeName)
    if found is None:
        return ()
    return tuple(str(one.value).lower() for one in found if isinstance(one, x509.DNSName | x509.IPAddress))


def extension(cert: x509.Certificate, kind: type[Kind]) -> Kind | None:
    try:
        return cert.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
