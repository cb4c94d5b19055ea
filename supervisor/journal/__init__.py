"""What happened and why: records, their file, the log lines of a reaction, ``why``.

May import: hooks.backlog, state, views, logs, units.
"""
