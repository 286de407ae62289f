"""One process: a tick every few seconds, collects in threads, deliveries in a thread of their own (DESIGN §2).

tick:  due sources ─▶ collect (at most 60 s are waited for) ─▶ images (at most 15 s) ─▶ publish ─▶ open editions
       ─▶ notices, deliver (never waited for)
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.config import Settings
from pipeline.deliver.limits import RateLimit
from pipeline.deliver.relay import Relay
from pipeline.engines.pictures import Pictures
from pipeline.engines.workers import Workers
from pipeline.errors import GazetError
from pipeline.jobs import due, lines, signups, trust
from pipeline.jobs.alerts import post_alert
from pipeline.jobs.collect_source import Collected, collect_source
from pipeline.jobs.deliver_batch import Tally, deliver_batch
from pipeline.jobs.disk import watch_disk
from pipeline.jobs.eve import post_eves
from pipeline.jobs.feedback import read_feedback
from pipeline.jobs.images import LookedAt
from pipeline.jobs.notices import Told, relay_answers, send_notices, tidy, waiting
from pipeline.jobs.open_edition import Opened, open_edition
from pipeline.jobs.ping import healthy, ping
from pipeline.jobs.problems import fresh, noted
from pipeline.jobs.publish_feed import Published, publish_feed
from pipeline.jobs.site import Site
from pipeline.jobs.sweep import Swept, sweep
from pipeline.jobs.take_settings import make_rows
from pipeline.store import runs
from pipeline.store.runs import ProblemRecord
from pipeline.store.sources import SourceRecord

T = TypeVar("T")

_COLLECTS = 32
"""Threads that mostly wait: that many sources may hang before another one has to wait for them."""
_COLLECTS_OF_ONE_HOST = 2
_WAIT_FOR_COLLECTS = 60.0
_LOOK_FOR_MORE_SECONDS = 5.0
_UNSTORED_SECONDS = 600.0
_TICK_SECONDS = 20
_LAST_WORDS = 10.0
_LOOK_UP_SECONDS = 0.5
_BETWEEN_PINGS = 60.0


@dataclass
class TickReport:
    """What one tick did, in the order in which it was done."""

    collected: list[Collected] = field(default_factory=list)
    images: list[LookedAt] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    opened: list[Opened] = field(default_factory=list)
    sent: Tally | None = None
    swept: Swept | None = None
    problems: list[str] = field(default_factory=list)

    def detail(self) -> dict[str, Any]:
        """The counts that are kept of a tick."""
        return {
            "collected": len(self.collected),
            "new": sum(one.new for one in self.collected),
            "images": len(self.images),
            "published": sum(one.written for one in self.published),
            "opened": [one.label for one in self.opened if one.label],
            "sent": {str(status): count for status, count in self.sent.outcomes.items()} if self.sent else {},
            "problems": self.problems,
        }


class LocalEngine:
    """Runs jobs in this process. ``clock`` gives aware UTC; ``say`` hears one line for a person at a time.

    ``reload`` gives the site as its files say now; ``site`` is always the one in force. ``relay`` is for subscribers,
    ``carrier`` for notices: the same if left out.
    """

    def __init__(
        self,
        site: Site,
        relay: Callable[[], Relay],
        *,
        process: str,
        is_dead: Callable[[str], bool | None],
        clock: Callable[[], datetime],
        stop: threading.Event,
        say: Callable[[str], None],
        progress: Callable[[Tally], None] = lambda _: None,
        reload: Callable[[Site, datetime], Site] = lambda site, _now: site,
        carrier: Callable[[], Relay] | None = None,
    ) -> None:
        self.site = site
        self.carrier = carrier or relay
        self.reload = reload
        self.relay = relay
        self.process = process
        self.is_dead = is_dead
        self.clock = clock
        self.stop = stop
        self.say = say
        self.progress = progress
        self._workers: Workers[Collected] = Workers(_COLLECTS, "collect", per_host=_COLLECTS_OF_ONE_HOST)
        self._collecting: dict[int, Future[Collected]] = {}
        self._in_rows: Settings | None = None  # whose feeds and sources have their rows
        self._late: list[Future[Collected]] = []
        self._pictures = Pictures(stop)
        self._unstored: dict[int, float] = {}
        self._beside: dict[str, threading.Thread] = {}
        self._pinged = -_BETWEEN_PINGS
        self._listened = -float("inf")
        self._unkept = ""
        self._rates: dict[tuple[str, float | None], RateLimit] = {}
        self._rests = ""
        self._standing = False

    def once(self) -> TickReport:
        """Everything that is due now, deliveries included."""
        report = self._tick()
        if not self.stop.is_set():
            self._watch(report.problems)
            self._listen(report.problems)  # who bounced or left by mail gets nothing more of what was just opened
            self._notify(report.problems)
            report.sent = self._deliver(report.problems)
            self._notify(report.problems)  # what the deliveries found out needs a person now, not at the next run
            self._ping()
        return report

    def forever(self) -> None:
        """Tick until ``stop`` is set, then let what is on the wire finish."""
        from apscheduler.schedulers.background import BackgroundScheduler

        self._standing = True
        # APScheduler decides nothing but the beat: its own defaults drop a beat that is 5 s late.
        scheduler = BackgroundScheduler(timezone="UTC")
        options = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        scheduler.add_job(self._beat, "interval", seconds=_TICK_SECONDS, next_run_time=datetime.now().astimezone(), **options)
        scheduler.start()
        self.stop.wait()
        scheduler.shutdown(wait=True)  # the tick ends early now, and nobody else may work before it has
        for thread in list(self._beside.values()):
            thread.join(_LAST_WORDS if thread.name in ("deliver", "notices") else 0)

    def _beat(self) -> None:
        """One tick of ``forever``: whatever happens in it, the next one comes."""
        problems: list[str] = []
        report = self._guard("tick", problems, self._tick)
        if report is not None:
            # An edition may take hours; a notice does not wait for it, and then judges nothing of the relay.
            if not self._start("deliver", lambda: self._mail(problems)):
                self._start("notices", lambda: self._inform(problems))
            self._start("ping", self._ping)
            if self._listens():
                self._start("feedback", lambda: self._listen(problems))
        try:
            for problem in self.fresh_problems():
                self.say(lines.problem(problem))
            self._unkept = ""
        except GazetError as error:
            if str(error) != self._unkept:  # no mail can tell of a store that keeps nothing: this line and no ping do
                self.say(lines.unkept(error))
            self._unkept = str(error)

    def _start(self, name: str, job: Callable[[], object]) -> bool:
        """Run the job beside the tick, unless the one before it still runs."""
        if name in self._beside and self._beside[name].is_alive():
            return False
        thread = threading.Thread(target=job, name=name, daemon=True)
        thread.start()
        self._beside[name] = thread  # now that it can be waited for: the end may come between the two
        return True

    def _tick(self) -> TickReport:
        report = TickReport()
        self._take_edits()
        with self.site.store.write() as tx:
            run = runs.start(tx, "tick", self.process, self.clock())
        report.swept = self._guard("sweep", report.problems, lambda: sweep(self.site, self.is_dead, self.clock()))
        self._say(lines.swept(report.swept) if report.swept else "")
        self._guard("watch", report.problems, lambda: watch_disk(self.site, self.clock()))
        self._collect(report)
        self._look_at_images(report)
        for slug in self._until_stopped(due.due_feeds(self.site)):
            self._publish(slug, report)
        for slug in self._until_stopped(due.due_editions(self.site, self.clock())):
            self._open(slug, report)
        with self.site.store.write() as tx:
            # Whoever looks at a tick (/healthz) must know whether another one was to follow it.
            runs.finish(tx, run, self.clock(), report.detail() | {"standing": self._standing})
        return report

    def _take_edits(self) -> None:
        """What is being collected ends under the settings it began with, however long that takes."""
        before, self.site = self.site, self.reload(self.site, self.clock())
        if self.site is not before:
            self.say(lines.edited())

    def _publish(self, slug: str, report: TickReport) -> None:
        published = self._guard(f"publish:{slug}", report.problems, lambda: publish_feed(self.site, slug, self.clock()))
        if published is not None:
            report.published.append(published)
            self._say(lines.published(published))

    def _open(self, slug: str, report: TickReport) -> None:
        opened = self._guard(f"compose:{slug}", report.problems, lambda: open_edition(self.site, slug, self.clock()))
        if opened is not None:
            report.opened.append(opened)
            self._say(lines.opened(opened))

    def _say(self, line: str) -> None:
        if line:
            self.say(line)

    def _until_stopped(self, slugs: Iterable[str]) -> Iterable[str]:
        return (slug for slug in slugs if not self.stop.is_set())

    def _collect(self, report: TickReport) -> None:
        """Collect what is due; a source that takes longer goes on beside the tick and is not begun a second time."""
        late, self._late = self._late, []
        for result in self._finished([*late, *self._begin(report)], report):
            report.collected.append(result)
            self._say("" if result.problem else lines.collected(result))

    def _look_at_images(self, report: TickReport) -> None:
        """Copies of new images, in time for the page and the digest that show them; what takes longer comes at a later tick."""
        found = self._guard("images", report.problems, lambda: self._pictures.look(self.site, self.clock()))
        report.images = found or []
        self._say(lines.images(report.images))

    def _begin(self, report: TickReport) -> list[Future[Collected]]:
        """Hand every source that is due to a thread, unless it is with one already."""
        now = self.clock()
        if self._in_rows is not self.site.settings:
            make_rows(self.site)
            self._in_rows = self.site.settings
        self._collecting = {source_id: future for source_id, future in self._collecting.items() if not future.done()}
        resting = {source_id for source_id, until in self._unstored.items() if time.monotonic() < until}
        sources = due.due_sources(self.site, now, without=self._collecting.keys() | resting)
        one = functools.partial(self._collect_one, self.site, now, report.problems)
        begun = self._workers.submit_all((functools.partial(one, source), urlsplit(source.url).netloc) for source in sources)
        self._collecting |= {source.id: future for source, future in zip(sources, begun, strict=True)}
        return begun

    def _finished(self, begun: list[Future[Collected]], report: TickReport) -> list[Collected]:
        """The results, in the order begun, of what ends in time and before ``stop``.

        While a slow one is waited for, others that become due are begun: the source that hangs delays only itself.
        """
        end, pending, look = time.monotonic() + _WAIT_FOR_COLLECTS, set(begun), time.monotonic() + _LOOK_FOR_MORE_SECONDS
        while pending and not self.stop.is_set() and (left := end - time.monotonic()) > 0:
            _, pending = wait(pending, timeout=min(left, _LOOK_UP_SECONDS))
            if pending and time.monotonic() >= look:
                more = self._begin(report)
                begun, pending, look = [*begun, *more], pending | set(more), time.monotonic() + _LOOK_FOR_MORE_SECONDS
        self._late = [future for future in begun if not future.done()]
        return [future.result() for future in begun if future not in self._late]

    def _collect_one(self, site: Site, now: datetime, problems: list[str], source: SourceRecord) -> Collected:
        result = self._guard(f"collect:{source.url}", problems, lambda: collect_source(site, source, now), mends=False)
        if result is None:  # the store does not know that it was asked, so it would be asked at every tick
            self._unstored[source.id] = time.monotonic() + _UNSTORED_SECONDS
        return result or Collected(source.url, source.feeds, problem="it could not be collected")

    def _mail(self, problems: list[str]) -> None:
        self._watch(problems)
        self._notify(problems)
        self._deliver(problems)

    def _inform(self, problems: list[str]) -> None:
        self._watch(problems)
        self._notify(problems, judge=False)

    def _listens(self) -> bool:
        """Whether it is time to look for what came back."""
        settings = self.site.settings.feedback
        return settings.wanted and time.monotonic() - self._listened >= settings.every.total_seconds()

    def _listen(self, problems: list[str]) -> None:
        """Read what came back: bounces, complaints, unsubscribes. Beside all else, for a mail server may take its time."""
        site = self.site
        if site.settings.feedback.wanted:
            self._listened = time.monotonic()
            heard = self._guard("feedback", problems, lambda: read_feedback(site, self.clock, self.stop))
            self._say(lines.heard(heard) if heard else "")

    def _watch(self, problems: list[str]) -> None:
        """Find out that mail will have to wait before it does. It may ask site.url, so it is beside the tick."""
        self._guard("trust", problems, lambda: trust.watch(self.site))

    def _notify(self, problems: list[str], *, judge: bool = True) -> None:
        """Post the mails that are due to people who run this or signed up, and send them; nothing about them stops a digest."""
        self._guard("signups", problems, lambda: signups.answer(self.site, self.clock()))
        told = self._guard("notices", problems, lambda: self._tell(judge=judge))
        self._say(lines.told(told) if told else "")

    def _tell(self, *, judge: bool) -> Told | None:
        site, name = self.site, self.site.relay_name
        tidy(site, self.is_dead, self.clock())
        post_eves(site, self.clock())
        if relay_answers(site, name, self.clock()):
            post_alert(site, name, self.clock())
        if not waiting(site, name, self.clock()):
            return None
        relay = self.carrier()
        rate = self._rate(relay)
        return send_notices(site, relay, process=self.process, clock=self.clock, stop=self.stop, rate=rate, judge=judge)

    def _ping(self) -> None:
        """Say to somebody outside that this is well; whoever hears nothing looks."""
        if not self.site.settings.alerts.ping or time.monotonic() - self._pinged < _BETWEEN_PINGS:
            return
        self._pinged = time.monotonic()
        with contextlib.suppress(GazetError):  # a store that does not answer is not well: the silence says so
            if healthy(self.site):
                ping(self.site, self.clock())

    def _rate(self, relay: Relay) -> RateLimit:
        return self._rates.setdefault((relay.name, relay.rate), RateLimit(relay.rate))

    def _deliver(self, problems: list[str]) -> Tally | None:
        return self._guard("deliver", problems, self._deliver_open)

    def _deliver_open(self) -> Tally | None:
        if not due.has_deliveries(self.site):
            return None
        relay = self.relay()
        reason = due.relay_rests(self.site, relay.name, self.clock())
        if reason and reason != self._rests:
            self.say(lines.rests(relay.name, reason))
        self._rests = reason
        if reason:
            return None
        tally = deliver_batch(
            self.site,
            relay,
            process=self.process,
            clock=self.clock,
            stop=self.stop,
            rate=self._rate(relay),
            progress=self.progress,
        )
        self._say(lines.sent(tally))
        return tally

    def _guard(self, key: str, problems: list[str], job: Callable[[], T], *, mends: bool = True) -> T | None:
        """Run one job; a failure of one never stops the rest (promise 6)."""
        try:
            with noted(self.site, key, self.clock(), mends=mends):
                return job()
        except GazetError as error:
            problems.append(str(error))
        except Exception as error:
            problems.append(f"{key}: {error!r}")
            self.say(lines.crashed(key, traceback.format_exc()))
        return None

    def fresh_problems(self) -> list[ProblemRecord]:
        """What needs a person and was not said by an earlier run; said from now on."""
        return fresh(self.site, self.clock())
