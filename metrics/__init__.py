"""Counts what happens, and shows it to Prometheus.

``catalog`` lists all metrics; counters are fed by the core's reactions, gauges read at scrape.
``Metrics`` is all that the shell sees. ``process`` alone is built upon prometheus_client.

May import: units.
"""

from metrics.observer import Metrics

__all__ = ["Metrics"]
