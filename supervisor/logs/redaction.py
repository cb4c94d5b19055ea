"""Takes secrets out of what leaves the host: the only place that knows how one looks. Pure.

Two ways, and both are needed. By *shape*: values of telling keys, userinfo and query of a URL, PEM blocks,
``Authorization``, tokens whose makers gave them a prefix. By *value*: what is known to be a secret, because it stood in
an environment or behind a telling key, is taken out wherever else it turns up: in an error text, an event, an output.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from supervisor.logs.secret_hints import GONE, traced

SHORTEST: Final = 6
"""Characters: shorter values are words that stand everywhere, and taking them out would tell what they are."""

_TELLING = re.compile(
    r"passw(or)?d|passphrase|pwd|secret|token|credential|cookie|private|api_?key|access_?key|bearer|signature|webhook",
    re.IGNORECASE,
)
_WORDS = frozenset({"auth", "authorization", "key", "keys", "pass", "pem", "dsn", "salt", "sas", "sig", "pin", "otp"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_USERINFO = re.compile(r"(?<=://)[^/\s?#\"']+@")
_AUTHORIZATION = re.compile(
    r"(\b(?:(?:proxy-)?authorization|(?:set-)?cookie)\b[\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+", re.IGNORECASE
)
_SCHEME = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{6,}", re.IGNORECASE)
_VALUE = r"""(?P<value>\[redacted\]|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s&]+)"""
_PAIR = re.compile(r"""(?P<key>[A-Za-z0-9_.-]{2,80})(?P<is>["']?\s*[=:]\s*)""" + _VALUE)
_SAID = re.compile(r"(?<![\w.-])((?!(?i:(?:proxy-)?authorization|(?:set-)?cookie)\b)[A-Za-z0-9_.-]{2,80}):(?=\s)")
_COLON = "\ue000"
"""Stands for a colon that parts a name from a sentence about it."""
_FLAG = re.compile(r"(?P<flag>--?[A-Za-z0-9][A-Za-z0-9-]{1,60})(?P<is>\s+)" + _VALUE)
_KNOWN = re.compile(
    r"\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*|\b(?:gh[pousr]|glpat|xox[abprs]|sk|pk)[_-][A-Za-z0-9_-]{10,}|\bAKIA[A-Z0-9]{12,}"
)
_SHORT = "auth|authorization|keys?|pass|pem|dsn|salt|sas|sig|pin|otp"
_HINT = re.compile(
    rf"-----BEGIN|://[^/\s]*@|eyJ|gh[pousr][_-]|glpat|xox[abprs]|[sp]k[_-]|AKIA|--notify-"
    rf"|(?i:{_TELLING.pattern}|basic\s|authorization)"
    rf"|(?:{_SHORT}|{_SHORT.title()})(?![a-z])|(?:{_SHORT.upper()})(?![A-Z])".replace("KEYS?", "KEYS?")
)
"""Stands in every text from which ``redact`` would take something."""
_HOOK = re.compile(r"(--notify-[a-z]+[= ])\s*('[^']*'|\"[^\"]*\"|\S+)")


@lru_cache(maxsize=512)
def telling(key: str) -> bool:
    """Whether the name of a value says that it is a secret."""
    return bool(_TELLING.search(key)) or not _WORDS.isdisjoint(word.lower() for word in _WORD.findall(key))


def redact(text: str) -> str:
    """A text without what has the shape of a secret. Twice is the same as once."""
    if not _suspicious(text):
        return text
    text = _PEM.sub(GONE, text)
    text = _HOOK.sub(rf"\1{GONE}", text)
    text = _USERINFO.sub(f"{GONE}@", text)
    text = _AUTHORIZATION.sub(rf"\1{GONE}", text)
    text = _SCHEME.sub(rf"\1 {GONE}", text)
    text = _KNOWN.sub(GONE, text)
    text = _FLAG.sub(_flag, text)
    return _PAIR.sub(_pair, text)


def _suspicious(text: str) -> bool:
    return traced(text) and _HINT.search(text) is not None


def redact_prose(text: str) -> str:
    """Of a sentence: here ``key: value`` is none, for ``auth: ready`` says how the unit ``auth`` is."""
    if not _suspicious(text):
        return text
    return redact(_SAID.sub(lambda match: f"{match[1]}{_COLON}", text)).replace(_COLON, ":")


def _pair(match: re.Match[str]) -> str:
    return f"{match['key']}{match['is']}{GONE}" if telling(match["key"]) else match[0]


def _flag(match: re.Match[str]) -> str:
    return f"{match['flag']}{match['is']}{GONE}" if telling(match["flag"]) else match[0]


def secrets_of(environment: Iterable[str]) -> Iterator[str]:
    """The values of ``K=V``, all of them: no name of a variable says for sure that its value is none."""
    for entry in environment:
        yield entry.partition("=")[2]


def told(value: Any, key: str = "") -> Iterator[str]:
    """Each text in a tree that stands behind a telling key."""
    match value:
        case dict():
            for name, one in value.items():
                yield from told(one, key if telling(key) else str(name))
        case list() | tuple():
            for one in value:
                yield from told(one, key)
        case str() if telling(key):
            yield value


class Scrubber:
    """Takes known values out of any text.

    Args:
        secrets: Values; of one over several lines each line is a secret too.
        harmless: Names that must stay, though some variable has them as its value.
    """

    def __init__(self, secrets: Iterable[str], harmless: Collection[str] = ()) -> None:
        lines = (line.strip() for secret in secrets for line in (secret, *secret.splitlines()))
        self.secrets = sorted(
            {line for line in lines if len(line) >= SHORTEST and line not in harmless and not _everyday(line)},
            key=lambda line: (-len(line), line),
        )

    def tree(self, value: Any, key: str = "") -> Any:
        """JSON without them, and without each value below a telling key."""
        match value:
            case dict():
                # A map behind a telling key is of names to secrets (`secrets:`).
                return {self.text(str(n)): self.tree(one, key if telling(key) else str(n)) for n, one in value.items()}
            case list() | tuple():
                return [self.tree(one, key) for one in value]
            case bool() | None:
                return value
            case _ if telling(key):
                return GONE if value != "" else ""
            case str():
                return self.text(value)
            case _:
                return value

    def text(self, text: str) -> str:
        """Twice is the same as once."""
        text = redact(text)
        for secret in self.secrets:
            for spelled in {secret, _escaped(secret)}:
                text = text.replace(spelled, GONE)
        return text


def _everyday(value: str) -> bool:
    """Paths, and search paths: they stand everywhere, and ``PATH`` is in each environment."""
    return value.lower() in {"localhost", "production", "development", "default", "disabled", "enabled"} or all(
        part.startswith("/") and part.count("/") <= 4 and len(part) < 40 and part.replace("/", "").isalpha()
        for part in value.split(":")
    )


def _escaped(secret: str) -> str:
    """As it stands within JSON."""
    return secret.replace("\\", "\\\\").replace('"', '\\"')


def known_labels(labels: Mapping[str, Any]) -> dict[str, str]:
    """The labels that say what we do, without those that may hold a command or a header."""
    return {
        str(key): str(value) if _shown(str(key)) else GONE
        for key, value in labels.items()
        if str(key).startswith(("dockwarden.", "io.rancher.os.", "autoheal"))
        or key in {"com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.depends_on"}
    }


def _shown(key: str) -> bool:
    return not key.endswith((".exec", ".http")) and ".header." not in key and not telling(key)


def worth_hiding(definitions: Iterable[Any], harmless: Collection[str]) -> tuple[str, ...]:
    """The secrets in these definitions, as they may be spelled, without what would tell more by being hidden.

    ``harmless``: names of units, which some variable may have as its value.
    """
    found = Scrubber((one for definition in definitions for one in secrets_in(definition)), harmless)
    return tuple(dict.fromkeys(spelled for one in found.secrets for spelled in (one, _escaped(one))))


def secrets_in(value: Any) -> Iterator[str]:
    """Of a definition: what stands behind telling keys and in headers, ``KEY=value`` of telling ones, passwords."""
    match value:
        case dict():
            for key, one in value.items():
                if telling(str(key)) or ".header." in str(key):
                    yield from told({"secret": one})
                yield from secrets_in(one)
        case list() | tuple():
            for one in value:
                yield from secrets_in(one)
        case str():
            yield from _secrets_in_text(value)
        case _:
            pass


def _secrets_in_text(text: str) -> Iterator[str]:
    if not _suspicious(text):
        return
    key, is_pair, behind = text.partition("=")
    if is_pair and telling(key):
        yield behind
    bare = text.replace("'", " ").replace('"', " ")  # For what stands within a quoted command.
    for found in (one for form in (_FLAG, _PAIR) for said in (text, bare) for one in form.finditer(said)):
        if telling(found[1]):
            yield found["value"].strip("\"'").rstrip(";,)")
    for found in _USERINFO.findall(text):
        yield found.rstrip("@").partition(":")[2] or found.rstrip("@")
