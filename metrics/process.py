"""``process_*``, ``python_gc_*`` and ``python_info``: prometheus_client's metrics of the own process."""

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics


class OwnProcess:
    """Collectors of the client, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self, *, openmetrics: bool) -> bytes:
        """The end of a page: in OpenMetrics with the mark that ends it."""
        if not openmetrics:
            return generate_latest(self._registry)
        page: bytes = generate_openmetrics(self._registry)  # type: ignore[no-untyped-call]
        return page
