"""Takes secrets out of what others said, for a supervisor: knows what is secret on this host. Pure.

Light: how a secret looks is known by ``redaction``, which is loaded when a text first has a trace of one.
"""

from collections.abc import Iterable
from typing import Any

from supervisor.logs.secret_hints import GONE, traced


def conceal(text: str) -> str:
    """A sentence without what has the shape of a secret."""
    if not traced(text):
        return text
    from supervisor.logs.redaction import redact_prose  # noqa: PLC0415 - as the module's docstring says

    return redact_prose(text)


class KnownSecrets:
    """What is known to be secret on this host. Called with a text, it takes that out, and what looks like it.

    ``learn`` from each reading of the configuration: what was a secret stays one.
    """

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def learn(self, secrets: Iterable[str]) -> None:
        """As ``redaction.worth_hiding`` chose them."""
        self._known = tuple(sorted({*self._known, *secrets}, key=lambda one: (-len(one), one)))

    def __call__(self, text: str) -> str:
        text = conceal(text)
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, GONE)
        return text

    def tree(self, value: Any) -> Any:
        """JSON, as it is said in a line of the log."""
        match value:
            case str():
                return self(value)
            case dict():
                return {key: self.tree(one) for key, one in value.items()}
            case list() | tuple():
                return [self.tree(one) for one in value]
            case _:
                return value
