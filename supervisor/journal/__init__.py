"""What happened and why: records, their file, the log lines of a reaction, ``why``.

May import: state, views, logs, units.
"""
