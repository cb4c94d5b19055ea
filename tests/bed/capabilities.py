"""Lets old engines start privileged containers on a machine that lacks capabilities.

Engine 20.10 gives a privileged container every capability it knows, and runc refuses those that the machine
has not got. Newer engines ask the machine first. A wrapper around runc strikes out what is missing.
"""

from pathlib import Path

NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *(
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
    ),
    *(
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
    ),
    *(
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
    ),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
"""In the order of their numbers."""

WRAPPER = """\
#!/bin/sh
# Strikes capabilities that this machine lacks from config.json (create, run) and process.json (exec).
bundle=. process= verb= previous=
for argument in "$@"; do
  case $previous in --bundle|-b) bundle=$argument;; --process|-p) process=$argument;; esac
  case $argument in
    --bundle=*) bundle=${{argument#*=}};;
    --process=*) process=${{argument#*=}};;
    create|run|exec) [ -n "$verb" ] || verb=$argument;;
  esac
  previous=$argument
done
case $verb in create|run) file=$bundle/config.json;; exec) file=$process;; *) file=;; esac
if [ -n "$file" ] && [ -f "$file" ]; then
  sed -i {edits} "$file"
fi
exec {runc} "$@"
"""


def missing() -> list[str]:
    """The capabilities that no process here can have."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            bounding = int(line.split()[1], 16)
            return [f"CAP_{name}" for bit, name in enumerate(NAMES) if not bounding >> bit & 1]
    raise RuntimeError("/proc/self/status has no CapBnd line")


def write_wrapper(path: Path, runc: str, capabilities: list[str]) -> None:
    edits = " ".join(f"""-e 's/"{name}",//g;s/,"{name}"\\]/]/g;s/\\["{name}"\\]/[]/g'""" for name in capabilities)
    path.write_text(WRAPPER.format(edits=edits, runc=runc))
    path.chmod(0o755)
