"""The control API: routes, requests, answers, and the types of both.

May import: what http may.
"""
