"""What is wrong with a host, and the way out: gathered as facts, judged by pure checks, shown or bundled.

May import: what cli may.
"""
