"""Several engines on one PostgreSQL store, as several processes would be: each item once, each digest once, no complaints."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline import app
from pipeline.engines.local import LocalEngine, TickReport
from pipeline.store import runs
from tests.servers.web import WebServer
from tests.world import World, moment

ENGINES = 4


def all_at_once(world: World, at: str) -> list[TickReport]:
    """The same tick in several engines, each with a store of its own."""
    begin = threading.Barrier(ENGINES)

    def tick(number: int) -> TickReport:
        site = app.open_site(world.folder)
        engine = LocalEngine(
            site,
            lambda: app.relay_for(site),
            process=f"{app.process_name()}-{number}",
            is_dead=lambda _: None,
            clock=lambda: moment(at),
            stop=threading.Event(),
            say=world.said.append,
        )
        begin.wait(20)
        try:
            return engine.once()
        finally:
            site.store.close()

    with ThreadPoolExecutor(ENGINES) as pool:
        return list(pool.map(tick, range(ENGINES)))


def test_engines_that_tick_at_the_same_moment_neither_repeat_nor_trip_over_each_other(
    tmp_path: Path, web: WebServer, postgres_url: str
) -> None:
    world = World(tmp_path / "site", web, store=postgres_url)
    for number in range(30):
        world.news(f"Bericht {number:02}", "2026-11-20T09:00")
    for number in range(20):
        world.subscribe(f"lezer{number}@example.org", cadence="daily", at="2026-11-20T10:00")
    all_at_once(world, "2026-11-20T12:00")
    reports = all_at_once(world, "2026-11-21T08:00")
    assert [label for report in reports for opened in report.opened if (label := opened.label)] == ["po/2026-11-21T08:00"]
    assert world.sums("po/2026-11-21T08:00") == {"accepted": 20}
    assert sum(sum(report.sent.outcomes.values()) for report in reports if report.sent) == 20
    assert len(world.mails) == 20
    assert len(world.titles(world.mails[0])) == 5
    with world.site.store.read() as tx:
        assert runs.problems(tx) == []
    world.close()
