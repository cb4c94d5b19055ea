"""The transition tables, one module a kind: every state of a unit and every way out of it. Pure."""
