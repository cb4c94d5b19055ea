"""Certificates of an engine and its clients lie where they should, are kept while they are good, and are never lost."""

import itertools
import json
import os
import stat
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.__main__ import main
from supervisor.dockerd.rooted_path import within
from supervisor.dockerd.tls import certificates
from supervisor.dockerd.tls.certificates import Purpose, check_pair
from supervisor.dockerd.tls.files import TlsOutcome, make_client, make_server, materialize
from supervisor.dockerd.tls.folder import opened
from supervisor.dockerd.tls.settings import (
    CA,
    CA_KEY,
    CLIENT_CERT,
    CLIENT_KEY,
    SERVER_CERT,
    SERVER_KEY,
    TlsError,
    TlsFiles,
    TlsSettings,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
YEAR = timedelta(days=366)
NAMES = ("localhost", "127.0.0.1")

OUR_CA, OTHER_CA = certificates.make_ca(NOW), certificates.make_ca(NOW)
SERVER = certificates.make_leaf(OUR_CA, Purpose.SERVER, NAMES, NOW)


def texts(place: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(place.iterdir())}


def modes(place: Path) -> dict[str, str]:
    return {file.name: stat.filemode(file.stat().st_mode) for file in (place, *sorted(place.iterdir()))}


def done(outcomes: Sequence[TlsOutcome]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(outcome.path.name, outcome.done, outcome.why, outcome.names) for outcome in outcomes]


def holds(place: Path, now: datetime = NOW) -> bool:
    """Whether an engine can serve with what is there."""
    found = texts(place)
    return check_pair(found[SERVER_CERT], found[SERVER_KEY], found[CA], now) == []


def test_an_engine_and_a_client_get_what_they_need(tmp_path: Path) -> None:
    """Names as RancherOS had them, keys for their owner only, and the CA's key not with the client."""
    engine, client = tmp_path / "etc/tls", tmp_path / "client"
    assert done(make_server(engine, ["Box.example"], now=NOW)) == [
        (CA, "made", "", ()),
        (SERVER_CERT, "made", "", ("box.example", *NAMES)),
    ]
    assert done(make_client(client, engine, ["alice"], now=NOW)) == [
        (CA, "kept", "", ()),
        (CLIENT_CERT, "made", "", ("alice",)),
    ]
    secret, public = "-rw-------", "-rw-r--r--"
    assert modes(engine) == {
        "tls": "drwx------",
        CA_KEY: secret,
        CA: public,
        SERVER_CERT: public,
        SERVER_KEY: secret,
    }
    assert modes(client) == {"client": "drwx------", CA: public, CLIENT_CERT: public, CLIENT_KEY: secret}
    assert holds(engine)
    found = texts(client)
    assert found[CA] == texts(engine)[CA]
    assert check_pair(found[CLIENT_CERT], found[CLIENT_KEY], found[CA], NOW, purpose=Purpose.CLIENT) == []


def test_what_is_good_is_kept(tmp_path: Path) -> None:
    """A second run changes not a byte, and not one file is written."""
    for _ in range(2):
        make_server(tmp_path, ["box"], now=NOW)
        make_client(tmp_path, tmp_path, ["alice"], now=NOW)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert done(make_server(tmp_path, [], now=NOW)) == [
        (CA, "kept", "", ()),
        (SERVER_CERT, "kept", "", ("box", *NAMES)),
    ]
    assert done(make_client(tmp_path, tmp_path, [], now=NOW)) == [
        (CA, "kept", "", ()),
        (CLIENT_CERT, "kept", "", ("alice",)),
    ]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_a_new_certificate_has_the_names_of_the_old_one(tmp_path: Path) -> None:
    """A name that a client uses must not go because another came, or because three years are over; force drops them."""
    make_server(tmp_path, ["one"], now=NOW)
    ca = texts(tmp_path)[CA]
    assert done(make_server(tmp_path, ["two"], now=NOW))[1] == (
        SERVER_CERT,
        "renewed",
        "lacks two",
        ("two", *NAMES, "one"),
    )
    assert done(make_server(tmp_path, [], now=NOW + 4 * YEAR))[1] == (
        SERVER_CERT,
        "renewed",
        "expired on 2029-11-24",
        (*NAMES, "two", "one"),
    )
    assert holds(tmp_path, NOW + 4 * YEAR)
    forced = make_server(tmp_path, ["three"], force=True, now=NOW)
    assert done(forced)[1] == (SERVER_CERT, "renewed", "was renewed by request", ("three", *NAMES))
    assert texts(tmp_path)[CA] == ca


def test_a_key_that_everybody_may_read_is_closed(tmp_path: Path) -> None:
    make_server(tmp_path, [], now=NOW)
    for name in (CA_KEY, SERVER_KEY):
        (tmp_path / name).chmod(0o644)
    make_server(tmp_path, [], now=NOW)
    assert modes(tmp_path)[CA_KEY] == modes(tmp_path)[SERVER_KEY] == "-rw-------"


def test_files_belong_to_whom_their_directory_belongs(tmp_path: Path) -> None:
    """Root makes a user's certificate, and the user can read the key."""
    if os.geteuid():
        pytest.skip("only root may give files away")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1100, 1100)
    make_client(home / ".docker", tmp_path / "ca", [], now=NOW)
    owners = {file.name: file.stat().st_uid for file in (home / ".docker", *(home / ".docker").iterdir())}
    assert owners == {".docker": 1100, CA: 1100, CLIENT_CERT: 1100, CLIENT_KEY: 1100}
    assert (tmp_path / "ca" / CA_KEY).stat().st_uid == 0


def test_a_client_of_another_engine_keeps_its_files(tmp_path: Path) -> None:
    """``~/.docker`` may hold what is needed elsewhere: only force puts it aside, and nothing is lost then."""
    theirs, mine, ours = tmp_path / "theirs", tmp_path / "mine", tmp_path / "ours"
    make_client(mine, theirs, [], now=NOW)
    before = texts(mine)
    with pytest.raises(TlsError) as told:
        make_client(mine, ours, [], now=NOW)
    assert told.value.problems == (
        (
            f"{mine}: its files were signed by another CA, probably for another engine; choose another --dir,"
            " or move them aside with --force"
        ),
    )
    assert texts(mine) == before
    (mine / CA).unlink()
    with pytest.raises(TlsError, match="its files were signed by another CA"):
        make_client(mine, ours, [], now=NOW)
    (mine / CA).write_text(before[CA])
    outcome = make_client(mine, ours, [], force=True, now=NOW)[1]
    after = texts(mine)
    assert {after[name] for name in outcome.aside} == set(before.values())
    assert after[CA] == texts(ours)[CA]
    assert check_pair(after[CLIENT_CERT], after[CLIENT_KEY], after[CA], NOW, purpose=Purpose.CLIENT) == []


def test_a_ca_without_its_key_serves_and_signs_nothing(tmp_path: Path) -> None:
    """Its key may be in a safe; the pair that it signed goes on."""
    make_server(tmp_path, [], now=NOW)
    (tmp_path / CA_KEY).unlink()
    before = texts(tmp_path)
    assert [one[1] for one in done(make_server(tmp_path, [], now=NOW))] == ["kept", "kept"]
    with pytest.raises(TlsError) as told:
        make_server(tmp_path, ["box"], now=NOW)
    assert told.value.problems == (
        (
            f"{tmp_path}/ca-key.pem: is missing, and is needed to sign with {tmp_path}/ca.pem; move ca.pem and"
            " ca-key.pem away to have a CA made"
        ),
    )
    assert texts(tmp_path) == before


GOOD = {CA: OUR_CA.cert, CA_KEY: OUR_CA.key, SERVER_CERT: SERVER.cert, SERVER_KEY: SERVER.key}
FOREIGN = dict(zip(GOOD, (OTHER_CA.cert, OTHER_CA.key, OTHER_CA.cert, OTHER_CA.key), strict=True))
STATES = {"good": GOOD, "other": FOREIGN, "garbage": dict.fromkeys(GOOD, "x"), "empty": dict.fromkeys(GOOD, ""), "": {}}


@pytest.mark.parametrize("ca", STATES)
@pytest.mark.parametrize("ca_key", STATES)
def test_whatever_is_found_the_pair_is_good_or_an_error_tells(ca: str, ca_key: str, tmp_path: Path) -> None:
    """No mixture of good, lost, damaged and foreign files ends in a pair that fails, or loses a CA."""
    for number, (cert, key) in enumerate(itertools.product(STATES, repeat=2)):
        place = tmp_path / str(number)
        place.mkdir()
        for name, state in zip(GOOD, (ca, ca_key, cert, key), strict=True):
            if state:
                (place / name).write_text(STATES[state][name])
        before = texts(place)
        said = ""
        try:
            make_server(place, [], now=NOW)
        except TlsError as error:
            said = error.problems[0]
        if said:
            assert (said.startswith(f"{place}/ca"), texts(place)) == (True, before)
        else:
            assert holds(place)
        kept = {before.get(name, "") for name in (CA, CA_KEY)}
        assert kept <= {*texts(place).values(), ""}, "a CA is lost"
        beginning = ca in {"", "empty"} and (ca_key in {"", "empty"} or not cert)
        signs = ca_key != "garbage" if beginning else ca == ca_key != "garbage" and ca not in {"", "empty"}
        # A CA that cannot sign will do for the pair that it signed.
        assert not (said and signs)
        assert said or signs or ca == cert == key


def test_several_at_once_make_one_ca(tmp_path: Path) -> None:
    """A supervisor and a person may both begin."""
    errors: list[BaseException] = []

    def begin(name: str) -> None:
        try:
            make_server(tmp_path, [name], now=NOW)
        except TlsError as error:
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(f"box-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(texts(tmp_path)) == sorted(GOOD)
    assert holds(tmp_path)
    outcome = make_server(tmp_path, [f"box-{number}" for number in range(8)], now=NOW)[1]
    assert outcome.done == "kept"


# What is configured.


def test_what_is_configured_is_written_down(tmp_path: Path) -> None:
    """For the engine, without the CA's key; that is kept, so that it signs the clients that are made here."""
    kept, root, place = tmp_path / "kept", tmp_path / "root", Path("/etc/docker/tls")
    settings = TlsSettings(OUR_CA.cert, OUR_CA.key, SERVER.cert, SERVER.key, kept)
    files = materialize(settings, root, NOW)
    assert files == TlsFiles(
        place / CA,
        place / SERVER_CERT,
        place / SERVER_KEY,
        (f"{kept}/ca.pem: written", "/etc/docker/tls/server-cert.pem: written"),
    )
    assert files.args == (
        "--tlsverify",
        "--tlscacert=/etc/docker/tls/ca.pem",
        "--tlscert=/etc/docker/tls/server-cert.pem",
        "--tlskey=/etc/docker/tls/server-key.pem",
    )
    assert texts(root / "etc/docker/tls") == {name: text for name, text in GOOD.items() if name != CA_KEY}
    assert texts(kept) == {CA: OUR_CA.cert, CA_KEY: OUR_CA.key}
    assert modes(root / "etc/docker/tls")[SERVER_KEY] == modes(kept)[CA_KEY] == "-rw-------"
    assert materialize(settings, root, NOW).done == ()


def test_without_the_ca_s_key_nothing_is_kept(tmp_path: Path) -> None:
    """Then somebody else signs the clients."""
    settings = TlsSettings(OUR_CA.cert, None, SERVER.cert, SERVER.key, tmp_path / "kept")
    materialize(settings, tmp_path, NOW)
    assert holds(tmp_path / "etc/docker/tls")
    assert not (tmp_path / "kept").exists()


def test_a_configured_ca_signs_what_is_made(tmp_path: Path) -> None:
    """Without a server's pair one is made; without anything a CA too, and it stays when the configuration comes."""
    kept, place = tmp_path / "kept", tmp_path / "engine"
    own = materialize(TlsSettings(kept=kept, directory=place, hostnames=("box",)), now=NOW)
    assert own.done == (
        f"{kept}/ca.pem: made",
        f"{kept}/server-cert.pem: made",
        f"{place}/server-cert.pem: written",
    )
    before, given = texts(kept), texts(place)
    done = materialize(TlsSettings(OUR_CA.cert, OUR_CA.key, kept=kept, directory=place), now=NOW).done
    after = texts(kept)
    asides = sorted(after.keys() - before.keys(), key=lambda name: ("server" in name, "key" not in name))
    moved = sorted(texts(place).keys() - given.keys(), key=lambda name: ("server" not in name, "key" not in name))
    assert done == (
        f"{kept}/ca.pem: written; the previous files are now {asides[0]}, {asides[1]}",
        (
            f"{kept}/server-cert.pem: renewed (it is not signed by the CA in {kept}/ca.pem); the previous files are now"
            f" {asides[2]}, {asides[3]}"
        ),
        f"{place}/server-cert.pem: written; the previous files are now {', '.join(moved)}",
    )
    assert (after[CA], after[CA_KEY]) == (OUR_CA.cert, OUR_CA.key)
    assert {after[name] for name in asides} == set(before.values())
    assert holds(kept)
    assert holds(place)
    described = certificates.describe(after[SERVER_CERT])
    assert described is not None
    assert described.names == (*NAMES, "box")


def test_a_ca_that_was_half_put_aside_is_not_lost(tmp_path: Path) -> None:
    """Power may fail between any two files."""
    kept = tmp_path / "kept"
    materialize(TlsSettings(kept=kept), tmp_path, NOW)
    key = texts(kept)[CA_KEY]
    (kept / CA).rename(kept / "ca-0.pem")
    materialize(TlsSettings(OUR_CA.cert, OUR_CA.key, kept=kept), tmp_path, NOW)
    assert key in texts(kept).values()
    assert holds(kept)
    assert holds(tmp_path / "etc/docker/tls")


def test_half_a_ca_is_never_completed(tmp_path: Path) -> None:
    """A lost certificate is a person's to find again: another one would lock out all clients."""
    make_server(tmp_path, [], now=NOW)
    (tmp_path / CA).unlink()
    with pytest.raises(TlsError) as told:
        make_server(tmp_path, [], now=NOW)
    assert told.value.problems == (
        (
            f"{tmp_path}/ca.pem: is missing beside its key, and clients trust it; put it back, or move the key away"
            " too to have a CA made"
        ),
    )


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        (TlsSettings(OUR_CA.cert), ["ca_key: is missing: it is needed to sign"]),
        (TlsSettings(None, OUR_CA.key), ["ca_cert: is missing: it decides which clients are accepted"]),
        (TlsSettings(OUR_CA.cert, None, SERVER.cert), ["server_key: is missing beside server_cert"]),
        (TlsSettings(OUR_CA.cert, None, "", SERVER.key), ["server_cert: is missing beside server_key", "ca_key: is m"]),
        (
            TlsSettings(None, None, SERVER.cert, SERVER.key),
            ["ca_cert: is missing: it decides which clients are accepted"],
        ),
        (TlsSettings(OUR_CA.cert, OTHER_CA.key), ["ca_key: does not belong to the certificate in "]),
        (
            TlsSettings(OTHER_CA.cert, OUR_CA.key, SERVER.cert, OTHER_CA.key),
            [
                "ca_key: does not belong to the certificate in ",
                "server_key: does not belong to the certificate in ",
                "server_cert: is not signed by the CA in ",
            ],
        ),
        (
            TlsSettings("x", "y", "z", "?"),
            [f"{what}: is not PEM text" for what in ("ca_cert", "ca_key", "server_cert", "server_key")],
        ),
    ],
)
def test_what_is_configured_and_no_good_is_an_error(settings: TlsSettings, problems: list[str], tmp_path: Path) -> None:
    """All of it at once, each by its setting; and nothing is touched."""
    place = tmp_path / "tls"
    with pytest.raises(TlsError) as told:
        materialize(TlsSettings.from_dict(settings.as_dict() | {"kept": place}), place, NOW)
    found = told.value.problems
    pairs = zip(found, problems, strict=True)
    assert [one.startswith(f"rancher.docker.{begin}") for one, begin in pairs] == [True] * len(found), found
    assert all("; " in one for one in found)
    assert not place.exists()


def test_an_expired_pair_is_an_error_when_it_is_configured(tmp_path: Path) -> None:
    """One that was made here is renewed; one that somebody brought is theirs to renew."""
    settings = TlsSettings(OUR_CA.cert, OUR_CA.key, SERVER.cert, SERVER.key, tmp_path)
    with pytest.raises(TlsError, match=r"^rancher\.docker\.server_cert: expired on 2029-11-24; renew it, or remove"):
        materialize(settings, now=NOW + 4 * YEAR)


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "up", "deep", "x"]), max_size=6))
def test_links_lead_where_they_lead_inside(parts: list[str]) -> None:
    """A file system seen from outside: no link, and no ``..``, leads out of it."""
    with TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        (root / "a/b").mkdir(parents=True)
        (root / "up").symlink_to("/a/../../..")
        (root / "a/deep").symlink_to("../../../a/b")
        found = within(root, "/".join(("", *parts)))
        assert found.is_relative_to(root)
        assert not found.is_symlink()
        assert ".." not in found.relative_to(root).parts


def test_files_are_made_in_the_engines_own_file_system(tmp_path: Path) -> None:
    """A storage context's ``/etc/docker`` may be a link: it is followed there, and not on the host."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/docker").symlink_to("/var/lib/settings")
    settings = TlsSettings(kept=tmp_path / "kept")
    files = materialize(settings, root, NOW)
    assert files.key == Path("/etc/docker/tls/server-key.pem")
    place = root / "var/lib/settings/tls"
    assert holds(place)
    (place / SERVER_KEY).unlink()
    (place / SERVER_KEY).symlink_to("/etc/passwd")
    with pytest.raises(TlsError, match=r"cannot read /etc/docker/tls/server-key\.pem: .*; put the file itself there"):
        materialize(settings, root, NOW)


def test_a_name_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TlsError, match="'not a name' is not a host name or an address"):
        materialize(TlsSettings(kept=tmp_path, hostnames=("not a name",)), tmp_path, NOW)


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TlsError) as told:
        make_server(tmp_path / "file" / "tls", [], now=NOW)
    assert told.value.problems == (f"cannot use {tmp_path}/file/tls: Not a directory; choose another directory",)
    (tmp_path / CA).mkdir()
    with pytest.raises(TlsError) as told:
        make_server(tmp_path, [], now=NOW)
    assert told.value.problems == (f"cannot read {tmp_path}/ca.pem: Is a directory; move it away",)


def test_what_a_cut_off_write_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / f".{SERVER_KEY}.new").write_text("half")
    (tmp_path / f".{SERVER_CERT}.new").symlink_to("/etc/passwd")
    make_server(tmp_path, [], now=NOW)
    assert sorted(texts(tmp_path)) == sorted(GOOD)


def test_a_directory_is_used_by_one_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    with opened(tmp_path):

        def wait() -> None:
            make_server(tmp_path, [])
            order.append("second")

        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


# The command.


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine, client = str(tmp_path / "tls"), str(tmp_path / "client")
    assert main(["tls", "generate", "--server", "--hostname", "box", "--dir", engine]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["UNTIL", "made", "made"]
    assert main(["tls", "gen", "-d", client, "--ca-dir", engine, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["path"], one["done"], one["names"], one["aside"]) for one in told] == [
        (f"{engine}/ca.pem", "kept", [], []),
        (f"{client}/cert.pem", "made", [], []),
    ]
    assert all(datetime.fromisoformat(one["until"]) > NOW and len(one["fingerprint"]) == 64 for one in told)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--server", "--hostname", "*"], 2, "dockwarden: '*' is not a host name or an address"),
        (["--dir", "other", "--ca-dir", "ca"], 1, "its files were signed by another CA"),
        (["--server", "--dir", "file/tls"], 73, "Not a directory; choose another directory"),
    ],
)
def test_the_exit_code_tells(
    words: list[str],
    code: int,
    said: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    make_client(tmp_path / "other", tmp_path / "their-ca", [])
    assert main(["tls", "generate", *words]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
