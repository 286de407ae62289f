"""``feeds/<slug>.intro.md``: an editor's words that the feed's next digest begins with, once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pipeline.compose.intro import Intro, render
from pipeline.config import FeedSettings
from pipeline.errors import GazetError
from pipeline.jobs.problems import noted
from pipeline.jobs.site import Site
from pipeline.store import Tx, editions, feeds
from pipeline.store.editions import Group

LARGEST = 20_000
"""Bytes; a digest is no article, and Gmail shows 102 KB of a mail."""


def path_of(site: Site, slug: str) -> Path:
    """Where the feed's intro is, or would be."""
    return site.settings.path(f"feeds/{slug}.intro.md")


def read(site: Site, slug: str) -> Intro | None:
    """The feed's intro; None where there is no file, or an empty one. Raises GazetError for one that cannot be used."""
    path = path_of(site, slug)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}", "Correct its rights") from None
    except UnicodeDecodeError:
        raise _fault(path, "is not UTF-8 text", "Save it as UTF-8") from None
    if len(data) > LARGEST:
        raise _fault(path, f"is larger than {LARGEST // 1000} KB", "Shorten it")
    intro = render(text, hashlib.sha256(data).hexdigest())
    return intro if intro.text else None


def _fault(path: Path, what: str, fix: str) -> GazetError:
    return GazetError(f"feeds/{path.name} {what}.", fix=f"{fix}, or remove it; digests go out without it until then.")


def read_or_note(site: Site, slug: str, now: datetime) -> Intro | None:
    """The same for an edition that must go out anyway: a fault is recorded as a problem, and there is no intro."""
    with contextlib.suppress(GazetError), noted(site, f"intro:{slug}", now):
        return read(site, slug)
    return None


def unused(tx: Tx, slug: str, intro: Intro | None) -> Intro | None:
    """The intro, if no digest has begun with it."""
    return intro if intro is not None and feeds.intro_hash(tx, slug) != intro.hash else None


def for_edition(tx: Tx, feed: FeedSettings, groups: Sequence[Group], intro: Intro | None) -> Intro | None:
    """The intro, if it is unused and the edition to these groups serves the feed's default cadence, or nobody has that."""
    if not groups or unused(tx, feed.slug, intro) is None:
        return None
    serves_default = any(group.of_default_cadence for group in groups)
    return intro if serves_default or not editions.anybody_has(tx, feed.slug, feed.digest.cadence) else None
