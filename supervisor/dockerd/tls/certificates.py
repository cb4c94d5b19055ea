"""Makes a CA and the certificates that it signs. Touches no file.

Only this module and ``checks.py`` use ``cryptography``. It costs some 10 MB, so the supervisor runs it in a child
(``isolated.py``).
"""

import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from supervisor.dockerd.tls.checks import (
    CONFIGURED,
    SANE,
    CertificateError,
    CertificateLabels,
    Pair,
    Purpose,
    SigningKey,
    belongs,
    check_ca,
    check_pair,
    describe,
    extension,
    issued,
    private_key,
    same,
    why_anew,
)

__all__ = [
    "CONFIGURED",
    "CertificateError",
    "CertificateLabels",
    "HostnameError",
    "Pair",
    "Purpose",
    "check_ca",
    "check_pair",
    "describe",
    "hostname",
    "issued",
    "make_ca",
    "make_leaf",
    "same",
    "why_anew",
]

CA_LIFE = timedelta(days=3652)
"""Ten years: a new CA must be installed on every client."""
LEAF_LIFE = timedelta(days=1096)
"""Three years: a leaf is renewed automatically, and limits the use of a stolen key."""
SKEW = timedelta(days=1)
"""A leaf is valid from yesterday on, for clients whose clock is slow."""
ALWAYS = ("localhost", "127.0.0.1")
"""Names that every server certificate has."""
ORGANIZATION = "dockwarden"
LONGEST_COMMON_NAME = 64
LONGEST_NAME = 253

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


class HostnameError(ValueError):
    """Not a host name or address."""


def hostname(text: str) -> str:
    """Normalise a host name or address for certificates. Raises HostnameError."""
    bare = text.strip()
    try:
        return str(ipaddress.ip_address(bare.strip("[]")))
    except ValueError:
        pass
    star, rest = ("*.", bare[2:]) if bare.startswith("*.") else ("", bare)
    try:
        name = star + rest.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if not _HOST.fullmatch(name) or len(name) > LONGEST_NAME or name.rpartition(".")[2].isdecimal():
        raise HostnameError(f"'{text}' is not a host name or an address (as in box.example or 192.0.2.7)")
    return name


def make_ca(now: datetime, key: str = "", labels: CertificateLabels = CONFIGURED) -> Pair:
    """A CA that can sign leaves only. With ``key``, for that one. Raises CertificateError when it is no key."""
    if key:
        own, problem = private_key(key, labels.ca_key, labels.ca_remedy)
        if own is None:
            raise CertificateError([problem])
    else:
        own = ec.generate_private_key(ec.SECP256R1())
    identity = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    # Two hosts' CAs in one bundle must not share a name.
    name = _name(f"Dockwarden CA {identity.digest.hex()[:8]}")
    cert = (
        x509.CertificateBuilder(name, name, own.public_key(), x509.random_serial_number())
        .not_valid_before(min(_second(now), SANE))
        .not_valid_after(_second(max(now, SANE) + CA_LIFE))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(identity, critical=False)
        .sign(own, _digest(own))
    )
    return Pair(_pem(cert), _key_pem(own))


def make_leaf(
    ca: Pair, purpose: Purpose, names: Sequence[str], now: datetime, labels: CertificateLabels = CONFIGURED
) -> Pair:
    """A pair for a server or a client, signed by the CA; it does not outlive the CA.

    Args:
        ca: perhaps a bundle; the certificate that the key belongs to signs.
        purpose: the only use of the certificate (extended key usage).
        names: as ``hostname`` spells them, each once; the first is also the common name.
        now: with its zone.
        labels: names of the CA's files in error messages.

    Raises:
        CertificateError: the CA cannot sign.
    """
    signer, issuer = _signer(ca, now, labels)
    own = ec.generate_private_key(ec.SECP256R1())
    first = names[0] if names and len(names[0]) <= LONGEST_COMMON_NAME else purpose.name.lower()
    end = min(max(now, SANE) + LEAF_LIFE, issuer.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder(issuer.subject, _name(first), own.public_key(), x509.random_serial_number())
        .not_valid_before(_second(now - SKEW))
        .not_valid_after(_second(end))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose.value]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(_issuer_identity(issuer), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
    return Pair(_pem(builder.sign(signer, _digest(signer))), _key_pem(own))


def _signer(ca: Pair, now: datetime, labels: CertificateLabels) -> tuple[SigningKey, x509.Certificate]:
    if problems := check_ca(ca, now, labels):
        raise CertificateError(problems)
    key, _ = private_key(ca.key, labels.ca_key, "")
    assert key is not None
    return key, next(one for one in x509.load_pem_x509_certificates(ca.cert.encode()) if belongs(one, key))


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*what: str) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{one: one in what for one in every})


def _issuer_identity(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = extension(issuer, x509.SubjectKeyIdentifier)
    if own is None:
        key = issuer.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _digest(key: SigningKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _pem(cert: x509.Certificate) -> str:
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: SigningKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
