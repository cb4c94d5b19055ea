"""The files that outlive a supervisor: state, choices, lock, and how a file is replaced.

May import: units.
"""
