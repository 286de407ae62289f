"""What jobs did, each in one line for a person; empty where there is nothing to say (pure)."""

from __future__ import annotations

from pipeline.config import OUTBOX
from pipeline.jobs.collect_source import Collected
from pipeline.jobs.deliver_batch import Tally
from pipeline.jobs.open_edition import Opened
from pipeline.jobs.publish_feed import Published
from pipeline.jobs.sweep import Swept
from pipeline.models import DeliveryStatus
from pipeline.store.runs import ProblemRecord


def count(number: int, noun: str) -> str:
    """``1 item``, ``2 items``, ``3 deliveries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def problem(one: ProblemRecord) -> str:
    """What needs a person, and the fix, as two sentences."""
    return f"! {one.what.rstrip('.')}. {one.fix}".rstrip()


def collected(one: Collected) -> str:
    """The outcome of a collect: problem, nothing new, or counts and remarks."""
    if one.problem:
        return f"! {one.url}: {one.problem}"
    if one.not_modified:
        return f"collected {one.url}: not modified"
    line = f"collected {one.url}: {one.new} new, {one.updated} changed, {one.unchanged} known ({one.rule})"
    return "\n".join([line, *(f"  {remark}" for remark in one.remarks)])


def published(one: Published) -> str:
    """Only when files were written."""
    return (
        f"published {one.slug}: {count(one.items, 'item')} → {one.folder / one.slug}.rss .atom .json .html" if one.written else ""
    )


def opened(one: Opened) -> str:
    """An edition that waits to be sent, and schedules that were too late for today."""
    late = (
        f"feed {one.feed}: {count(one.late, 'schedule')} overdue by more than late_after; "
        "what they bring comes at the next such hour"
    )
    if not one.label:
        return late if one.late else ""
    made = f"{count(one.items, 'item')} for {count(one.audience, 'subscription')}, {count(one.variants, 'variant')}"
    line = f"opened {one.label}: {made}"
    return f"{line}\n{late}" if one.late else line


def sent(tally: Tally) -> str:
    """The sums of a batch; what the outbox took is called a rehearsal."""
    counts = [f"{number} {status}" for status in DeliveryStatus if (number := tally.outcomes[status])]
    if tally.unsettled:
        counts.append(f"{tally.unsettled} uncertain: on the wire when this was told to end")
    if not counts and not tally.problem:
        return ""
    rehearsal = " (a rehearsal: only the outbox took them)" if tally.relay == OUTBOX else ""
    return f"sent through {tally.relay}: {', '.join(counts) or 'nothing'}{rehearsal}"


def swept(one: Swept) -> str:
    """What an earlier process left behind."""
    lines = [str(recovered) for recovered in one.recovered]
    if one.expired:
        lines.append(f"{count(one.expired, 'delivery')} not sent before the deadline")
    return "\n".join(lines)
