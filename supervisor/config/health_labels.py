"""Reads ``dockwarden.health.*`` and ``dockwarden.relink``: a unit's checks, and what to do on failure. Pure.

The labels are the same on a unit of a cloud-config and on a container under ``dockwarden watch``. An invalid value is
reported, and the default is used.
"""

import re
import signal as signals
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from supervisor.config.fields import duration
from supervisor.config.tree import nearest
from units.bounded import LARGEST, from_json, quoted, whole
from units.health import Check, CheckKind, Exec, Http, Probe, Tcp
from units.quantities import Seconds
from units.records import dataclass, replace
from units.spec import HealPolicy, OnUnhealthy

PREFIX = "dockwarden.health."
RELINK = "dockwarden.relink"

LONGEST_LABEL = 1024
"""Characters of a label that is read. A longer one is ignored, not cut: half a command is another command."""
LONGEST_KEY = 256
MOST_LABELS = 128
"""Labels of one container that are read."""
MOST_GUESSES = 8
"""Unknown labels of one container for which a known one is looked for: each costs a millisecond."""
SHORTEST = Seconds(0.1)
"""Between two checks: a shorter interval is a slip, and would keep the supervisor busy with one container."""

Complain = Callable[[str, str, str], None]
"""Key, the problem with its value, and the fix."""


class WrongValueError(ValueError):
    """The value is invalid; the text says what is expected."""


@dataclass(frozen=True, slots=True)
class HealthLabels:
    """The result for one unit."""

    heal: HealPolicy = HealPolicy()
    checks: tuple[Check, ...] = ()
    relink: bool = True
    engine_check: bool = True
    """Whether the compose file's health check is the engine's to run."""


@dataclass
class _CheckDraft:
    """One check while its labels are read."""

    settings: dict[str, Any] = field(default_factory=dict)
    http: dict[str, Any] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    probe: Probe | None = None


def read_health(labels: Mapping[str, str], complain: Complain) -> HealthLabels:
    """Read all labels; ``complain`` is called for each invalid one."""
    wishes = HealthLabels()
    wanted: dict[str, _CheckDraft] = {"": _CheckDraft()}
    ours = sorted(key for key in labels if key == RELINK or key.startswith(PREFIX))
    if len(ours) > MOST_LABELS:
        complain(ours[MOST_LABELS], f"is one of {len(ours)} such labels, of which {MOST_LABELS} are read", "")
    unknown = 0
    for key in ours[:MOST_LABELS]:
        value = labels[key]
        try:
            if key == RELINK:
                wishes = replace(wishes, relink=boolean(value))
            else:
                wishes = _read(key.removeprefix(PREFIX), value, wishes, wanted)
        except WrongValueError as error:
            complain(key, f"{quoted(value)}: expected {error}", "")
        except KeyError:
            unknown += 1
            guess = nearest(key, [PREFIX + name for name in KNOWN]) if unknown <= MOST_GUESSES else ""
            complain(key[:LONGEST_KEY], "unknown label", guess)
    heal, signal = wishes.heal, wishes.heal.signal
    if heal.action is OnUnhealthy.SIGNAL and not signal:
        complain(f"{PREFIX}signal", "is missing", f"the action signal needs one, as in {PREFIX}signal=SIGHUP")
        wishes = replace(wishes, heal=replace(heal, action=OnUnhealthy.RESTART))
    return replace(wishes, checks=_checks(wanted, complain))


def _read(key: str, value: str, wishes: HealthLabels, wanted: dict[str, _CheckDraft]) -> HealthLabels:
    if len(key) > LONGEST_KEY:
        raise KeyError
    known_length(value)
    if key in POLICY:
        return replace(wishes, heal=replace(wishes.heal, **{key: POLICY[key](value)}))
    if key == "engine":
        return replace(wishes, engine_check=boolean(value))
    first, _, rest = key.partition(".")
    name, setting = (first, rest) if rest and first not in {*SETTINGS, "header"} else ("", key)
    _set(wanted.setdefault(name, _CheckDraft()), setting, value)
    return wishes


def _set(check: _CheckDraft, setting: str, value: str) -> None:
    if setting in PROBES:
        check.probe = PROBES[setting](value)
    elif setting.startswith("header.") and len(setting) > len("header."):
        name = setting.removeprefix("header.")
        if not value.isprintable() or not value.isascii() or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise WrongValueError("a header's name and its value, in one line")
        check.headers.append((name, value))
    elif setting == "status":
        check.http["statuses"] = statuses(value)
    elif setting == "verify":
        check.http["verify"] = boolean(value)
    else:
        check.settings[setting] = SETTINGS[setting](value)


def _checks(wanted: dict[str, _CheckDraft], complain: Complain) -> tuple[Check, ...]:
    """Labels without a check's name apply to all checks of the unit."""
    common = wanted.pop("")
    if common.probe is not None:
        wanted = {"check": common, **wanted}
    checks = []
    for name, one in wanted.items():
        probe = one.probe
        if probe is None:
            complain(f"{PREFIX}{name}", "checks nothing", f"set {PREFIX}{name}.http, .tcp or .exec")
            continue
        if isinstance(probe, Http):
            headers = tuple(one.headers or common.headers)
            probe = replace(probe, **{**common.http, **one.http, "headers": headers})
        checks.append(Check(name, probe, **{**common.settings, **one.settings}))
    return tuple(checks)


def engine_check(declared: Mapping[str, Any]) -> Check | None:
    """A compose health check as a check of the supervisor; ``None`` where there is nothing to run.

    Args:
        declared: ``Healthcheck`` of a create body; durations in nanoseconds.
    """
    test = declared.get("Test") or ["NONE"]
    if test[0] == "NONE" or len(test) < 2:
        return None
    command = tuple(test[1:]) if test[0] == "CMD" else ("/bin/sh", "-c", test[1])
    times = {
        ours: Seconds(declared[theirs] / 1e9)
        for ours, theirs in (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod"))
        if declared.get(theirs)
    }
    retries = {"retries": int(declared["Retries"])} if declared.get("Retries") else {}
    return Check("healthcheck", Exec(command), **times, **retries)  # type: ignore[arg-type]


def known_length(text: str, longest: int = LONGEST_LABEL) -> str:
    """The text, of which at most so many characters are looked at."""
    if len(text) > longest:
        raise WrongValueError(f"at most {longest} characters")
    return text


def boolean(text: str) -> bool:
    word = known_length(text).strip().lower()
    if word not in {"true", "false", "yes", "no", "1", "0", "on", "off"}:
        raise WrongValueError("true or false")
    return word in {"true", "yes", "1", "on"}


def seconds(text: str) -> Seconds:
    """Seconds, or with a unit: ``1m30s``. More than 0."""
    found = duration(text)
    if found is None or found <= 0:
        raise WrongValueError("a duration, as in 10s")
    return found


def between(text: str) -> Seconds:
    """A pause between two checks."""
    found = seconds(text)
    if found < SHORTEST:
        raise WrongValueError("100ms or more")
    return found


NOTHING = frozenset(f"0{unit}" for unit in ("", "ms", "s", "m", "h"))


def instant(text: str) -> Seconds:
    """A duration that may be none."""
    return Seconds(0) if text.strip() in NOTHING else seconds(text)


def number(text: str) -> int:
    found = whole(text, 1, 1000)
    if found is None:
        raise WrongValueError("a number from 1 to 1000")
    return found


def port(text: str | int) -> int:
    found = whole(str(text), 1, 65535)
    if found is None:
        raise WrongValueError("a port, from 1 to 65535")
    return found


def action(text: str) -> OnUnhealthy:
    if text not in set(OnUnhealthy):
        raise WrongValueError(", ".join(OnUnhealthy))
    return OnUnhealthy(text)


def kind(text: str) -> CheckKind:
    if text not in set(CheckKind):
        raise WrongValueError(", ".join(CheckKind))
    return CheckKind(text)


def signal(text: str) -> str:

    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name not in signals.Signals.__members__:
        raise WrongValueError("a signal's name, as in SIGHUP")
    return name


def statuses(text: str) -> tuple[tuple[int, int], ...]:
    """``200-299,404``."""
    found = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        first, last = whole(low, 0, LARGEST), whole(high if dash else low, 0, LARGEST)
        if first is None or last is None:
            raise WrongValueError("status codes and ranges, as in 200-299,404")
        if not 100 <= first <= last <= 599:
            raise WrongValueError("status codes from 100 to 599")
        found.append((first, last))
    return tuple(found)


def http(text: str) -> Http:
    """``http://:8080/health``: without a host, the container itself is asked."""
    wanted = "an address, as in http://:8080/health"
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        found = url.port
    except ValueError:
        raise WrongValueError(wanted) from None
    if url.scheme not in {"http", "https"} or not text.isprintable() or " " in text or not text.isascii():
        raise WrongValueError(wanted)
    named = hostname(url.hostname or "", wanted)
    tls = url.scheme == "https"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Http(port(found or (443 if tls else 80)), path, named, tls=tls)


def tcp(text: str) -> Tcp:
    """``8080``, or ``host:8080``."""
    host, _, number_ = text.strip().rpartition(":")
    return Tcp(port(number_), hostname(host.strip("[]"), "a port, or host:port"))


def hostname(text: str, wanted: str) -> str:
    """A name, an address, or nothing."""
    parts = text.rstrip(".").split(".")
    address = ":" in text and re.fullmatch(r"[0-9a-fA-F:.]+", text)
    if text and not address and not all(re.fullmatch(r"[A-Za-z0-9_-]{1,63}", part) for part in parts):
        raise WrongValueError(wanted)
    return text


def command(text: str) -> Exec:
    """A line for the container's shell, or a JSON list of words that needs none."""
    if not text.strip():
        raise WrongValueError("a command")
    if not text.lstrip().startswith("["):
        return Exec(("/bin/sh", "-c", text))
    try:
        words = from_json(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise WrongValueError('a command, or a JSON list of words, as in ["/bin/check", "-q"]')
    return Exec(tuple(words))


PROBES: Mapping[str, Callable[[str], Probe]] = {"http": http, "tcp": tcp, "exec": command}
SETTINGS: Mapping[str, Callable[[str], Any]] = {
    "kind": kind,
    "interval": between,
    "timeout": seconds,
    "retries": number,
    "start_period": instant,
    "start_interval": between,
    "successes": number,
}
POLICY: Mapping[str, Callable[[str], Any]] = {
    "action": action,
    "signal": signal,
    "falls": number,
    "window": seconds,
    "calm": seconds,
}
KNOWN = (*POLICY, "engine", *PROBES, *SETTINGS, "status", "verify", "header.NAME")
"""Without a check's name before it."""
