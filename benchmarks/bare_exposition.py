"""The peer of the scrape: a process that shows the same series by prometheus_client, as one does; they never change.

``python -m benchmarks.bare_exposition PORT < PAGE``: the page says which series.
"""

import sys
import threading

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families


def show(family: Family) -> None:
    """One metric with all its series."""
    if not family.samples or not family.name.startswith("dockwarden_"):
        return  # What the client tells of each process is there already.
    names = sorted(family.samples[0].labels.keys() - {"le"})
    series = {tuple(sample.labels[name] for name in names): sample for sample in family.samples}
    if family.type == "histogram":
        bounds = dict.fromkeys(sample.labels["le"] for sample in family.samples if "le" in sample.labels)
        histogram = Histogram(family.name, family.documentation, names, buckets=tuple(map(float, bounds)))
        for labels in series:
            (histogram.labels(*labels) if names else histogram).observe(0.01)
    elif family.type == "counter":
        counter = Counter(family.name, family.documentation, names)
        for labels, sample in series.items():
            (counter.labels(*labels) if names else counter).inc(sample.value)
    else:
        gauge = Gauge(family.name, family.documentation, names)
        for labels, sample in series.items():
            (gauge.labels(*labels) if names else gauge).set(sample.value)


def main() -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]
    for family in text_string_to_metric_families(sys.stdin.read()):
        show(family)
    start_http_server(int(sys.argv[1]), "127.0.0.1")
    threading.Event().wait()


if __name__ == "__main__":
    main()
