"""A secret does not get out, whichever way it stands in a text or a tree."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.redaction import GONE, Scrubber, known_labels, redact, telling, told

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
        "exit code 137 (SIGKILL)",
        "web: helped: restarted after: its health check failed",
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
