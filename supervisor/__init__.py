"""The shell around the pure core: it waits, acts and wires. Each folder is a room, and says so.

Beside the rooms: ``__main__`` (which command), ``app`` (one host, wired), ``boot_app`` and ``watch_app`` (its
two modes), ``preflight`` (what is checked before anything is touched), ``api`` (the library for programs), ``version``.
"""
