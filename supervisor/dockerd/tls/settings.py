"""The TLS settings of an engine, and the paths of its files. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

from supervisor.state.paths import TLS_DIR
from units.records import dataclass

DIRECTORY: Final = Path("/etc/docker/tls")
"""Where an engine sees its files, as in RancherOS."""
CA, CA_KEY = "ca.pem", "ca-key.pem"
SERVER_CERT, SERVER_KEY = "server-cert.pem", "server-key.pem"
CLIENT_CERT, CLIENT_KEY = "cert.pem", "key.pem"
"""A docker client looks for these, and ``ca.pem``, in ``DOCKER_CERT_PATH``."""
REFUSED: Final = 1
UNUSABLE: Final = 73
"""Exit codes for a TlsError, and for the UnusableError among them."""


class TlsError(Exception):
    """There are no valid certificates; ``problems`` are sentences, each with file and fix."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnusableError(TlsError):
    """A directory or a file cannot be used now; a retry may succeed."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``rancher.docker.ca_cert`` and so on, as PEM; ``None`` or nothing: it is made."""

    ca_cert: str | None = None
    ca_key: str | None = None
    server_cert: str | None = None
    server_key: str | None = None
    kept: Path = TLS_DIR
    """Where the CA and the server's pair are made and kept, in our file system."""
    directory: Path = DIRECTORY
    """Where the engine sees what it needs of them, in its own."""
    hostnames: tuple[str, ...] = ()
    """Names and addresses in the server's certificate, besides localhost and 127.0.0.1."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"kept": str(self.kept), "directory": str(self.directory)}

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> Self:
        paths = {name: Path(read[name]) for name in ("kept", "directory")}
        return cls(**{**read, **paths, "hostnames": tuple(read["hostnames"])})


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where an engine finds its certificates."""

    ca: Path
    cert: Path
    key: Path
    done: tuple[str, ...] = ()
    """What was made or replaced, and why; for the log."""

    @property
    def args(self) -> tuple[str, ...]:
        """The TLS options of a dockerd; without its listen addresses."""
        return ("--tlsverify", f"--tlscacert={self.ca}", f"--tlscert={self.cert}", f"--tlskey={self.key}")

    def as_dict(self) -> dict[str, Any]:
        return {"ca": str(self.ca), "cert": str(self.cert), "key": str(self.key), "done": self.done}

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> Self:
        return cls(Path(read["ca"]), Path(read["cert"]), Path(read["key"]), tuple(read["done"]))
