"""What people see: the world as plain values, then text and SVG. Pure.

May import: engine.port, logs.timestamps, units.
"""
