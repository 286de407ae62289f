"""``/metrics`` for Prometheus: read from the store when asked, so that nothing is counted twice or forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.jobs.site import Site
from pipeline.store.figures import Figures, figures

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics(site: Site, now: datetime) -> bytes:
    """The site's figures in Prometheus's text format. Raises StoreError."""
    with site.store.read() as tx:
        found = figures(tx, now)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(found, now))
    return generate_latest(registry)


class _Figures(Collector):
    """One look at the store as metrics."""

    def __init__(self, found: Figures, now: datetime) -> None:
        self._found = found
        self._now = now

    def collect(self) -> Iterator[Metric]:
        found = self._found
        late, unasked = self._since(found.oldest_due_at), self._since(found.oldest_poll_at)
        yield _gauge("gazet_oldest_due_seconds", "Age of the oldest edition that is due and not finished; 0: none.", late)
        yield _gauge("gazet_oldest_poll_seconds", "For how long a source has been due and not been asked; 0: none is.", unasked)
        last = found.last_tick_at.timestamp() if found.last_tick_at else 0.0
        yield _gauge("gazet_last_tick_timestamp_seconds", "When the last tick began, as Unix time; 0: never.", last)
        yield _gauge("gazet_problems", "How many things need a person.", found.problems)
        yield _by("gazet_deliveries", "Deliveries by status.", "status", found.deliveries.items())
        yield _by("gazet_sources", "Sources by state.", "state", found.sources.items())
        people = GaugeMetricFamily("gazet_subscriptions", "Subscriptions by feed and status.", labels=("feed", "status"))
        for feed, statuses in sorted(found.subscriptions.items()):
            for status, count in sorted(statuses.items()):
                people.add_metric((feed, status), count)
        yield people

    def _since(self, moment: datetime | None) -> float:
        return max((self._now - moment).total_seconds(), 0.0) if moment else 0.0


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)


def _by(name: str, about: str, label: str, counts: Iterable[tuple[str, int]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for word, count in counts:
        family.add_metric((str(word),), count)
    return family
