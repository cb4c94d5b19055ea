"""Certificates for user Docker over TLS: an authority of the host's own, and what it signs.

The authority is made once and kept; nothing ever overwrites it. Only who needs TLS imports this: the library behind it
is larger than the supervisor.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA, CA_KEY = "ca.pem", "ca-key.pem"
SERVER, SERVER_KEY = "server-cert.pem", "server-key.pem"
CLIENT, CLIENT_KEY = "cert.pem", "key.pem"
"""File names as RancherOS and the ``docker`` client have them."""

ALWAYS = ("localhost", "127.0.0.1")
"""A server certificate is good for these besides its own names."""
AUTHORITY_YEARS, LEAF_YEARS = 10, 3
EARLY = dt.timedelta(days=1)
"""Certificates are good from a day before they were made: clocks differ."""
RENEW = dt.timedelta(days=30)
"""A leaf that ends sooner than this is made anew."""


class CertificateError(Exception):
    """What was given cannot be used; the text names it and the way out."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


def make_authority() -> Pair:
    name = _name("Dockwarden", "Dockwarden authority")
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder(name, name, key, AUTHORITY_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(made.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def make_leaf(authority: Pair, *, server: bool, hostnames: Sequence[str] = ()) -> Pair:
    """A certificate for the server under these names, or one for a client. Raises CertificateError."""
    issuer, signer = (
        _certificate(authority.certificate, "the authority"),
        _private(authority.key, "the authority's key"),
    )
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Dockwarden", "user Docker" if server else "client")
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(name, issuer.subject, key, LEAF_YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    if server:
        names = dict.fromkeys((*hostnames, *ALWAYS))
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
    made = builder.sign(signer, hashes.SHA256())
    return Pair(made.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def check_pair(
    pair: Pair, authority: bytes, *, what: str, hostnames: Iterable[str] = (), now: dt.datetime | None = None
) -> list[str]:
    """What is wrong with a pair, in words; empty when it can be used. ``what`` names it in them."""
    now = now or dt.datetime.now(dt.UTC)
    try:
        own, issuer = _certificate(pair.certificate, f"{what}_cert"), _certificate(authority, "the authority (ca_cert)")
        key = _private(pair.key, f"{what}_key")
    except CertificateError as error:
        return [str(error)]
    told = []
    if _public(own.public_key()) != _public(key.public_key()):
        told.append(f"{what}_key is not the key of {what}_cert: give the two that were made together")
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        told.append(
            f"{what}_cert is good from {own.not_valid_before_utc:%Y-%m-%d} to {own.not_valid_after_utc:%Y-%m-%d} only:"
            " make a new one"
        )
    try:
        own.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        told.append(f"{what}_cert was not signed by the authority (ca_cert): make it with that one")
    missing = [name for name in hostnames if _general(name) not in _names_of(own)]
    if missing:
        told.append(f"{what}_cert is not for {', '.join(missing)}: make a new one")
    return told


def configured(pem: Mapping[str, str]) -> tuple[bytes, Pair]:
    """The authority's certificate and the server's pair as ``rancher.docker`` has them. Raises CertificateError."""
    if missing := [key for key in ("ca_cert", "server_cert", "server_key") if not pem.get(key)]:
        raise CertificateError(f"rancher.docker.{missing[0]} is missing: give all three, or none")
    authority, pair = pem["ca_cert"].encode(), Pair(pem["server_cert"].encode(), pem["server_key"].encode())
    if problems := check_pair(pair, authority, what="rancher.docker.server"):
        raise CertificateError("; ".join(problems))
    return authority, pair


def authority_in(directory: Path) -> Pair:
    """The authority that is kept there; made if there is none. Raises CertificateError, OSError."""
    found = _read(directory, CA, CA_KEY)
    if found is not None:
        return found
    present = [name for name in (CA, CA_KEY) if (directory / name).exists()]
    if present:
        raise CertificateError(f"{directory} has {present[0]} without its other half: give both, or remove it")
    made = make_authority()
    write(directory, {CA: made.certificate, CA_KEY: made.key})
    return made


def server_in(directory: Path, hostnames: Sequence[str] = (), *, force: bool = False) -> Pair:
    """The server's pair that is kept there, made anew when it will not do. Raises CertificateError, OSError."""
    authority = authority_in(directory)
    found = _read(directory, SERVER, SERVER_KEY)
    soon = dt.datetime.now(dt.UTC) + RENEW
    if found is not None and not force:
        if not check_pair(found, authority.certificate, what="server", hostnames=hostnames, now=soon):
            return found
        # Who once asked for a name gets it in the next one, too.
        hostnames = (*hostnames, *(str(name.value) for name in _names_of(_certificate(found.certificate, SERVER))))
    made = make_leaf(authority, server=True, hostnames=hostnames)
    write(directory, {SERVER: made.certificate, SERVER_KEY: made.key})
    return made


def give_client(directory: Path, authority: Pair) -> Pair:
    """Write a new client certificate, its key and the authority's certificate, as the ``docker`` client wants them."""
    made = make_leaf(authority, server=False)
    write(directory, {CA: authority.certificate, CLIENT: made.certificate, CLIENT_KEY: made.key})
    return made


def write(directory: Path, files: dict[str, bytes]) -> None:
    """Each file at once or not at all; keys are their owner's alone. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in files.items():
        new = directory / f".{name}.new"
        new.unlink(missing_ok=True)
        mode = 0o600 if "key" in name else 0o644
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(directory / name)


def _read(directory: Path, certificate: str, key: str) -> Pair | None:
    try:
        return Pair((directory / certificate).read_bytes(), (directory / key).read_bytes())
    except FileNotFoundError:
        return None


def _name(organization: str, common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, years: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + dt.timedelta(days=365 * years))
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise CertificateError(f"no host name: '{name}': use its letters, digits, dots and dashes") from error


def _names_of(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _certificate(pem: bytes, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError(f"{what} is no PEM certificate: begin with -----BEGIN CERTIFICATE-----") from error


def _private(pem: bytes, what: str) -> ec.EllipticCurvePrivateKey:
    """Any kind of key will do that the library knows; what we sign with are our own."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{what} is no PEM key without a passphrase: begin with -----BEGIN") from error
    return key  # type: ignore[return-value]


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
