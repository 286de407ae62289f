"""Reading the dates of one document: what is there but cannot be read leaves a remark."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from pipeline.collect.dates import Order, languages_for, read_iso, stated_date
from pipeline.models import ReadDate

MOST_ITEMS = 10_000
"""As many as ``max_items`` may be."""
_MAX_REMARKS = 50
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,12})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class NotedDates:
    """Reads dates for a source in ``language`` and ``zone`` (IANA name); ``remarks`` name what could not be read.

    ``order``: what the document's dates together prove (``dates.order_of``).
    """

    def __init__(self, language: str, zone: str, now: datetime, order: Order | None = None) -> None:
        self._languages = languages_for(language)
        self._zone = zone
        self._now = now
        self._order = order
        self.remarks: list[str] = []

    def read(self, title: str, texts: Iterable[str]) -> ReadDate | None:
        """The first of an item's dates that can be read."""
        for text in texts:
            if not text:
                continue
            found = stated_date(text, languages=self._languages, zone=self._zone, now=self._now, order=self._order)
            if found is not None:
                return found
            self.note(f'"{title[:60]}": the date "{text[:40]}" could not be read')
        return None

    def read_rfc3339(self, title: str, text: str) -> ReadDate | None:
        """A date that has to be RFC 3339; another clear machine's date is read, with a remark that it is none."""
        if not text:
            return None
        found = read_iso(text, self._zone)
        if found is None:
            self.note(f'"{title[:60]}": the date "{text[:40]}" could not be read (it has to be RFC 3339)')
        elif not _RFC3339.fullmatch(text):
            self.note(f'"{title[:60]}": the date "{text[:40]}" is not RFC 3339; read as {found.at:%Y-%m-%d %H:%M} UTC')
        return found

    def note_rest(self, total: int, limit: int) -> None:
        """Says how many items of a document are not read, so that no time is spent on them."""
        if total > limit:
            self.note(f"{total - limit} items beyond the first {limit} were left out (max_items)")

    def note(self, remark: str) -> None:
        """Keeps a remark, each once and fifty at most."""
        if remark not in self.remarks and len(self.remarks) < _MAX_REMARKS:
            self.remarks.append(remark)
