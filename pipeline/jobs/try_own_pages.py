"""The pages and the mail behind a person's own links, tried with a made-up person before they are needed."""

from __future__ import annotations

from datetime import datetime

from pipeline.compose import notice
from pipeline.compose.notice import MyDataDocument
from pipeline.config import WEEKDAYS, Settings
from pipeline.jobs.my_data import About, evidence
from pipeline.jobs.preference_fields import WEEKS, Fault, Values
from pipeline.jobs.preferences import Entry, Page
from pipeline.models import Cadence, Choice, DeliveryStatus, Rhythm, SubscriptionStatus
from pipeline.store.personal import Asked, Consented, Noticed, Sent
from pipeline.store.subscribers import Person, SubscriptionRecord
from pipeline.store.suppressions import Suppression
from pipeline.texts import Texts

_DONE = ("", "saved", "left", "left all", "back", "mailed")


def check_own_pages(settings: Settings, texts: Texts, now: datetime) -> None:
    """Render each as it may come. Raises TemplateFault."""
    language = settings.site.language
    choices = {"cadences": [str(one) for one in Cadence], "weekdays": WEEKDAYS, "weeks": WEEKS, "site": settings.site}
    for done in _DONE:
        page = Page("a…@example.org", language, _entries(now, faulty=not done), ("Europe/Amsterdam",), done, "Title")
        texts.render("preferences.html.j2", language, page=page, **choices)
    values = {
        "site": settings.site,
        "base": settings.site.url,
        "zone": settings.site.timezone,
        "titles": {"title": "Title"},
        "evidence": evidence,
    }
    for about in (_about(now, language, full=True), _about(now, language, full=False)):
        texts.render("my_data.html.j2", language, about=about, done=None, **values)
    texts.render("erase.html.j2", language, about=_about(now, language, full=True), done=None, **values)
    texts.render("erase.html.j2", language, about=None, done=True, **values)
    notice.my_data(MyDataDocument(settings.site.title, language, settings.site.url, settings.site.contact), texts)


def _entries(now: datetime, *, faulty: bool) -> tuple[Entry, ...]:
    values = Values("weekly", "monday", "1", "08:00", "Europe/Amsterdam", "", "html", ("topic",), "date", "2026-12-01")
    every = dict(zip(Values.__dataclass_fields__, (*Fault, Fault.CHOICE, Fault.CHOICE), strict=True))
    chosen = [
        Entry(
            slug="title",
            title="Title",
            feed_language="en",
            status=status,
            values=values,
            topics=(("topic", "Topic"),),
            languages=("en", "nl"),
            next_due_at=due,
            paused_until=paused,
            editable=True,
            faults=every if faulty else None,
        )
        for status, due, paused in (
            (SubscriptionStatus.ACTIVE, now, None),
            (SubscriptionStatus.ACTIVE, None, None),
            (SubscriptionStatus.SNOOZED, None, now),
        )
    ]
    ended = [Entry("title", "Title", "en", status, values, back=back) for status in SubscriptionStatus for back in (False, True)]
    return (*chosen, *ended)


def _about(now: datetime, language: str, *, full: bool) -> About:
    person = Person(1, "ann@example.org", "Ann")
    if not full:
        return About(person, (), (), (), (), (), None, language)
    rhythm, choice = Rhythm(Cadence.MONTHLY, 0, 31, "08:00", "Europe/Amsterdam"), Choice(("topic",), ("word",), "en")
    snoozed = SubscriptionStatus.SNOOZED
    record = SubscriptionRecord(1, person.address, "Ann", "title", snoozed, 5, rhythm, choice, now, "consent", now, now)
    return About(
        person,
        (record,),
        (Consented("title", now, "joined", "how"),),
        (Sent("title/2026-11-24T08:00", now, DeliveryStatus.ACCEPTED, person.address, "Ann", "250 ok"),),
        (Noticed("my-data", now, "accepted"), Noticed("my-data", None, "queued")),
        (Asked(now, ("title",), "Ann", "192.0.2.0/24", {"page": "1"}, "confirmed"),),
        Suppression("0" * 64, "reason", now),
        language,
    )
