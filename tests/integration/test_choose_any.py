"""Whatever somebody chooses, in whatever order: the page shows it again as it was chosen, and the store stays consistent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.compose.links import PREFERENCES
from pipeline.config import WEEKDAYS
from pipeline.jobs import preferences
from pipeline.jobs.preference_fields import time_zones
from pipeline.jobs.preferences import Page
from pipeline.models import Cadence, SubscriptionStatus
from pipeline.shown import one_line
from pipeline.store import subscribers
from pipeline.store.subscribers import OPTED_OUT
from pipeline.web.forms import Form
from tests.integration.test_choose import TOPICS
from tests.served import NOW, digest_world
from tests.servers.web import WebServer
from tests.world import World

TODAY = NOW.date()
FIELDS = {
    "cadence": st.sampled_from([str(one) for one in Cadence]),
    "weekday": st.sampled_from(WEEKDAYS),
    "day": st.integers(1, 31).map(str),
    "time": st.times().map(lambda at: f"{at:%H:%M}"),
    "zone": st.sampled_from(time_zones()),
    "language": st.sampled_from(["", "nl", "en"]),
    "format": st.sampled_from(["html", "text"]),
    "topics": st.sets(st.sampled_from(["onderzoek", "agenda van de regio"])).map(sorted),
    "snooze": st.sampled_from(["none", "1", "2", "4", "date"]),
    "until": st.integers(3, 300).map(lambda days: (TODAY + timedelta(days=days)).isoformat()),
}
WISH = st.fixed_dictionaries(FIELDS)
STRANGE = st.one_of(st.text(max_size=20), st.sampled_from(["-oQ/tmp@x", "\r\nBcc: x", "\u202e", "\0", "9" * 400]))
STEP = st.one_of(
    st.tuples(st.just("save"), WISH),
    st.tuples(st.sampled_from(["leave po", "back po", "leave-all", "save", ""]), st.just({})),
    st.tuples(st.just("save"), st.tuples(WISH, st.sampled_from(sorted(FIELDS)), STRANGE).map(lambda it: {**it[0], it[1]: it[2]})),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    with WebServer() as web:
        folder: Path = tmp_path_factory.mktemp("choose") / "site"
        world = World(folder, web)
        world.write_feed("po", source=TOPICS)
        digest_world(world)
        with world.site.store.read() as tx:
            token = world.site.links.token(PREFERENCES, next(subscribers.records(tx)).id)
        yield world, token
        world.close()


def form(do: str, wish: dict[str, object]) -> Form:
    from urllib.parse import urlencode

    fields = [("do", do)]
    for name, value in wish.items():
        fields += [(f"{name}.po", str(one)) for one in (value if isinstance(value, list) else [value])]
    return Form(urlencode(fields, errors="replace").encode())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, min_size=1, max_size=4))
def test_any_choices_leave_the_store_consistent_and_come_back_as_they_were_typed(place, steps):
    world, token = place
    for do, wish in steps:
        with world.site.store.read() as tx:
            [before] = subscribers.records(tx)
        page = preferences.act(world.site, token, form(do, wish), NOW)
        assert isinstance(page, Page)
        with world.site.store.read() as tx:
            [after] = subscribers.records(tx)
        assert (after.status is SubscriptionStatus.SNOOZED) == (after.snoozed_until is not None)
        assert after.settled_seq == before.settled_seq, "nothing is lost or repeated"
        assert after.rhythm.cadence is Cadence.INSTANT or after.next_due_at is not None
        if page.faulty or do != "save":
            assert (after.rhythm, after.choice) == (before.rhythm, before.choice)
        elif page.done == "saved":
            assert before.status not in OPTED_OUT
            came_back(page, wish)
            again = preferences.look(world.site, token, NOW)
            assert isinstance(again, Page)
            saved = preferences.act(world.site, token, form("save", as_typed(again)), NOW)
            assert isinstance(saved, Page)
            assert saved.done == "saved"
            with world.site.store.read() as tx:
                assert list(subscribers.records(tx)) == [after], "what is shown and saved again changes nothing"


def as_typed(page: Page) -> dict[str, object]:
    values = page.entries[0].values
    return {name: list(found) if isinstance(found := getattr(values, name), tuple) else found for name in FIELDS}


def came_back(page: Page, wish: dict[str, object]) -> None:
    shown = as_typed(page)
    used = {"instant": (), "daily": ("time", "zone"), "weekly": ("weekday", "time", "zone"), "monthly": ("day", "time", "zone")}
    for name in ("cadence", "language", "format", *used[str(wish["cadence"])]):
        assert str(shown[name]).lstrip("0").casefold() == one_line(str(wish[name])).lstrip("0").casefold(), name
    assert isinstance(wish["topics"], str) or shown["topics"] == wish["topics"]
    assert wish["snooze"] == "none" or shown["snooze"] == "date"
    if wish["snooze"] == "date":
        assert shown["until"] == wish["until"]
