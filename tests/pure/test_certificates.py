"""A pair that is made lets in whom it should and nobody else; one that is no good is told before an engine fails."""

import re
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from supervisor.dockerd.tls import certificates
from supervisor.dockerd.tls.certificates import (
    CONFIGURED,
    CertificateError,
    HostnameError,
    Pair,
    Purpose,
    check_ca,
    check_pair,
)
from supervisor.dockerd.tls.checks import SANE

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BOOT_1970 = datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC)
PATIENCE = 10.0
MISMATCHES = {62, 64}
"""What OpenSSL says of another name, and of another address."""
YEAR = timedelta(days=366)
NAMES = ("localhost", "127.0.0.1")

CA, OTHER_CA = certificates.make_ca(NOW), certificates.make_ca(NOW)
SERVER = certificates.make_leaf(CA, Purpose.SERVER, NAMES, NOW)
CLIENT = certificates.make_leaf(CA, Purpose.CLIENT, (), NOW)

AnyKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey


def pem(key: AnyKey, password: str = "") -> str:
    lock = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


RSA = rsa.generate_private_key(65537, 2048)
EDWARDS = ed25519.Ed25519PrivateKey.generate()


@dataclass(frozen=True)
class Authority:
    """A CA as others make them: by its name and key, perhaps below another."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    cert: x509.Certificate

    @property
    def pem(self) -> str:
        return self.cert.public_bytes(serialization.Encoding.PEM).decode()


def authority(name: str, above: Authority | None = None, *, ca: bool | None = True, signs: bool = True) -> Authority:
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(above.name if above else subject, subject, key.public_key(), 1)
        .not_valid_before(NOW - YEAR)
        .not_valid_after(NOW + YEAR)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if not signs:
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    return Authority(subject, key, builder.sign(above.key if above else key, hashes.SHA256()))


class Server:
    """A listener on loopback that wants a client's certificate, and writes ``in`` to whom it lets in."""

    def __init__(self, place: Path, ca: str, pair: Pair) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(cadata=ca)
        _load(self._context, place, pair)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)

    def visit(self, client: ssl.SSLContext, name: str) -> str:
        """Connect, and say what came of it: ``in``, or who turned away from whom."""
        guard = threading.Thread(target=self._serve)
        guard.start()
        try:
            with (
                socket.create_connection(self._listener.getsockname(), PATIENCE) as plain,
                client.wrap_socket(plain, server_hostname=name) as secured,
            ):
                return secured.recv(16).decode() or "refused"
        except ssl.SSLCertVerificationError as error:
            return "wrong name" if error.verify_code in MISMATCHES else "untrusted"
        except (ssl.SSLError, ConnectionError):
            return "refused"
        finally:
            guard.join()

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        with plain:
            plain.settimeout(PATIENCE)
            try:
                with self._context.wrap_socket(plain, server_side=True) as secured:
                    secured.sendall(b"in")
            except (ssl.SSLError, ConnectionError):
                return

    def close(self) -> None:
        self._listener.close()


def visitor(place: Path, ca: str, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca)
    if pair is not None:
        _load(context, place, pair)
    return context


def _load(context: ssl.SSLContext, place: Path, pair: Pair) -> None:
    """``ssl`` reads pairs from files only."""
    both = place / "both.pem"
    both.write_text(pair.cert + pair.key)
    context.load_cert_chain(both)
    both.unlink()


@pytest.mark.parametrize(
    ("trusted", "pair", "name", "what_comes_of_it"),
    [
        (CA, CLIENT, "localhost", "in"),
        (CA, CLIENT, "127.0.0.1", "in"),
        (CA, CLIENT, "box.example", "wrong name"),
        (CA, CLIENT, "127.0.0.2", "wrong name"),
        (OTHER_CA, CLIENT, "localhost", "untrusted"),
        (CA, None, "localhost", "refused"),
        (CA, certificates.make_leaf(OTHER_CA, Purpose.CLIENT, (), NOW), "localhost", "refused"),
        (CA, SERVER, "localhost", "refused"),
        (CA, CA, "localhost", "refused"),
    ],
    ids=[
        "let in",
        "by address",
        "wrong name",
        "wrong address",
        "other CA",
        "none",
        "other's",
        "a server's",
        "the CA's",
    ],
)
def test_who_is_let_in(tmp_path: Path, trusted: Pair, pair: Pair | None, name: str, what_comes_of_it: str) -> None:
    """A client with a certificate of the CA reaches the server under its names; nobody else does, and no other name."""
    server = Server(tmp_path, CA.cert, SERVER)
    try:
        assert server.visit(visitor(tmp_path, trusted.cert, pair), name) == what_comes_of_it
    finally:
        server.close()


@pytest.mark.parametrize("key", [RSA, EDWARDS], ids=["rsa", "ed25519"])
def test_a_ca_with_any_usual_key_signs(tmp_path: Path, key: AnyKey) -> None:
    """A configured CA need not be of the kind that is made here."""
    ca = certificates.make_ca(NOW, pem(key))
    server = Server(tmp_path, ca.cert, certificates.make_leaf(ca, Purpose.SERVER, NAMES, NOW))
    client = certificates.make_leaf(ca, Purpose.CLIENT, (), NOW)
    try:
        assert server.visit(visitor(tmp_path, ca.cert, client), "localhost") == "in"
    finally:
        server.close()


def test_a_ca_of_several_certificates_signs_with_the_one_of_its_key() -> None:
    """While a CA is replaced, clients of the old one are let in too."""
    bundle = Pair(OTHER_CA.cert + CA.cert, CA.key)
    leaf = certificates.make_leaf(bundle, Purpose.SERVER, NAMES, NOW)
    assert certificates.issued(leaf.cert, CA.cert)
    assert check_pair(leaf.cert, leaf.key, bundle.cert, NOW) == []


def test_a_chain_is_followed_to_the_ca() -> None:
    """Intermediate certificates stand behind the server's own."""
    root = authority("root")
    middle = authority("middle", root)
    leaf = certificates.make_leaf(Pair(middle.pem, pem(middle.key)), Purpose.SERVER, NAMES, NOW)
    assert check_pair(leaf.cert + middle.pem, leaf.key, root.pem, NOW) == []
    assert check_pair(leaf.cert, leaf.key, middle.pem, NOW) == []
    assert check_pair(leaf.cert, leaf.key, root.pem, NOW) == [
        "rancher.docker.server_cert: is not signed by the CA in rancher.docker.ca_cert; add the intermediate"
        " certificates to rancher.docker.server_cert, name the right CA, or " + CONFIGURED.remedy
    ]


def test_a_circle_of_certificates_ends() -> None:
    """Two that claim to have signed one another prove nothing."""
    one = authority("one")
    other = authority("other", one)
    again = x509.CertificateBuilder(other.name, one.name, one.key.public_key(), 2)
    again = again.not_valid_before(NOW - YEAR).not_valid_after(NOW + YEAR)
    circle = again.sign(other.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    leaf = certificates.make_leaf(Pair(other.pem, pem(other.key)), Purpose.SERVER, NAMES, NOW)
    problems = check_pair(leaf.cert + other.pem + circle, leaf.key, CA.cert, NOW)
    assert [problem.partition(";")[0] for problem in problems] == [
        "rancher.docker.server_cert: is not signed by the CA in rancher.docker.ca_cert"
    ]


MINE = f"or {CONFIGURED.remedy}"
OURS = f"or {CONFIGURED.ca_remedy}"


@pytest.mark.parametrize(
    ("cert", "key", "ca", "problems"),
    [
        (SERVER.cert, SERVER.key, CA.cert, []),
        (
            SERVER.cert,
            CLIENT.key,
            CA.cert,
            [
                (
                    "rancher.docker.server_key: does not belong to the certificate in rancher.docker.server_cert;"
                    f" configure the key that the certificate was made for, {MINE}"
                )
            ],
        ),
        (
            SERVER.cert,
            SERVER.key,
            OTHER_CA.cert,
            [
                (
                    "rancher.docker.server_cert: is not signed by the CA in rancher.docker.ca_cert; add the"
                    f" intermediate certificates to rancher.docker.server_cert, name the right CA, {MINE}"
                )
            ],
        ),
        (
            SERVER.key,
            SERVER.cert,
            CA.key,
            [
                "rancher.docker.server_cert: holds a private key where a certificate belongs; swap the two, " + MINE,
                "rancher.docker.server_key: holds a certificate where a private key belongs; swap the two, " + MINE,
                "rancher.docker.ca_cert: holds a private key where a certificate belongs; swap the two, " + OURS,
            ],
        ),
        (
            "/etc/docker/tls/server-cert.pem",
            "",
            SERVER.cert.replace("M", "?", 3),
            [
                (
                    "rancher.docker.server_cert: is not PEM text; it begins with -----BEGIN CERTIFICATE----- and"
                    f" goes on line by line, {MINE}"
                ),
                (
                    "rancher.docker.server_key: is not PEM text; it begins with -----BEGIN PRIVATE KEY----- and goes on"
                    f" line by line, {MINE}"
                ),
                f"rancher.docker.ca_cert: holds no certificate that can be read (...); copy it again, {OURS}",
            ],
        ),
        (
            SERVER.cert,
            pem(EDWARDS, "secret"),
            CA.cert,
            [
                (
                    "rancher.docker.server_key: is protected by a passphrase, which cannot be entered here; store it"
                    f" without, as 'openssl pkey' writes it, {MINE}"
                )
            ],
        ),
        (
            SERVER.cert,
            pem(dsa.generate_private_key(1024)),
            CA.cert,
            [f"rancher.docker.server_key: engines do not support this kind of key; use an EC or an RSA key, {MINE}"],
        ),
        (
            CLIENT.cert,
            CLIENT.key,
            CA.cert,
            [f"rancher.docker.server_cert: is not valid for a server (extended key usage); use another one, {MINE}"],
        ),
    ],
    ids=["good", "mismatched", "wrong CA", "swapped", "no PEM", "passphrase", "DSA", "a client's"],
)
def test_what_is_wrong_with_a_pair_is_told(cert: str, key: str, ca: str, problems: list[str]) -> None:
    """Each problem names its setting and the way out."""
    found = check_pair(cert, key, ca, NOW)
    assert [re.sub(r"\(.*\)", "(...)", one) if "be read" in one else one for one in found] == problems


def test_a_signer_that_is_no_ca_is_told() -> None:
    """Go's clients refuse what it signed, whatever others do."""
    for signer in (authority("x", ca=False), authority("x", ca=None), authority("x", signs=False)):
        leaf = x509.CertificateBuilder(signer.name, x509.Name([]), signer.key.public_key(), 3)
        leaf = leaf.not_valid_before(NOW - YEAR).not_valid_after(NOW + YEAR)
        signed = leaf.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        problem = (
            "rancher.docker.ca_cert: is not the certificate of a CA (basic constraints, key usage); name the CA that"
            f" signs, {OURS}"
        )
        assert check_pair(signed, pem(signer.key), signer.pem, NOW) == [problem]
        assert check_ca(Pair(signer.pem, pem(signer.key)), NOW) == [problem]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (NOW, []),
        (NOW - timedelta(hours=23), []),
        (
            NOW - timedelta(days=2),
            ["rancher.docker.server_cert: is not valid before 2026-11-23, and it is 2026-11-22; set the clock, or "],
        ),
        (BOOT_1970, []),
        (NOW + timedelta(days=1095), []),
        (NOW + timedelta(days=1097), ["rancher.docker.server_cert: expired on 2029-11-24; "]),
        (
            NOW + 11 * YEAR,
            ["rancher.docker.server_cert: expired on 2029-11-24; ", "rancher.docker.ca_cert: expired on 2036-11-23; "],
        ),
    ],
    ids=["today", "slow client", "two days back", "no clock", "late", "too late", "years too late"],
)
def test_dates_are_judged_by_a_clock_that_can_be_right(now: datetime, said: list[str]) -> None:
    """An expired pair is told; a clock that is plainly wrong says nothing about a pair."""
    found = check_pair(SERVER.cert, SERVER.key, CA.cert, now)
    assert [problem.startswith(begin) for problem, begin in zip(found, said, strict=True)] == [True] * len(said)


def test_what_is_made_without_a_clock_holds_when_it_is_set() -> None:
    """A board that boots in 1970 makes certificates that are good then, and for years after NTP has spoken."""
    ca = certificates.make_ca(BOOT_1970)
    leaf = certificates.make_leaf(ca, Purpose.SERVER, NAMES, BOOT_1970)
    for now in (BOOT_1970, NOW, SANE + timedelta(days=1095)):
        assert check_pair(leaf.cert, leaf.key, ca.cert, now) == []
    from_1970 = x509.load_pem_x509_certificate(leaf.cert.encode())
    assert from_1970.not_valid_before_utc < BOOT_1970


def test_a_leaf_ends_with_its_ca() -> None:
    """A certificate that outlived its CA would only look good; one that ends with it is not made again and again."""
    late = NOW + 9 * YEAR
    leaf = certificates.make_leaf(CA, Purpose.SERVER, NAMES, late)
    described, ca = certificates.describe(leaf.cert), certificates.describe(CA.cert)
    assert described is not None
    assert ca is not None
    assert described.until == ca.until
    end = ca.until - timedelta(days=1)
    assert certificates.why_anew(leaf, CA.cert, NAMES, end, purpose=Purpose.SERVER, labels=CONFIGURED) == ""


@pytest.mark.parametrize(
    ("pair", "ca", "names", "now", "why"),
    [
        (SERVER, CA, NAMES, NOW, ""),
        (SERVER, CA, (), NOW, ""),
        (SERVER, CA, ("a", "localhost", "b"), NOW, "lacks a, b"),
        (SERVER, CA, NAMES, NOW + timedelta(days=1060), ""),
        (SERVER, CA, NAMES, NOW + timedelta(days=1070), "ends on 2029-11-24"),
        (SERVER, CA, NAMES, NOW + 4 * YEAR, "expired on 2029-11-24"),
        (SERVER, OTHER_CA, NAMES, NOW, "is not signed by the CA in rancher.docker.ca_cert"),
        (Pair(SERVER.cert, CA.key), CA, NAMES, NOW, "does not belong to the certificate in rancher.docker.server_cert"),
        (CLIENT, CA, NAMES, NOW, "is not valid for a server (extended key usage)"),
        (Pair("", ""), CA, NAMES, NOW, "is not PEM text"),
    ],
)
def test_why_a_leaf_is_made_anew(pair: Pair, ca: Pair, names: tuple[str, ...], now: datetime, why: str) -> None:
    """Only for a reason that an operator would accept."""
    assert certificates.why_anew(pair, ca.cert, names, now, purpose=Purpose.SERVER, labels=CONFIGURED) == why


def test_a_ca_that_cannot_sign_signs_nothing() -> None:
    with pytest.raises(CertificateError) as told:
        certificates.make_leaf(Pair(CA.cert, OTHER_CA.key), Purpose.SERVER, NAMES, NOW)
    assert told.value.problems == (
        (
            "rancher.docker.ca_key: does not belong to the certificate in rancher.docker.ca_cert; configure the key"
            f" that it was made with, {OURS}"
        ),
    )
    with pytest.raises(CertificateError, match=r"rancher\.docker\.ca_key: is not PEM text"):
        certificates.make_ca(NOW, "no key")


PARTS = st.sampled_from([SERVER.cert, SERVER.key, CA.cert, CA.key, CLIENT.cert, "", "-----BEGIN CERTIFICATE-----"])


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """A PEM text that something has happened to: a cut, a change, or another text behind it."""
    text = draw(PARTS)
    if text and draw(st.booleans()):
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 40)) :]
    return text + draw(PARTS) if draw(st.booleans()) else text


@given(mangled(), mangled(), mangled())
def test_any_text_is_judged_and_never_breaks_the_judge(cert: str, key: str, ca: str) -> None:
    """Whatever stands in a configuration, the answer is sentences that name a setting and a way out."""
    for problem in (*check_pair(cert, key, ca, NOW), *check_ca(Pair(ca, key), NOW)):
        assert re.fullmatch(r"rancher\.docker\.(server|ca)_(cert|key): [^;]+; [^;\n]+", problem), problem


@given(st.binary(min_size=1, max_size=4), st.integers(0, 10_000))
def test_any_der_is_judged(change: bytes, at: int) -> None:
    """A certificate whose inside is garbage has no good pair."""
    der = bytearray(ssl.PEM_cert_to_DER_cert(SERVER.cert))
    at %= len(der)
    der[at : at + len(change)] = change
    garbled = ssl.DER_cert_to_PEM_cert(bytes(der))
    assert certificates.same(garbled, SERVER.cert) or check_pair(garbled, SERVER.key, CA.cert, NOW)


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda text: text[2:4] != "--")
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
ADDRESS = st.ip_addresses().map(str)


@given(st.lists(HOST | ADDRESS, max_size=5, unique=True), HOST)
def test_a_certificate_has_the_names_that_were_asked_for(names: Sequence[str], other: str) -> None:
    spelled = tuple(dict.fromkeys(certificates.hostname(name) for name in names))
    pair = certificates.make_leaf(CA, Purpose.SERVER, spelled, NOW)
    described = certificates.describe(pair.cert)
    assert described is not None
    assert described.names == spelled
    why = certificates.why_anew(pair, CA.cert, [*spelled, other], NOW, purpose=Purpose.SERVER, labels=CONFIGURED)
    assert why == ("" if other in spelled else f"lacks {other}")


@given(st.text(max_size=300) | HOST | ADDRESS)
def test_a_host_name_is_spelled_in_one_way_or_refused(text: str) -> None:
    """What is accepted can stand in a certificate, and is accepted again as it is."""
    try:
        name = certificates.hostname(text)
    except HostnameError:
        return
    assert certificates.hostname(name) == name
    assert name.isascii()
    certificates.make_leaf(CA, Purpose.SERVER, (name,), NOW)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Box.Example.", "box.example"),
        ("*.box.example", "*.box.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("my_box", "my_box"),
        ("[::1]", "::1"),
        ("2001:DB8::0001", "2001:db8::1"),
        (" 192.0.2.7\n", "192.0.2.7"),
    ],
)
def test_how_a_host_name_is_spelled(text: str, name: str) -> None:
    assert certificates.hostname(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.*", "a b", "box:2376", "tcp://box", "192.0.2.300", "-box", "box..example", "a" * 64, "a.*.b"],
)
def test_what_is_no_host_name(text: str) -> None:
    """RancherOS put ``*.*.*`` into certificates; no client accepts that, so it is refused here."""
    with pytest.raises(HostnameError, match="is not a host name or an address"):
        certificates.hostname(text)
