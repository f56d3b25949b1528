"""Metrics for Prometheus, on an address of their own, which visitors can't reach."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.process_collector import ProcessCollector

from pushctl import exposition
from pushctl.receiver.answers import send_answer
from pushctl.receiver.counters import WAITS

if TYPE_CHECKING:
    from pushctl.receiver.app import Receiver
    from pushctl.receiver.server.listener import Listener


class Figures:
    """The ASGI app of /metrics, and the collector of its values."""

    def __init__(self, receiver: "Receiver", listener: "Listener", folder: Path) -> None:
        """*folder* is ``status/``."""
        self._folder = folder
        self._receiver = receiver
        self._listener = listener
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/healthz":
            await self._receiver(scope, receive, send)
            return
        if scope["path"] != "/metrics" or scope["method"] not in ("GET", "HEAD"):
            await send_answer(send, 404, [], b"")
            return
        accepted = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        encode, kind = choose_encoder(accepted)
        head = [(b"content-type", kind.encode())]
        await send_answer(send, 200, head, encode(self._registry))

    def collect(self) -> Iterator[Metric]:
        tally, committer = self._receiver.tally, self._receiver.committer
        taken = CounterMetricFamily(
            "pushctl_requests_taken", "Requests that are on disk.", labels=["route"]
        )
        for path, count in tally.taken_total.items():
            taken.add_metric([path], count)
        ignored = CounterMetricFamily(
            "pushctl_requests_ignored", "Requests without an effect.", labels=["route"]
        )
        for path, count in tally.ignored_total.items():
            ignored.add_metric([path], count)
        refused = CounterMetricFamily(
            "pushctl_requests_refused", "Requests refused.", labels=["route", "reason"]
        )
        for key, count in tally.refused_total.items():
            refused.add_metric(key, count)
        text = "Connections closed before they had an answer."
        closed = CounterMetricFamily("pushctl_connections_refused", text, labels=["reason"])
        for reason, count in tally.closed_total.items():
            closed.add_metric([reason], count)
        yield from (taken, ignored, refused, closed)
        waits = HistogramMetricFamily(
            "pushctl_commit_seconds", "From a request's check to its being on disk."
        )
        edges = [*map(str, WAITS), "+Inf"]
        totals = accumulate(float(tally.waits[edge]) for edge in (*WAITS, float("inf")))
        waits.add_metric([], list(zip(edges, totals, strict=True)), tally.waited_seconds)
        yield waits
        for name, text, value in (
            ("pushctl_connections_open", "Connections open now.", len(self._listener)),
            ("pushctl_queue_records", "Records that wait for the disk.", committer.waiting),
            ("pushctl_disk_full", "1 while the inbox can't be written.", committer.full),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))
        yield from self._read_sweeps()

    def _read_sweeps(self) -> Iterator[Metric]:
        """Yield what sweeps have published; the receiver itself knows no database."""
        readable = 0.0
        found: list[Metric] = []
        with suppress(OSError, ValueError):
            text = exposition.read(self._folder / exposition.NAME)
            found = list(text_string_to_metric_families(text))
            readable = 1.0
        yield from found
        text = "1 where the figures of sweeps could be read: they are among these then."
        yield GaugeMetricFamily("pushctl_sweep_figures_readable", text, value=readable)
