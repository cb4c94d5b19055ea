"""``doctor`` and ``support``: collect facts about a host, check them, and show or bundle the findings with fixes.

May import: what cli may.
"""
