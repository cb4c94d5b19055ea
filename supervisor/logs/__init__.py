"""Where log lines go, how they look, what must not be in them, and times as text.

May import: units.
"""
