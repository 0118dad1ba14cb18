"""The service's metrics, in Prometheus' names and format."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ServeMetrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, CPU seconds and open files
        self.requests = Counter(
            "semantic_cc_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "semantic_cc_request_seconds",
            "Seconds to answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "semantic_cc_requests_in_flight", "Requests being answered", registry=self._registry
        )
        self.batch_pairs = Histogram(
            "semantic_cc_batch_pairs",
            "Pairs of a batch",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self.batch_seconds = Histogram(
            "semantic_cc_batch_seconds",
            "Seconds of a batch in the model",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Adds a gauge that calls `value` whenever it is read."""
        Gauge(f"semantic_cc_{name}", meaning, registry=self._registry).set_function(value)

    def on_batch(self, pairs: int, seconds: float) -> None:
        """Counts a batch of plain pairs."""
        self.batch_pairs.observe(pairs)
        self.batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self._registry)
