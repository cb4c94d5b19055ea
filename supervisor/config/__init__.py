"""Reads cloud-config files and labels into settings and unit specs; ``python -m supervisor.config`` is its child.

May import: engine (what an inspected container is), state (the last good one), logs, units.
"""
