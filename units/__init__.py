"""The pure core: what can happen, what we can ask for, and every decision between the two.

Nothing here waits, reads a clock, rolls a die, opens a file, logs, or knows Docker's JSON. Read in this order:
``events`` (facts), ``commands`` (orders), ``unit`` (what is known of one unit), ``tables`` (the transitions of each
kind), ``kernel`` (one step of the world), ``reconcile`` (what an engine's snapshot says that we did not know).

May import: none of the others.
"""
