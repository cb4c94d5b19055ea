"""What the environment of docker-autoheal means here, of both programs of that name. Pure.

Willfarrell's has most names without a prefix, tmknight's all with one. Who takes our image for theirs keeps the rest of
the compose file. So each of their variables is in the table, one that means nothing here is told, and a wrong one costs
only itself.
"""

from collections.abc import Mapping
from typing import Final

from supervisor.config.fields import duration
from units.quantities import Seconds
from units.records import dataclass

LONGEST = 1e6
"""Seconds that a variable may say."""
ALL = "all"
"""The label's name that means every container."""
TITLE = "dockwarden"
POLLED = "nothing is polled: the engine's events tell"
ENGINES = "say it as the Docker CLI does: DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH"


@dataclass(frozen=True, slots=True)
class Variable:
    names: tuple[str, ...]
    means: str
    """What it does here, as a sentence of the reference; empty: nothing."""
    because: str = ""
    """Why it does nothing."""


VARIABLES: Final = (
    Variable(("AUTOHEAL_CONTAINER_LABEL",), "the label that opts in (`autoheal`); `all` is `--all`"),
    Variable(("AUTOHEAL_MONITOR_ALL",), "`true` is `--all`"),
    Variable(
        ("AUTOHEAL_DEFAULT_STOP_TIMEOUT", "AUTOHEAL_STOP_TIMEOUT"),
        "seconds, where neither a label nor the container says any",
    ),
    Variable(("AUTOHEAL_START_PERIOD", "AUTOHEAL_START_DELAY"), "seconds to wait before anything is done"),
    Variable(("DOCKER_SOCK",), "[the engine](#how-an-engine-is-named): a path, `tcp://` or `tcps://`"),
    Variable(("WEBHOOK_URL", "AUTOHEAL_WEBHOOK_URL"), "as `--notify-webhook`"),
    Variable(("WEBHOOK_JSON_KEY", "AUTOHEAL_WEBHOOK_KEY"), "the key of the text in the webhook's JSON (`text`)"),
    Variable(("APPRISE_URL", "AUTOHEAL_APPRISE_URL"), "as `--notify-apprise`: the address of an Apprise API server"),
    Variable(("AUTOHEAL_NOTIFICATION_GOTIFY_URL",), "the address of a Gotify server"),
    Variable(("AUTOHEAL_NOTIFICATION_GOTIFY_TOKEN",), "its application's token"),
    Variable(("AUTOHEAL_NOTIFICATION_GOTIFY_TITLE",), "the title of its messages (`dockwarden`)"),
    Variable(
        ("POST_RESTART_SCRIPT",),
        "as `--notify-command`, with the arguments name, short id, state and stop timeout",
    ),
    Variable(("AUTOHEAL_POST_ACTION",), "as `--notify-command`, with the arguments name, short id and stop timeout"),
    Variable(("AUTOHEAL_INTERVAL", "AUTOHEAL_ONLY_MONITOR_RUNNING"), "", POLLED),
    Variable(("CURL_TIMEOUT", "AUTOHEAL_TCP_TIMEOUT"), "", "each call has a limit of its own"),
    Variable(("AUTOHEAL_CONNECTION_TYPE", "AUTOHEAL_TCP_HOST", "AUTOHEAL_TCP_PORT", "AUTOHEAL_PEM_PATH"), "", ENGINES),
    Variable(("AUTOHEAL_LOG_ALL", "AUTOHEAL_LOG_EXCLUDED"), "", "each container's changes are in the log"),
    Variable(("AUTOHEAL_LOG_PERSIST",), "", "use --log-target file:PATH"),
)
SAME: Final = {("AUTOHEAL_CONNECTION_TYPE", "socket"), ("AUTOHEAL_CONNECTION_TYPE", "local")}
"""What is so here anyway, and needs no warning."""
PREFIX: Final = "AUTOHEAL_"


@dataclass(frozen=True, slots=True)
class Said:
    """A value, and the variable that has it."""

    variable: str
    value: str


@dataclass(frozen=True, slots=True)
class Script:
    """A program that is run after a restart."""

    command: Said
    arguments: tuple[str, ...]
    """Fields of a notice, in their order."""


@dataclass(frozen=True, slots=True)
class Gotify:
    url: Said
    token: str
    title: str


SCRIPTS: Final = (
    ("POST_RESTART_SCRIPT", ("unit", "container", "state", "stop_timeout")),
    ("AUTOHEAL_POST_ACTION", ("unit", "container", "stop_timeout")),
)
"""What each of the two gives its script."""


@dataclass(frozen=True, slots=True)
class Autoheal:
    """What their environment asks for."""

    label: str = "autoheal"
    everything: bool = False
    stop_timeout: Seconds | None = None
    start_period: Seconds = Seconds(0)
    webhook: Said | None = None
    webhook_key: str = "text"
    apprise: Said | None = None
    gotify: Gotify | None = None
    scripts: tuple[Script, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()
    """Variables that are set in vain, and why."""

    @property
    def notifies(self) -> bool:
        """Whether somebody is to get notices."""
        return bool(self.webhook or self.apprise or self.gotify or self.scripts)


def read(environ: Mapping[str, str]) -> Autoheal:
    said = _Environ(environ)
    label = said.text("AUTOHEAL_CONTAINER_LABEL") or "autoheal"
    stop = said.seconds("AUTOHEAL_DEFAULT_STOP_TIMEOUT", "AUTOHEAL_STOP_TIMEOUT")
    start = said.seconds("AUTOHEAL_START_PERIOD", "AUTOHEAL_START_DELAY")
    everything = said.yes("AUTOHEAL_MONITOR_ALL")
    return Autoheal(
        label="autoheal" if label == ALL else label,
        everything=everything or label == ALL,
        stop_timeout=stop,
        start_period=Seconds(0) if start is None else start,
        webhook=said.first("WEBHOOK_URL", "AUTOHEAL_WEBHOOK_URL"),
        webhook_key=said.text("WEBHOOK_JSON_KEY", "AUTOHEAL_WEBHOOK_KEY") or "text",
        apprise=said.first("APPRISE_URL", "AUTOHEAL_APPRISE_URL"),
        gotify=_gotify(said),
        scripts=tuple(Script(command, given) for name, given in SCRIPTS if (command := said.first(name))),
        unused=(*said.unused, *_in_vain(environ)),
    )


def _gotify(said: "_Environ") -> Gotify | None:
    url = said.first("AUTOHEAL_NOTIFICATION_GOTIFY_URL")
    token, title = (said.text(f"AUTOHEAL_NOTIFICATION_GOTIFY_{part}") for part in ("TOKEN", "TITLE"))
    return Gotify(url, token, title or TITLE) if url else None


def _in_vain(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    known = {name: one for one in VARIABLES for name in one.names}
    vain = []
    for name, value in sorted(environ.items()):
        if not value or (name, value) in SAME:
            continue
        if name not in known:
            if name.startswith(PREFIX):
                vain.append((name, "nobody here knows it"))
        elif not known[name].means:
            vain.append((name, known[name].because))
    return vain


class _Environ:
    """Reads variables; a compose file's ``- NAME="value"`` leaves its quotes in the value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.unused: list[tuple[str, str]] = []

    def first(self, *names: str) -> Said | None:
        """The first of these that is set."""
        return next((Said(name, value) for name in names if (value := _unquoted(self._environ.get(name, "")))), None)

    def text(self, *names: str) -> str:
        found = self.first(*names)
        return "" if found is None else found.value

    def yes(self, name: str) -> bool:
        value = self.text(name).lower()
        if value not in {"", "true", "false"}:
            self.unused.append((name, "expected true or false"))
        return value == "true"

    def seconds(self, *names: str) -> Seconds | None:
        for name in names:
            if text := self.text(name):
                value = duration(text)
                if value is not None and value < LONGEST:
                    return value
                self.unused.append((name, "expected a number of seconds"))
        return None


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
