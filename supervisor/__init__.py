"""The shell around the pure core: it waits, acts and wires. Each folder is a room, and says so.

Beside the rooms: ``__main__`` (which command), ``app`` (one host, wired), ``mode`` (what a host is made of),
``boot_app`` and ``watch_app`` (its two modes), ``preflight`` (what is checked before anything is touched), ``api`` (the
library for programs). Every room may import ``version``, ``child`` (runs a module of ours in a process of its own) and
``os_errors`` (what the system refused, in words).
"""
