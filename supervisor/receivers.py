"""Who gets notices, by command line and environment. A wrong address costs only itself: healing goes on."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from hooks.command import CommandReceiver
from hooks.notifier import Receiver
from hooks.webhook import Apprise, Gotify, Webhook
from supervisor.config.autoheal import Autoheal
from supervisor.os_errors import why
from units.records import dataclass

FROM_FILE: Final = "@"
"""Before a path: the address, the command or the token is in that file."""
LONGEST = 4096
"""Characters of it."""


@dataclass(frozen=True, slots=True)
class Receivers:
    made: tuple[Receiver, ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()
    """Where one was named of which nothing can be made, and why; no value is quoted, for it may be a secret."""

    @property
    def trouble(self) -> str:
        return "; ".join(f"{source}: {reason}" for source, reason in self.wrong)


Maker = Callable[[str], Receiver]


def receivers(
    webhooks: Iterable[str], apprises: Iterable[str], commands: Iterable[str], said: Autoheal | None
) -> Receivers:
    """``said``: the environment that docker-autoheal had, if it counts."""
    made: list[Receiver] = []
    wrong: list[tuple[str, str]] = []
    webhook = Webhook if said is None else partial(Webhook, text_key=said.webhook_key)
    named: list[tuple[str, Maker, str]] = [
        *(("--notify-webhook", webhook, url) for url in webhooks),
        *(("--notify-apprise", Apprise, url) for url in apprises),
        *(("--notify-command", CommandReceiver, command) for command in commands),
        *(() if said is None else _of_autoheal(said, webhook)),
    ]
    for source, make, value in named:
        try:
            made.append(make(_read(value)))
        except ValueError as error:
            wrong.append((source, str(error)))
    return Receivers(tuple(made), tuple(wrong))


def _of_autoheal(said: Autoheal, webhook: Maker) -> Iterator[tuple[str, Maker, str]]:
    if said.webhook:
        yield said.webhook.variable, webhook, said.webhook.value
    if said.apprise:
        yield said.apprise.variable, Apprise, said.apprise.value
    if (gotify := said.gotify) is not None:

        def with_token(url: str) -> Receiver:
            return Gotify(url, _read(gotify.token), gotify.title)

        yield gotify.url.variable, with_token, gotify.url.value
    for script in said.scripts:
        yield script.command.variable, partial(CommandReceiver, arguments=script.arguments), script.command.value


def _read(value: str) -> str:
    if not value.startswith(FROM_FILE):
        return value
    try:
        with Path(value[1:]).open() as file:
            return file.read(LONGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{value[1:]}: {why(error) if isinstance(error, OSError) else 'is no text'}") from error
