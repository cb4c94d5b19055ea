"""The engine port, Docker as its implementation, and decoders of Docker's answers.

May import: logs, state, units.
"""
