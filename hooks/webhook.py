"""Sends a notice as an HTTP POST of JSON."""

import asyncio
from urllib.parse import urlsplit

import aiohttp

from hooks.errors import NotToldError
from hooks.notices import Notice

PATIENCE = 10.0
"""Seconds for all of it."""


class Webhook:
    """``text_key``: under which name the JSON has the notice as a sentence, which chat services show."""

    kind = "webhook"

    def __init__(self, url: str, text_key: str = "text") -> None:
        """Raises ValueError for what is no http address."""
        self.name = check_address(url)
        self._url = url
        self._text_key = text_key

    async def send(self, notice: Notice) -> None:
        await post(self._url, notice.as_json(self._text_key))


def check_address(url: str) -> str:
    """The URL without its path, which often contains a token. Raises ValueError for what is not an http address."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address, as in https://chat.example/hook")
    return f"{parts.scheme}://{parts.hostname}"


async def post(url: str, body: str) -> None:
    """Raises NotToldError."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
            session.post(url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False) as answer,
        ):
            if answer.status >= 300:
                raise NotToldError(f"status {answer.status}")
    except TimeoutError as error:
        raise NotToldError(f"no answer within {PATIENCE:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise NotToldError(type(error).__name__) from error
