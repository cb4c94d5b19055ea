"""Chaos: bad luck drawn from a seed, on real engines, and a verdict.

``kinds`` names what can happen, ``plan`` draws what does, ``scene`` is the host, ``injections`` make it happen,
``ledger`` knows what should come of it, ``verdict`` says whether it did, and ``shrink`` looks for the shortest plan
that still goes wrong.
"""
