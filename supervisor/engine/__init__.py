"""The engine port, Docker behind it, and what engines say.

May import: state, logs, units.
"""
