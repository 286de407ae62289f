"""What the public sees of a feed: pure renderers, and files that are replaced as a whole.

FeedDocument ──▶ entries ──▶ rss, atom, json_feed, html ──▶ bytes ──▶ files ──▶ web server
"""

from __future__ import annotations

from pipeline.models import FeedDocument
from pipeline.publish import atom, html, json_feed, rss
from pipeline.publish.entries import entries_of
from pipeline.texts import Texts

FORMATS = ("rss", "atom", "json", "html")


def render_all(document: FeedDocument, texts: Texts) -> dict[str, bytes]:
    """The feed in every format, by file extension; the same document and texts give the same bytes.

    Raises TemplateFault where the page's template is wrong.
    """
    entries = entries_of(document)
    return {
        "rss": rss.render(document, entries),
        "atom": atom.render(document, entries),
        "json": json_feed.render(document, entries),
        "html": html.render(document, entries, texts),
    }
