"""Copies of images that nothing needs any more are taken away."""

from __future__ import annotations

from datetime import datetime, timedelta

from pipeline.jobs.images import FULL, media_folder
from pipeline.jobs.site import Site
from pipeline.publish import media
from pipeline.store import images, runs

_SHOWN = timedelta(days=365)
"""After a feed or a mail has needed a copy last, it stays so long: mails are read later, and looked at in the archive."""
_SHOWN_AT_LEAST = timedelta(days=60)
"""The same where the copies take all the room that they may."""
_AT_ONCE = 1_000
_WRITTEN = timedelta(days=1)


def prune_media(site: Site, now: datetime) -> int:
    """Forget images that nothing has needed for long, and remove their files; returns how many. Raises PublishError."""
    most = site.settings.collect.max_media_bytes
    with site.store.read() as tx:
        full = any(problem.key == FULL for problem in runs.problems(tx))
        before = now - (_SHOWN_AT_LEAST if full else _SHOWN)
        unused = images.unused_since(tx, before, _AT_ONCE)
        too_much = images.sums(tx).size - most * 9 // 10 if full and unused else 0
    if not unused:
        return 0
    gone = []
    for key, size in unused:
        if full and too_much <= 0:
            break
        gone.append(key)
        too_much -= size
    with site.store.write() as tx:
        images.forget(tx, gone, before)
        kept = images.files(tx)
    media.remove_others(media_folder(site), kept, now - _WRITTEN)
    return len(gone)
