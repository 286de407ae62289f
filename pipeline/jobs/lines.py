"""What jobs did, each in one line for a person; empty where there is nothing to say (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.config import OUTBOX
from pipeline.jobs.collect_source import Collected
from pipeline.jobs.deliver_batch import Tally
from pipeline.jobs.feedback import Heard
from pipeline.jobs.images import LookedAt
from pipeline.jobs.notices import Told
from pipeline.jobs.open_edition import Opened
from pipeline.jobs.publish_feed import Published
from pipeline.jobs.sweep import Swept
from pipeline.models import DeliveryStatus, FeedbackDone, FeedbackKind, ImageState
from pipeline.store.runs import ProblemRecord


class Line(str):
    """A sentence for a person that also carries what a log keeps for programs.

    ``event`` is one stable word, ``facts`` are by name, ``level`` is info, warning or error.
    """

    event: str
    facts: dict[str, Any]
    level: str

    def __new__(cls, text: str, event: str = "said", facts: dict[str, Any] | None = None, *, level: str = "info") -> Line:
        """The text itself stays an ordinary string."""
        line = super().__new__(cls, text)
        line.event, line.facts, line.level = event, facts or {}, level
        return line


def count(number: int, noun: str) -> str:
    """``1 item``, ``2 items``, ``3 deliveries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def begins(title: str, folder: Path) -> Line:
    """The first words of a run that lasts."""
    return Line(f"gazet runs {title} ({folder}); Ctrl-C or SIGTERM ends it.", "begins", {"folder": str(folder)})


def edited() -> Line:
    """Edited settings were taken without a restart."""
    return Line("the edited settings are in force", "edited")


def sending(done: int) -> Line:
    """How far a large edition is."""
    return Line(f"{done} deliveries done", "sending", {"done": done})


def problem(one: ProblemRecord) -> Line:
    """What needs a person, and the fix, as two sentences."""
    text = f"! {one.what.rstrip('.')}. {one.fix}".rstrip()
    facts = {"problem": one.key, "what": one.what, "fix": one.fix, "since": one.since.isoformat()}
    return Line(text, "problem", facts, level="warning")


def collected(one: Collected) -> Line:
    """The outcome of a collect: problem, nothing new, or counts and remarks."""
    known: dict[str, Any] = {"source": one.url, "feeds": list(one.feeds)}
    if one.problem:
        return Line(f"! {one.url}: {one.problem}", "collected", {**known, "problem": one.problem}, level="warning")
    if one.not_modified:
        text = "\n".join([f"collected {one.url}: not modified", *(f"  {remark}" for remark in one.remarks)])
        return Line(text, "collected", {**known, "not_modified": True, "remarks": list(one.remarks)})
    text = f"collected {one.url}: {one.new} new, {one.updated} changed, {one.unchanged} known ({one.rule})"
    counts = {"new": one.new, "updated": one.updated, "unchanged": one.unchanged, "remarks": list(one.remarks)}
    return Line("\n".join([text, *(f"  {remark}" for remark in one.remarks)]), "collected", {**known, **counts})


def images(found: Sequence[LookedAt]) -> Line:
    """How many images got a copy, and why one did not."""
    states = Counter(one.state for one in found)
    left = next((one for one in found if one.state is ImageState.FAILED), None)
    parts = [f"{states[ImageState.KEPT]} kept"] if states[ImageState.KEPT] else []
    if left is not None:
        parts.append(f"{states[ImageState.FAILED]} left out ({left.url} {left.reason})")
    if later := states[ImageState.WAITING]:
        parts.append(f"{later} to be asked for again")
    return Line(f"images: {', '.join(parts)}" if parts else "", "images", {str(state): number for state, number in states.items()})


def published(one: Published) -> Line:
    """Only when files were written."""
    files = f"{one.folder / one.slug}.rss .atom .json .html"
    parts = f", and {count(one.parts, 'feed')} of its topics, categories or sources" if one.parts else ""
    text = f"published {one.slug}: {count(one.items, 'item')} → {files}{parts}" if one.written else ""
    return Line(text, "published", {"feed": one.slug, "items": one.items, "parts": one.parts})


def opened(one: Opened) -> Line:
    """An edition that waits to be sent, and schedules that were too late for today."""
    late = (
        f"feed {one.feed}: {count(one.late, 'schedule')} overdue by more than late_after; "
        "what they bring comes at the next such hour"
    )
    if not one.label:
        return Line(late if one.late else "", "late", {"feed": one.feed, "schedules": one.late})
    made = f"{count(one.items, 'item')} for {count(one.audience, 'subscription')}, {count(one.variants, 'variant')}"
    text = f"opened {one.label}: {made}" + (f"\n{late}" if one.late else "")
    sizes = {"items": one.items, "audience": one.audience, "variants": one.variants, "late": one.late}
    return Line(text, "opened", {"feed": one.feed, "edition": one.label, **sizes})


def sent(tally: Tally) -> Line:
    """The sums of a batch; what the outbox took is called a rehearsal."""
    sums = {str(status): number for status in DeliveryStatus if (number := tally.outcomes[status])}
    counts = [f"{number} {status}" for status, number in sums.items()]
    if tally.unsettled:
        counts.append(f"{tally.unsettled} uncertain: on the wire when this was told to end")
    rehearsal = tally.relay == OUTBOX
    named = " (a rehearsal: only the outbox took them)" if rehearsal else ""
    text = f"sent through {tally.relay}: {', '.join(counts) or 'nothing'}{named}" if counts or tally.problem else ""
    return Line(text, "sent", {"relay": tally.relay, **sums, "unsettled": tally.unsettled, "rehearsal": rehearsal})


def told(one: Told) -> Line:
    """What became of notices; empty where none was due."""
    counts = [f"{number} {status}" for status in DeliveryStatus if (number := one.outcomes[status])]
    if not counts and not one.problem:
        return Line("", "told")
    outcomes = {str(status): number for status, number in one.outcomes.items() if number}
    level = "warning" if one.problem else "info"
    text = f"notices through {one.relay}: {', '.join(counts) or one.problem}"
    return Line(text, "told", {"relay": one.relay, "outcomes": outcomes, "problem": one.problem}, level=level)


def heard(one: Heard) -> Line:
    """What came back by mail; empty where nothing did."""
    kinds = {str(kind): number for kind in FeedbackKind if (number := one.kinds[kind])}
    done = {str(what): number for what in FeedbackDone if (number := one.done[what])}
    found = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    changed = ", ".join(f"{number} {what}" for what, number in done.items() if what != FeedbackDone.NOTHING)
    text = f"came back: {found}" + (f" ({changed})" if changed else "") if found else ""
    return Line(text, "came back", {"kinds": kinds, "done": done})


def swept(one: Swept) -> Line:
    """What an earlier process left behind."""
    texts = [str(recovered) for recovered in one.recovered]
    if one.expired:
        texts.append(f"{count(one.expired, 'delivery')} not sent before the deadline")
    editions = [recovered.edition for recovered in one.recovered]
    return Line("\n".join(texts), "swept", {"editions": editions, "expired": one.expired}, level="warning")


def rests(relay: str, reason: str) -> Line:
    """A relay that takes nothing for now, said when that begins."""
    return Line(f"relay {relay} rests: {reason}", "relay rests", {"relay": relay, "reason": reason}, level="warning")


def crashed(job: str, traceback: str) -> Line:
    """A mistake in Gazet: the job failed, all others go on."""
    text = traceback.rstrip("\n")
    return Line(f"! {job}: {text.splitlines()[-1]}\n{text}", "crashed", {"job": job, "exception": text}, level="error")


def unkept(error: Exception) -> Line:
    """A failure that could not even be written down, such as a store that cannot be reached."""
    return Line(f"! {error}", "problem", {"what": str(error)}, level="error")
