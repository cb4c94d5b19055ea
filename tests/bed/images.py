"""Container images made of Debian's static busybox, without a registry and without an engine.

The same arguments give the same bytes, so an image's id is a fixed value of its contents.
"""

import gzip
import hashlib
import io
import json
import lzma
import platform
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
FileSpec = bytes | tuple[bytes, int] | str
"""A file's content (mode 0644), its content and mode, or the target of a symbolic link."""

DIRECTORIES = (
    *("bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "usr", "usr/bin", "usr/sbin", "usr/local"),
    *("usr/local/bin", "var", "var/lib", "var/log", "var/tmp", "tmp"),
)
FILES: Mapping[str, FileSpec] = {
    "etc/group": b"root:x:0:\ndocker:x:999:\nnogroup:x:65534:\n",
    "etc/os-release": b'ID=busybox\nPRETTY_NAME="busybox"\n',
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "var/run": "../run",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def rootfs_tar(path: Path, extra_files: Mapping[str, FileSpec] | None = None) -> Path:
    """Write a root file system for `docker import`."""
    write_compressed(path, root_layer(extra_files or {}))
    return path


def busybox_tar(
    path: Path,
    tag: str = "busybox:demo",
    *,
    cmd: Sequence[str] = ("sh",),
    entrypoint: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    healthcheck: Mapping[str, Any] | None = None,
    extra_files: Mapping[str, FileSpec] | None = None,
) -> Path:
    """Write an archive for `docker load`; the name's ending (.gz, .xz, .zst) asks for compression.

    All images share the busybox layer, and keep `extra_files` in a second one.
    """
    config = {
        "Cmd": list(cmd),
        "Entrypoint": list(entrypoint) if entrypoint is not None else None,
        "Env": ["PATH=" + default_path(), *(f"{key}={value}" for key, value in (env or {}).items())],
        "Healthcheck": dict(healthcheck) if healthcheck is not None else None,
        "Labels": dict(labels or {}),
    }
    layers = [busybox_layer()]
    if extra_files:
        layers.append(tar_of(entries_of(extra_files)))
    write_compressed(path, docker_archive(tag, config, layers))
    return path


def default_path() -> str:
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def docker_archive(tag: str, config: Mapping[str, Any], layers: Sequence[bytes]) -> bytes:
    """Pack an image the way `docker save` does."""
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    image = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "config": {key: value for key, value in config.items() if value is not None},
        "created": "1970-01-01T00:00:00Z",
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "tests/bed/images.py"} for _ in layers],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    described = canonical_json(image)
    image_id = hashlib.sha256(described).hexdigest()
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": f"{image_id}.json", "RepoTags": [tag], "Layers": names}]
    return tar_of(
        [
            *(entry(name, layer) for name, layer in zip(names, layers, strict=True)),
            entry(f"{image_id}.json", described),
            entry("manifest.json", canonical_json(manifest)),
        ]
    )


def canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@cache
def busybox_layer() -> bytes:
    return root_layer({})


def root_layer(extra_files: Mapping[str, FileSpec]) -> bytes:
    return tar_of([*root_entries(), *entries_of(extra_files)])


Entry = tuple[tarfile.TarInfo, bytes]


def root_entries() -> Iterator[Entry]:
    for name in DIRECTORIES:
        yield directory(name, 0o1777 if name.endswith("tmp") else 0o755)
    yield entry("bin/busybox", (BUSYBOX.read_bytes(), 0o755))
    for name in applets():
        yield entry(name, "/bin/busybox")
    for name, spec in FILES.items():
        yield entry(name, spec)


def applets() -> list[str]:
    """The paths of busybox's commands, without busybox's own: a link there would replace the program."""
    listed = subprocess.run([BUSYBOX, "--list-full"], check=True, capture_output=True, text=True).stdout.split()
    return sorted(name for name in listed if Path(name).name != "busybox")


def entries_of(files: Mapping[str, FileSpec]) -> Iterator[Entry]:
    """Files by path, with the directories above them that the busybox root does not have."""
    made = set(DIRECTORIES)
    for path in sorted(files):
        name = path.strip("/")
        for above in reversed(Path(name).parents[:-1]):
            if str(above) not in made:
                made.add(str(above))
                yield directory(str(above), 0o755)
        yield entry(name, files[path])


def directory(name: str, mode: int) -> Entry:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    info.mode = mode
    return info, b""


def entry(name: str, spec: FileSpec) -> Entry:
    info = tarfile.TarInfo(name)
    if isinstance(spec, str):
        info.type = tarfile.SYMTYPE
        info.linkname = spec
        info.mode = 0o777
        return info, b""
    content, info.mode = (spec, 0o644) if isinstance(spec, bytes) else spec
    info.size = len(content)
    return info, content


def tar_of(entries: Sequence[Entry] | Iterator[Entry]) -> bytes:
    """Pack entries; a fresh TarInfo has time 0 and owner 0, which makes the bytes repeatable."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def write_compressed(path: Path, content: bytes) -> None:
    match path.suffix:
        case ".gz":
            path.write_bytes(gzip.compress(content, compresslevel=1, mtime=0))
        case ".xz":
            path.write_bytes(lzma.compress(content, preset=0))
        case ".zst":  # the standard library has no zstd before Python 3.14
            subprocess.run(["zstd", "-q", "-f", "-1", "-o", path], input=content, check=True)
        case _:
            path.write_bytes(content)
