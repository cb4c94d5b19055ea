"""Sends a notice as an HTTP POST of JSON: to a webhook, an Apprise API server, a Gotify server."""

import asyncio
import json
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import aiohttp

from hooks.errors import NotToldError
from hooks.notices import Notice

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
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


class Apprise:
    """The stateless or stateful ``/notify`` of an Apprise API server, which passes it on to whom it likes."""

    kind = "apprise"

    def __init__(self, url: str) -> None:
        """Raises ValueError for what is no http address."""
        self.name = check_address(url)
        self._url = url

    async def send(self, notice: Notice) -> None:
        await post(self._url, json.dumps({"title": notice.title, "body": notice.sentence}))


class Gotify:
    """``token``: of the application whose messages these are."""

    kind = "gotify"

    def __init__(self, url: str, token: str, title: str) -> None:
        """Raises ValueError for what is no http address, or without a token."""
        self.name = check_address(url)
        if not token:
            raise ValueError("expected the token of an application, too")
        self._url = f"{url.rstrip('/')}/message"
        self._token = token
        self._title = title

    async def send(self, notice: Notice) -> None:
        await post(self._url, json.dumps({"title": self._title, "message": notice.text}), {"X-Gotify-Key": self._token})


def check_address(url: str) -> str:
    """The URL without its path, which often contains a token. Raises ValueError for what is not an http address."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address, as in https://chat.example/hook")
    return f"{parts.scheme}://{parts.hostname}"


async def post(url: str, body: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
    """Raises NotToldError."""
    headers = {"Content-Type": "application/json", **headers}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status >= 300:
                raise NotToldError(f"status {answer.status}")
    except TimeoutError as error:
        raise NotToldError(f"no answer within {PATIENCE:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise NotToldError(type(error).__name__) from error
