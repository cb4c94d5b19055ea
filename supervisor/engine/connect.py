"""The only place where a connection to an engine is opened, and where its certificates are read.

A road leads to one address. What cannot be reached is an EngineError with what to do about it.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Callable
from typing import Final, TypeVar

from supervisor.engine.address import Address, AddressError, Tls
from supervisor.engine.port import EngineError
from supervisor.os_errors import why
from units.unit import Failure

P = TypeVar("P", bound=asyncio.BaseProtocol)

KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""Seconds and tries: a machine that is gone says nothing, and an event stream may be silent for hours."""


class Road:
    """Opens connections to one address. Certificates are read once.

    Raises:
        AddressError: a certificate cannot be used.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.place = address.place
        self.tls = None if address.tls is None else trust(address.tls)

    @property
    def http(self) -> str:
        """What requests to it begin with; a unix socket has no host, so any will do."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{'docker' if self.address.path else self.place}{self.address.base}"

    async def open(self, make: Callable[[], P]) -> P:
        """Raises EngineError (UNREACHABLE)."""
        loop, address = asyncio.get_running_loop(), self.address
        try:
            if address.path:
                return (await loop.create_unix_connection(make, address.path))[1]
            transport, peer = await loop.create_connection(make, address.host, address.port, ssl=self.tls)
        except OSError as error:
            raise unreachable(self.place, error) from error
        _keep_alive(transport)
        return peer


def trust(files: Tls) -> ssl.SSLContext:
    """What a client needs to know its engine, and to be known. Raises AddressError."""
    # Not create_default_context: it refuses certificates that the docker client takes.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if files.verify or os.path.exists(files.ca):  # noqa: PTH110 - a path as an operator wrote it
            _regular(files.ca)
            context.load_verify_locations(files.ca)
        if any(os.path.exists(path) for path in (files.cert, files.key)):  # noqa: PTH110 - as above
            for path in (files.cert, files.key):
                _regular(path)
            context.load_cert_chain(files.cert, files.key, password=_no_password)
    except ssl.SSLError as error:
        named = f"{files.ca}, {files.cert}, {files.key}"
        raise AddressError(f"{named}: {why(error)}: they must be PEM, and key and certificate match") from error
    except OSError as error:
        raise AddressError(
            f"{error.filename}: {why(error)}: TLS takes ca.pem, cert.pem and key.pem (DOCKER_CERT_PATH)"
        ) from error
    return context


def _regular(path: str) -> None:
    """Anything else, such as a FIFO, may never end."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - as above
        raise AddressError(f"{path}: no regular file")


def _no_password() -> str:
    """An encrypted key would ask for one on a terminal."""
    return ""


def _keep_alive(transport: asyncio.BaseTransport) -> None:
    told = transport.get_extra_info("socket")
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(told.fileno())) as real:
        real.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            real.setsockopt(socket.IPPROTO_TCP, option, value)


def unreachable(place: str, error: OSError) -> EngineError:
    """The EngineError for a failed connect, with what to do about it."""
    match error:
        case ssl.SSLCertVerificationError(verify_message=said) if said:
            text = f"{place}: its certificate is not believed: {said}: see ca.pem in DOCKER_CERT_PATH"
        case ssl.SSLError():
            text = f"{place}: no TLS: {why(error)}"
        case PermissionError():
            text = f"permission denied on {place}: run as root or join its group"
        case FileNotFoundError():
            text = f"{place} does not exist: the engine is not running, or listens on another socket"
        case ConnectionRefusedError():
            text = f"connection refused on {place}: the engine is not running"
        case socket.gaierror():
            text = f"{place}: the name is not known: {why(error)}"
        case _:
            text = f"{place}: {why(error)}"
    return EngineError(Failure.UNREACHABLE, text)
