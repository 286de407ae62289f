"""``gazet status`` on one screen: is it well, what needs a person, what is next, what happened last (pure).

What does not fit is folded from below in each part, the least urgent part first, and every fold says how much is left out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.cli.options import local
from pipeline.config import OUTBOX
from pipeline.jobs.lines import count
from pipeline.jobs.report import EditionReport, FeedReport, Judgement, Status
from pipeline.models import DeliveryStatus, EditionStatus, SourceState
from pipeline.store.runs import ProblemRecord
from pipeline.store.sources import SourceRecord

WELL, NEEDS, PAUSED = "green", "red", "yellow"
"""The colours of the first line."""
_MARGIN = 9
_COMMAND = re.compile(r'"gazet [^"]{1,200}"')
_HARD = "\N{NO-BREAK SPACE}"
_NAMED = 3
_LONG_ROUND = timedelta(minutes=10)


@dataclass
class _Part:
    """One heading with its entries, each of one or more lines. ``more`` says where those are that were folded away."""

    heading: str
    entries: list[list[str]]
    more: str = ""
    folded: int = 0

    def lines(self) -> list[str]:
        lines = [line for entry in self.entries for line in entry]
        if self.folded:
            lines.append(f"and {self.folded} more{self.more}")
        heads = [self.heading, *[""] * len(lines)]
        return [f"{head:<{_MARGIN}}{line}".rstrip() for head, line in zip(heads, lines, strict=False)]

    def fold(self) -> None:
        """Leave the last entry out."""
        self.entries.pop()
        self.folded += 1


@dataclass(frozen=True, slots=True)
class Paper:
    """What is written on: the site's zone, and the size of the terminal; ``height`` None: as long as it gets."""

    zone: str
    width: int = 80
    height: int | None = None

    def at(self, moment: datetime | None) -> str:
        """A moment in the site's zone."""
        return local(moment, self.zone)

    def wrapped(self, text: str, indent: str = "", hang: str = "") -> list[str]:
        """The text in lines of this width, further ones ``hang`` deeper; no address, URL or command to copy is broken."""
        whole = _COMMAND.sub(lambda command: command[0].replace(" ", _HARD), text)
        width = max(self.width - _MARGIN, 20)
        wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
        wrap.initial_indent, wrap.subsequent_indent = indent, indent + hang
        return [line.replace(_HARD, " ") for line in wrap.wrap(whole)]


def screen(found: Status, judged: Judgement, paper: Paper, *, everything: bool = False) -> tuple[str, str, list[str]]:
    """The first line, its colour, and all other lines. ``everything``: each source, too, also where all are well."""
    parts = [
        _needs(judged.needs, paper),
        _resting(found, judged, paper),
        _Part("run", [paper.wrapped(_run(found, judged, paper))]),
        _sending(found, paper),
        _next(found, judged, paper),
        _last(found, paper),
        _sources(found, judged, paper, everything=everything),
        _published(found, paper, everything=everything),
        _Part("relay", [paper.wrapped(_relay(found, judged, paper))]),
    ]
    headline, colour = _headline(found, judged)
    needs, resting, _, sending, coming, last, sources, _, _ = parts
    parts.insert(4, _signups(found, paper))
    if paper.height is not None:
        order = [(last, 3), (coming, 8), (sources, 1), (last, 1), (coming, 3), (sending, 1), (resting, 1), (needs, 2)]
        _fit(parts, order, paper.height - 2)  # the first line and the next prompt
    return headline, colour, [line for part in parts for line in part.lines()]


def _fit(parts: list[_Part], order: list[tuple[_Part, int]], height: int) -> None:
    """Fold in that order, each part down to that many entries, until all parts have so few lines together."""
    for part, least in order:
        while len(part.entries) > least and sum(len(one.lines()) for one in parts) > height:
            part.fold()


def _headline(found: Status, judged: Judgement) -> tuple[str, str]:
    paused = "PAUSED, " if found.paused else ""
    if judged.needs:
        return f"{found.title}: {paused}needs you: {count(len(judged.needs), 'thing')}", NEEDS
    return f"{found.title}: {paused}{'nothing needs you' if paused else 'well'}", PAUSED if paused else WELL


def _needs(needs: tuple[ProblemRecord, ...], paper: Paper) -> _Part:
    entries = []
    for one in needs:
        what = f"{one.what.rstrip('.')} (since {paper.at(one.since)})"
        entries.append([*paper.wrapped(f"! {what}", hang="  "), *paper.wrapped(one.fix, "  ")])
    return _Part("needs", entries, more=': "gazet status --all" shows them')


def _resting(found: Status, judged: Judgement, paper: Paper) -> _Part:
    """What was stopped by a person, or waits for one, with the command that lets it go on, but for what is a need already."""
    entries, needs = [], {one.key for one in judged.needs}
    if found.paused:
        entries.append('the site: nothing is collected, published or sent until "gazet resume"')
    entries += [f'feed {feed.slug}: "gazet resume {feed.slug}" goes on' for feed in found.feeds if feed.paused]
    for edition in found.open_editions:
        if edition.status == EditionStatus.PAUSED and f"edition:{edition.label}" not in needs:
            entries.append(f'edition {edition.label}: {edition.reason or "paused"}; "gazet resume {edition.label}" goes on')
    relays = [one for one in found.relays if one.paused and f"relay:{one.name}" not in needs]
    entries += [f'relay {one.name}: {one.reason or "paused"}; "gazet resume {one.name}" goes on' for one in relays]
    if found.held_items:
        entries.append(f'{count(found.held_items, "held item")}: "gazet items list --status held" shows them')
    entries += [f"feed {slug}: feeds/{slug}.toml is gone, so it rests; nothing of it is deleted" for slug in found.orphans]
    return _Part("paused", [paper.wrapped(entry) for entry in entries])


def _run(found: Status, judged: Judgement, paper: Paper) -> str:
    """Whether something runs, and when the last round was."""
    last = found.last_tick
    if last is None:
        return 'not yet: "gazet run" begins'
    pid = last.process.split("/")[-2] if last.process.count("/") >= 3 else "?"
    began, ended = paper.at(last.started_at), paper.at(last.finished_at)
    if found.running:
        lasts = judged.now - last.started_at
        if last.finished_at is None and lasts > _LONG_ROUND:
            return f"runs (pid {pid}); its round of {began} has lasted {_span(lasts)}"
        return f"runs (pid {pid}), last round {began}, {_span(lasts)} ago"
    if last.finished_at is None and found.running is False:
        return (
            f'stopped in the middle of its round of {began}: killed, or the machine went down. Nothing is lost; "gazet run" goes on'
        )
    if found.running is None:
        return f"last round {ended if last.finished_at else began}, in another container or on another machine"
    return f'not running: "gazet run" ended after its round of {ended}' if found.standing else f"run --once, last {ended}"


def _span(length: timedelta) -> str:
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 120:
        return count(seconds, "second")
    return count(seconds // 60, "minute") if seconds < 7200 else count(seconds // 3600, "hour")


def _sending(found: Status, paper: Paper) -> _Part:
    """Editions that are not finished."""
    entries = []
    for edition in found.open_editions:
        if edition.status != EditionStatus.SENDING:
            continue
        lines = paper.wrapped(f"{edition.label}  {_sums(edition)}", hang="  ")
        if edition.abandoned:
            then = "sends them again with the same Message-ID" if edition.uncertain == "resend" else "holds them for you"
            lines += paper.wrapped(f"{edition.abandoned} on the wire when its process ended: the next run {then}", "  ")
        entries.append(lines)
    if found.next_attempt_at:
        entries.append(paper.wrapped(f"deferred mail is tried again {paper.at(found.next_attempt_at)}"))
    return _Part("sending", entries)


def _next(found: Status, judged: Judgement, paper: Paper) -> _Part:
    """The next edition of each feed, the earliest first."""
    if not found.feeds and not found.not_begun:
        return _Part("next", [paper.wrapped('no feed yet: "gazet add URL" makes one')])
    if not found.feeds:
        return _Part("next", [paper.wrapped(f'{slug}: not begun, "gazet run" collects it') for slug in found.not_begun])
    far = datetime.max.replace(tzinfo=judged.now.tzinfo)
    feeds = sorted(found.feeds, key=lambda feed: (feed.next_edition_at or far, feed.slug))
    widest = min(max(len(feed.slug) for feed in feeds), 30)
    entries = [paper.wrapped(f"{feed.slug:<{widest}}  {_coming(feed, paper)}", hang="  ") for feed in feeds]
    return _Part("next", entries, more=" feeds: all well" if judged.well else " feeds")


def _coming(feed: FeedReport, paper: Paper) -> str:
    if not feed.active:
        return f"{count(feed.items, 'item')}, no subscriber yet"
    times = [f"{paper.at(feed.next_edition_at)}  {_people(feed.waiting)}"] if feed.next_edition_at else []
    if feed.instant:
        times.append(f"when an item comes  {_people(feed.instant)}")
    return f"{'paused: ' if feed.paused else ''}{'; '.join(times)}"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _signups(found: Status, paper: Paper) -> _Part:
    """Who asked to subscribe and is not subscribed yet."""
    said = [f"{found.signups.told} waiting to be confirmed"] if found.signups.told else []
    said += [f"{found.signups.asked} not answered yet"] if found.signups.asked else []
    return _Part("sign-ups", [paper.wrapped(", ".join(said))] if said else [])


def _last(found: Status, paper: Paper) -> _Part:
    """The latest editions that are finished, newest first."""
    unfinished = {edition.label for edition in found.open_editions}
    entries = []
    for edition in found.editions:
        if edition.label in unfinished:
            continue
        lines = paper.wrapped(f"{edition.label}  {_sums(edition)}", hang="  ")
        for line in _doubts(edition):
            lines += paper.wrapped(line, "  ")
        entries.append(lines)
    return _Part("last", entries, more=': "gazet verify" shows all')


def _doubts(edition: EditionReport) -> Iterable[str]:
    if edition.maybe_twice:
        number = len(edition.maybe_twice)
        yield f"{number} on the wire when it broke off, sent again, may have come twice: {_names(edition.maybe_twice)}"
    if edition.held:
        yield f"{len(edition.held)} uncertain and held: {_names(edition.held)}"


def _names(addresses: tuple[str, ...]) -> str:
    more = len(addresses) - _NAMED
    return ", ".join(addresses[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _sums(edition: EditionReport) -> str:
    """``412 accepted`` or ``412: 410 accepted, 2 failed``; what only the outbox took is called a rehearsal."""
    counts = []
    for status, number in edition.sums.items():
        if status is DeliveryStatus.ACCEPTED and edition.rehearsed:
            counts += [f"{number - edition.rehearsed} accepted"] if number > edition.rehearsed else []
            counts.append(f"{edition.rehearsed} rehearsed in the outbox")
        elif number:
            counts.append(f"{number} {status}")
    return counts[0] if len(counts) == 1 else f"{edition.audience}: {', '.join(counts)}"


def _sources(found: Status, judged: Judgement, paper: Paper, *, everything: bool) -> _Part:
    """How many are well, which is asked next and why then; those that are not well and that no problem names yet, or all."""
    read = [one for one in found.sources if one.feeds]
    if not read:
        return _Part("sources", [])
    sums = {state: sum(one.state == state for one in read) for state in SourceState}
    states = ", ".join(f"{number} {state}" for state, number in sums.items() if number)
    entries = [paper.wrapped(f"{states}{_next_asked(_asked(read, found), paper)}", hang="  ")]
    if everything:
        asked = _asked(read, found)
        by_address = sorted(read, key=lambda one: one.url)
        return _Part("sources", entries + [_source(one, one in asked, paper) for one in by_address])
    named = {one.key.partition(":")[2] for one in judged.needs if one.key.startswith(("source:", "flood:"))}
    unwell = [one for one in read if one.state != SourceState.OK and one.url not in named]
    entries += [paper.wrapped(f"{one.url}: {one.reason or one.state}", hang="  ") for one in unwell]
    return _Part("sources", entries, more=' not well: "gazet status --all" shows them')


def _published(found: Status, paper: Paper, *, everything: bool) -> _Part:
    """Where feeds of topics, categories and sources are; on the short screen a person need not know."""
    shown = [(feed.slug, part) for feed in found.feeds for part in feed.parts if everything]
    return _Part("parts", [paper.wrapped(f"{slug}: {one.kind} {one.title}: {one.urls['rss']}", hang="  ") for slug, one in shown])


def _asked(read: list[SourceRecord], found: Status) -> list[SourceRecord]:
    """Those that are asked again by themselves, the one due first in front."""
    resting = {feed.slug for feed in found.feeds if feed.paused}
    asked = [one for one in read if one.state in (SourceState.OK, SourceState.ATTENTION) and not resting.issuperset(one.feeds)]
    return sorted(asked, key=lambda one: (one.next_poll_at.timestamp() if one.next_poll_at else 0.0, one.id))


def _next_asked(asked: list[SourceRecord], paper: Paper) -> str:
    if not asked:
        return "; none is asked"
    first = asked[0]
    if all(one.next_poll_at is None and one.collected_at is None for one in asked):
        return "; not asked yet"
    return f"; next asked {_moment(first, paper)}: {first.url}{f' ({first.why})' if first.why else ''}"


def _moment(source: SourceRecord, paper: Paper) -> str:
    return paper.at(source.next_poll_at) if source.next_poll_at else "in the next round"


def _source(one: SourceRecord, asked: bool, paper: Paper) -> list[str]:
    """One source with all that a person may want to know of it."""
    lines = paper.wrapped(f"{one.url}: {one.state}{f', {one.reason}' if one.reason else ''}", hang="  ")
    if one.way is not None:
        where = f" at {one.way.url}" if one.way.url != one.url else ""
        lines += paper.wrapped(f"read as {one.way.kind}{where}: {one.way.reason}", "  ", "  ")
    elif one.rule:
        lines += paper.wrapped(f"read by {one.rule}", "  ", "  ")
    again = f"next asked {_moment(one, paper)}{f': {one.why}' if one.why else ''}" if asked else "not asked"
    return lines + paper.wrapped(again, "  ", "  ")


def _relay(found: Status, judged: Judgement, paper: Paper) -> str:
    """Whether mail reaches people, and if not, what is missing."""
    if found.relay == OUTBOX:
        return "none: every mail is a rehearsal in var/outbox and reaches nobody"
    known = next((one for one in found.relays if one.name == found.relay), None)
    if known is not None and (known.paused or known.retry_at):
        return f"{found.relay}: " + (
            "paused, see above" if known.paused else f"rests until {paper.at(known.retry_at)}: {known.reason}"
        )
    if not found.real:
        return f"{found.relay}: a test server on this machine"
    if not found.refusal:
        return f"{found.relay}: writes to subscribers; its test mail was accepted {paper.at(found.tested_at)}"
    if any(one.key.startswith(f"relay:{found.relay}") for one in judged.needs):
        return f"{found.relay}: writes to no subscriber yet, see above"
    return found.refusal
