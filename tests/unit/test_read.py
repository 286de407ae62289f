"""What a document is, is told by its bytes; a kind that does not fit is told what it is instead."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.read import read
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import ParsedSource, SourceKind

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://a.example/nieuws/"
ITEM = "<item><title>Een</title><link>https://a.example/1</link></item>"
ENTRY = '<entry><title>Een</title><id>x</id><link href="https://a.example/1"/></entry>'
LISTING = "".join(
    f"<article><h2><a href=/nieuws/{n}>Het bericht met nummer {n}</a></h2><time datetime=2026-01-0{n}>x</time></article>"
    for n in (1, 2, 3)
)
API = '<link rel="https://api.w.org/" href="/wp-json/"><link rel=alternate type=application/rss+xml href=/feed/>'
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
DOCUMENTS = {
    "RSS 0.90": f'<rdf:RDF {RDF} xmlns="http://my.netscape.com/rdf/simple/0.9/"><channel/>{ITEM}</rdf:RDF>',
    "RSS 0.91": f'<rss version="0.91"><channel>{ITEM}</channel></rss>',
    "RSS 0.91 with its document type": (
        '<?xml version="1.0"?><!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://x.example/rss.dtd">'
        f'<rss version="0.91"><channel>{ITEM}</channel></rss>'
    ),
    "RSS 0.92": f'<rss version="0.92"><channel>{ITEM}</channel></rss>',
    "RSS 1.0": f'<rdf:RDF {RDF} xmlns="http://purl.org/rss/1.0/"><channel/>{ITEM}</rdf:RDF>',
    "RSS 2.0": f'<rss version="2.0"><channel>{ITEM}</channel></rss>',
    "Atom 0.3": f'<feed version="0.3" xmlns="http://purl.org/atom/ns#">{ENTRY}</feed>',
    "Atom 1.0": f'<feed xmlns="http://www.w3.org/2005/Atom">{ENTRY}</feed>',
    "JSON Feed 1.0": '{"version": "https://jsonfeed.org/version/1", "items": [{"id": 1, "title": "Een"}]}',
    "JSON Feed 1.1": '{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": 1, "title": "Een"}]}',
    "posts": '[{"link": "https://a.example/1", "title": {"rendered": "Een"}}]',
    "sitemap": "<?xml version='1.0'?><urlset><url><loc>https://a.example/1</loc></url></urlset>",
    "index": "<sitemapindex><sitemap><loc>https://a.example/1.xml</loc></sitemap></sitemapindex>",
    "page": f"<!doctype html><html><head>{API}</head><body>{LISTING}</body></html>",
    "XHTML": f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{LISTING}</body></html>',
}
KINDS = {"posts": SourceKind.WORDPRESS, "sitemap": SourceKind.SITEMAP, "index": SourceKind.SITEMAP}
KINDS |= {"page": SourceKind.PAGE, "XHTML": SourceKind.PAGE}


def any_document(body: bytes | str, *, kind: SourceKind = SourceKind.AUTO, content_type: str = "") -> ParsedSource:
    return read(
        body.encode() if isinstance(body, str) else body,
        url=URL,
        content_type=content_type,
        kind=kind,
        page=PageSettings(),
        language="nl",
        zone="Europe/Amsterdam",
        now=NOW,
        max_items=500,
    )


@pytest.mark.parametrize("content_type", ["", "text/html", "application/xml", "application/rss+xml", "text/plain; charset=utf-8"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_known_by_its_bytes_whatever_its_label(name: str, content_type: str) -> None:
    found = any_document(DOCUMENTS[name], content_type=content_type)
    assert found.kind is KINDS.get(name, SourceKind.FEED)
    if found.kind is SourceKind.FEED:
        assert found.rule == f"a feed, {name.removesuffix(' with its document type')}"
    assert len(found.items) + len(found.children) in (1, 3)


@pytest.mark.parametrize("kind", [SourceKind.FEED, SourceKind.WORDPRESS, SourceKind.SITEMAP, SourceKind.PAGE])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_kind_that_does_not_fit_is_told_what_it_is_instead(name: str, kind: SourceKind) -> None:
    own = KINDS.get(name, SourceKind.FEED)
    if kind is own:
        assert any_document(DOCUMENTS[name], kind=kind).kind is own
        return
    with pytest.raises(ReadError) as caught:
        any_document(DOCUMENTS[name], kind=kind)
    assert "auto" in caught.value.fix
    if name != "page" or kind is SourceKind.SITEMAP:
        assert f'kind = "{own}"' in caught.value.fix


@pytest.mark.parametrize(
    ("kind", "named"),
    [(SourceKind.FEED, "https://a.example/feed/"), (SourceKind.WORDPRESS, "https://a.example/wp-json/wp/v2/posts?per_page=50")],
)
def test_a_page_that_names_what_was_wanted_is_said_to(kind: SourceKind, named: str) -> None:
    with pytest.raises(ReadError) as caught:
        any_document(DOCUMENTS["page"], kind=kind)
    assert f"It is a web page that names one: use {named}" in caught.value.fix


def test_a_page_is_read_with_its_links_and_its_offers() -> None:
    found = any_document(DOCUMENTS["page"])
    assert found.links == {f"https://a.example/nieuws/{number}" for number in (1, 2, 3)}
    assert [offer.kind for offer in found.offers] == [SourceKind.FEED, SourceKind.WORDPRESS]


def test_a_feed_behind_a_warning_is_read_where_the_operator_says_feed() -> None:
    body = "<b>Warning</b>: something in line 3\n" + DOCUMENTS["RSS 2.0"]
    assert len(any_document(body, kind=SourceKind.FEED).items) == 1


@pytest.mark.parametrize(
    "body", ["", " \n", "\ufeff", "just words", '"text"', "{}", "[1]", "%PDF-1.4 <a>", "<?xml version='1.0'?><svg/>"]
)
@pytest.mark.parametrize("kind", list(SourceKind))
def test_what_is_nothing_of_all_this_is_refused_with_a_fix(body: str, kind: SourceKind) -> None:
    with pytest.raises(ReadError) as caught:
        any_document(body, kind=kind)
    assert caught.value.fix


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(
        [b"", b"<", b"{", b"[", b"[{", b"\x1f\x8b", b"<html><script type=application/ld+json>", b"<p itemscope itemtype=/Article>"]
    ),
    st.sampled_from(["", "text/html; charset=x", "application/json"]),
)
def test_any_bytes_of_any_kind_give_a_result_or_a_read_error(data: bytes, head: bytes, content_type: str) -> None:
    for kind in SourceKind:
        try:
            found = any_document(head + data, kind=kind, content_type=content_type)
        except ReadError:
            continue
        assert found.items or found.rule
