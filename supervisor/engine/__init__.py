"""The engine port, Docker behind it, and what engines say.

May import: logs, units.
"""
