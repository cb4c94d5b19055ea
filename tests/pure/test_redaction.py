"""A secret does not get out, whichever way it stands in a text or a tree."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs import redaction
from supervisor.logs.known_secrets import KnownSecrets
from supervisor.logs.redaction import Scrubber, known_labels, redact, telling, told, worth_hiding
from supervisor.logs.secret_hints import GONE

CANARY = "c4nary-0f-the-mine"


@pytest.mark.parametrize(
    "text",
    [
        f"password={CANARY}",
        f"PGPASSWORD: {CANARY}",
        f'{{"api_key": "{CANARY}"}}',
        f"--token {CANARY}",
        f"--db-password={CANARY}",
        f"--secret '{CANARY} and more'",
        f"https://user:{CANARY}@registry.example/v2",
        f"https://{CANARY}@registry.example/v2",
        f"http://h/x?a=1&access_token={CANARY}&b=2",
        f"Authorization: Bearer {CANARY}",
        f"proxy-authorization = Basic {CANARY}",
        f"said Bearer {CANARY}",
        f"Cookie: session=1; other={CANARY}",
        f"password=begins,{CANARY}",
        f'{{"secret": "with \\" a quote {CANARY}"}}',
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
        f"dockwarden boot --notify-webhook https://chat.example/{CANARY} --all",
        f"ghp_{CANARY}",
    ],
)
def test_a_secret_is_known_by_its_shape(text: str) -> None:
    """It is gone, something says so, and a second time changes nothing."""
    once = redact(text)
    assert CANARY not in once
    assert GONE in once
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "killed by SIGKILL (exit code 137)",
        "web: restarted after: unhealthy: HEALTHCHECK failed",
        "unix:///run/docker.sock",
        "the author is a monkey: 3",
        "http://:8080/health?verbose=1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """A bundle in which everything is redacted helps nobody."""
    assert redact(text) == text


@pytest.mark.parametrize(("key", "is_telling"), [("apiKey", True), ("ssh_authorized_keys", True), ("monkey", False)])
def test_a_key_tells_by_its_words(key: str, is_telling: bool) -> None:
    """Whole words for short ones, anywhere for those that mean nothing else."""
    assert telling(key) is is_telling


PIECES = st.sampled_from(
    [
        *(
            "-----BEGIN X-----",
            "http://u:p@h",
            "eyJabcdefg.hijklmn.o",
            "ghp_0123456789abc",
            "AKIA0123456789AB",
            "sk-0123456789a",
        ),
        *(
            "--notify-webhook=x",
            "apiKey=x",
            "AUTH=xx",
            "dbPass=y",
            "SIGKILL",
            "sig=zz",
            "Cookie: a=b",
            "PIN: 1234",
            "monkey=1",
        ),
        *(
            "bearer abcdefgh",
            "Basic QWxhZGRpbg",
            "--pem file",
            "a",
            " ",
            "\n",
            "=",
            ":",
            "Keys=3",
            "dsn='x y'",
            "KEY=1",
            "otp: 12",
        ),
        *(
            "xoxb-0123456789abc",
            "glpat-0123456789abc",
            "OTPS=1",
            "myKEY=2",
            "private: x",
            "PASSWORD =x",
            "pwd=y",
            "salt=1",
        ),
    ]
)


@given(st.lists(PIECES, max_size=6))
def test_looking_first_whether_there_is_anything_changes_nothing(pieces: list[str]) -> None:
    """Most lines have no trace of a secret, and are not searched any further: none with one may be among them."""
    text = "".join(pieces)
    fast = redact(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_suspicious", lambda _: True)
        assert redact(text) == fast


@pytest.mark.parametrize(
    "text", ["auth: ready", "waits for token-service: it is starting", "console: killed by SIGKILL (exit code 137)"]
)
def test_a_sentence_about_a_unit_stays(text: str) -> None:
    """Whatever the unit's name is; what stands behind an equals sign is a secret all the same."""
    secrets = KnownSecrets()
    assert secrets(text) == text
    assert secrets(f"{text}; TOKEN={CANARY}") == f"{text}; TOKEN={GONE}"


def test_what_says_more_by_being_hidden_stays() -> None:
    """A unit's name, a path, a short word, though a telling variable has it as its value."""
    body = {"Env": ["AUTH_HOST_KEY=frontend", "KEY_FILE=/etc/ssl/key", "AUTH=on", f"PASSWORD={CANARY}"]}
    assert worth_hiding([body], {"frontend"}) == (CANARY,)


def test_what_was_learnt_is_taken_out_of_any_text() -> None:
    """Values of telling variables and labels, headers, passwords in addresses, from the body of a create call."""
    body = {
        "Env": [f"DB_PASSWORD={CANARY}1", f"URL=http://u:{CANARY}2@h/", "LANG=deutsch-an-der-Elbe"],
        "Labels": {
            "com.example.token": f"{CANARY}3",
            "dockwarden.health.header.X-Id": f"{CANARY}4",
            "note": "harmless",
        },
        "Cmd": ["run", f"https://{CANARY}5@h/", f"sh -c 'x --token {CANARY}7; PASS=\"{CANARY}8\" y'"],
    }
    secrets = KnownSecrets()
    secrets.learn(worth_hiding([body], ()))
    secrets.learn([f"{CANARY}6"])
    for number in range(1, 9):
        assert secrets(f"said {CANARY}{number}, deutsch-an-der-Elbe") == f"said {GONE}, deutsch-an-der-Elbe"
    assert secrets.tree({"reason": [f"{CANARY}1"], "n": 1}) == {"reason": [GONE], "n": 1}


TREES = st.recursive(
    st.just(CANARY) | st.integers() | st.none() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, max_size=6), inner),
    max_leaves=12,
)


@given(TREES)
def test_a_known_secret_is_taken_out_of_any_tree(tree: object) -> None:
    """Wherever it stands, also as a part of a longer text or as a key, and what is left is still JSON."""
    shown = json.dumps(Scrubber([CANARY]).tree({"a": tree, CANARY: 1, "said": f"<<{CANARY}>>"}))
    assert CANARY not in shown
    json.loads(shown)


@given(TREES)
def test_nothing_below_a_telling_key_gets_out(tree: object) -> None:
    """However deep it stands there; and it is known as a secret from then on."""
    assert CANARY not in json.dumps(Scrubber(()).tree({"secrets": tree}))
    stands_in_it = json.dumps(tree).replace("\\", "").count(f'"{CANARY}"')
    assert sum(one == CANARY for one in told({"secrets": tree})) == stands_in_it


def test_names_and_paths_stay() -> None:
    """A variable may have the name of a container as its value: without names nobody could read it."""
    scrubber = Scrubber(["web-frontend", "/usr/local/bin", "on", CANARY], {"web-frontend"})
    assert scrubber.text(f"web-frontend /usr/local/bin on {CANARY}") == f"web-frontend /usr/local/bin on {GONE}"


def test_only_our_own_labels_are_shown() -> None:
    """And of those none that holds a command, an address or a header."""
    labels = {
        "dockwarden.enable": "true",
        "dockwarden.health.exec": CANARY,
        "dockwarden.health.live.http": CANARY,
        "dockwarden.health.header.X-Id": CANARY,
        "com.example.note": CANARY,
    }
    assert known_labels(labels) == {
        "dockwarden.enable": "true",
        "dockwarden.health.exec": GONE,
        "dockwarden.health.live.http": GONE,
        "dockwarden.health.header.X-Id": GONE,
    }
