"""Documents made to hurt: each is read, or refused with one reason; nothing is fetched, run or shown; the others go on."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.apart import MEGABYTES, ReaderProcesses
from pipeline.collect.markup import clean_html
from pipeline.collect.normalise import normalise
from pipeline.collect.read import read
from pipeline.compose import digest, message
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.jobs.apart_names import SURVEY
from pipeline.models import CandidateItem, ParsedSource, Personal, SourceKind
from pipeline.texts import Texts
from tests.factories import make_digest, make_feed_item

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://a.example/nieuws/"
ANN = Personal("ann@example.org", "Ann", "<1@x.nl>", "https://nieuws.example.org/u/a", "mailto:redactie@example.org?subject=t")
TEXTS = Texts(None)
MEGABYTE = 1_000_000
TEN = 10 * MEGABYTE
XSS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg><g/onload=alert(1)//<p>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<math><mtext><table><mglyph><style><math><img src onerror=alert(1)>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<svg><desc><noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<math><annotation-xml encoding='text/html'><xmp>&lt;/xmp&gt;&lt;img src=x onerror=alert(1)&gt;</xmp>",
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></iframe></foreignObject></svg>",
    "<select><template><style><!--</style><a rel='--></style></template></select><img src=x onerror=alert(1)>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' &#1; java&Tab;script&colon;alert(1)'>x</a>",
    "<a href='JaVaScRiPt&#58;alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='//a.example@evil.example/'>x</a>",
    "<img src='data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+'>",
    "<base href='https://evil.example/'><a href='x'>x</a>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<p style='background:url(javascript:alert(1))'>x</p>",
    "<style>@import 'https://evil.example/'</style>",
    "<div><a href='x' onclick=alert(1) formaction='javascript:alert(1)'>x</a><button autofocus onfocus=alert(1)>x</button></div>",
    "<plaintext><script>alert(1)</script>",
    "<textarea></textarea><img src=x onerror=alert(1)></textarea>",
    "<title><a title='</title><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[><img src=x onerror=alert(1)>]]>",
    "<img src=`x` onerror=`alert(1)`>",
    "<p title='`><img src=x onerror=alert(1)>'>x</p>",
    "<a href='https://a.example/\"onmouseover=alert(1)//'>x</a>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "\x00<s\x00cript>alert(1)</script>",
)


def feed(items: str, head: str = "") -> str:
    return f'<?xml version="1.0"?>{head}<rss version="2.0"><channel><title>x</title>{items}</channel></rss>'


def item(title: str = "Een bericht", text: str = "Een zin.", more: str = "") -> str:
    return f"<item><link>/1</link><guid>1</guid><title>{title}</title><description>{text}</description>{more}</item>"


def laughs() -> str:
    steps = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return feed(item(title="&l9;"), f'<!DOCTYPE rss [<!ENTITY l0 "lol">{steps}]>')


def blowup() -> str:
    return feed(item(text="&a;" * 50_000), f'<!DOCTYPE rss [<!ENTITY a "{"a" * 50_000}">]>')


FEEDS = {
    "billion laughs": laughs,
    "quadratic blowup": blowup,
    "200,000 nested elements": lambda: feed("<item>" + "<a>" * 200_000),
    "200,000 nested elements that close": lambda: feed("<item>" + "<a>" * 110_000 + "</a>" * 110_000 + "</item>"),
    "10 MB of <": lambda: feed("<" * TEN),
    "10 MB of &": lambda: feed(item(text="&" * TEN)),
    "one attribute of 10 MB": lambda: feed(f"<item a='{'x' * TEN}'/>"),
    "800,000 attributes": lambda: feed("<item " + " ".join(f"a{n}=''" for n in range(800_000)) + "/>"),
    "300,000 namespaces": lambda: feed("<item " + " ".join(f"xmlns:a{n}='u'" for n in range(300_000)) + "/>"),
    "a title of 10 MB": lambda: feed(item(title="woord " * (TEN // 6))),
}
PAGES = {
    "200,000 nested elements": lambda: "<html><body>" + "<div>" * 200_000,
    "10 MB of <": lambda: "<html>" + "<" * TEN,
    "10 MB of &": lambda: "<html><p>" + "&" * TEN,
    "one attribute of 10 MB": lambda: f"<html><p a='{'x' * TEN}'>",
    "attributes of 10 MB": lambda: f"<html><p {'a ' * (TEN // 2)}>",
    "300,000 tags": lambda: "<html><body>" + "<p>x</p>" * 149_000,
    "dates nobody can read": lambda: (
        "<html><body>"
        + "".join(f"<li><a href=/{n}>Een lange titel {n}</a>" + f"<i>12 Blu{n} 2019</i>" * 60 + "</li>" for n in range(500))
    ),
}


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderProcesses]:
    with ReaderProcesses(1) as made:
        yield made


def read_in(
    readers: ReaderProcesses, body: bytes | str, kind: SourceKind = SourceKind.AUTO, content_type: str = ""
) -> ParsedSource:
    return readers.call(
        read,
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


def outcome(readers: ReaderProcesses, *how: Any) -> ParsedSource | ReadError:
    """What was read, or why not."""
    try:
        return read_in(readers, *how)
    except ReadError as error:
        return error


def candidates(parsed: ParsedSource) -> tuple[CandidateItem, ...]:
    return normalise(parsed, base_url=URL, language="nl", now=NOW)[0]


@pytest.mark.parametrize(
    ("kind", "name"), [*((SourceKind.FEED, name) for name in FEEDS), *((SourceKind.PAGE, name) for name in PAGES)]
)
def test_a_document_made_to_hurt_costs_half_a_second_and_little_memory(readers, kind, name):
    body = (FEEDS if kind is SourceKind.FEED else PAGES)[name]()
    good = feed(item())
    read_in(readers, good)
    [before] = readers.processes()
    base = peak_of(before, anew=True)
    readers.seconds = 0.5
    found = outcome(readers, body, kind)
    readers.seconds = 20
    if isinstance(found, ReadError):
        assert found.fix
        assert "mistake in Gazet" not in found.fix
    else:
        assert sum(len(one.title + one.summary_html + one.content_html) for one in found.items) <= len(body)
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        assert peak_of(before) <= base + MEGABYTES + 4 * len(body) // MEGABYTE
    assert read_in(readers, good).items[0].title == "Een bericht"


def peak_of(pid: int, *, anew: bool = False) -> int:
    """The most memory that a process held (proc(5)), in MB; ``anew``: since now."""
    if anew:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize("declared", ["SYSTEM", 'PUBLIC "x"'])
@pytest.mark.parametrize("strict", [True, False])
def test_no_entity_reads_a_file_or_asks_a_server(readers, web, tmp_path, declared, strict):
    secret = tmp_path / "secret"
    secret.write_text("geheim")
    web.serve("/dtd", '<!ENTITY c "geheim">')
    named = {"a": f"file://{secret}", "b": web.url("/x"), "% p": web.url("/p")}
    entities = "".join(f'<!ENTITY {name} {declared} "{url}">' for name, url in named.items())
    head = f'<!DOCTYPE rss {declared} "{web.url("/dtd")}" [{entities} %p;]>'
    xinclude = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="file://{secret}"/>'
    body = feed(item(title="t &a;", text="&a; &b; &c;" + xinclude) + ("" if strict else "<unclosed>"), head)
    found = outcome(readers, body, SourceKind.FEED)
    assert "geheim" not in repr(found)
    assert web.requests == []


# --- bytes that are no text


@pytest.mark.parametrize(
    "body",
    [
        feed(item(title="x")).encode("utf-16"),
        feed(item(title="x")).encode("utf-16-le"),
        feed(item(title="x")).encode("utf-16-be"),
        feed(item(title="x")).encode("utf-32"),
        feed(item(title="+ADw-script+AD4-alert(1)")).replace('"1.0"', '"1.0" encoding="utf-7"').encode(),
        feed(item(title="é")).replace('"1.0"', '"1.0" encoding="ebcdic-cp-us"').encode("latin-1"),
        feed(item(title="é")).replace('"1.0"', '"1.0" encoding="x-no-such"').encode("latin-1"),
        feed(item(title="é")).replace('"1.0"', '"1.0" encoding="hex"').encode(),
        feed(item(title="é")).replace('"1.0"', '"1.0" encoding="zip"').encode(),
        feed(item(title="a\0b")).encode(),
        b"\0" * MEGABYTE,
        b"\xff\xfe",
        b"\x1f\x8b" + b"\0" * 100,
        feed(item(title="é")).encode("utf-8")[:-30] + b"\xc3",
    ],
    ids=lambda body: repr(body[:60]),
)
def test_bytes_in_no_charset_are_text_or_a_reason(readers, body):
    for kind in (SourceKind.AUTO, SourceKind.FEED, SourceKind.PAGE):
        for content_type in ("", "text/xml; charset=utf-7", "text/html; charset=utf-16", "application/rss+xml"):
            found = outcome(readers, body, kind, content_type)
            if isinstance(found, ReadError):
                assert found.fix
                continue
            for one in candidates(found):
                assert "\0" not in one.title + one.summary
                assert harmless(one.content_html)


# --- markup


_HARMFUL = "script, style, iframe, object, embed, form, input, button, svg, math, base, meta, link, template, noscript, title"


def harmless(markup: str) -> bool:
    """Whether a browser that parses this finds nothing to run, to load from nowhere, or to follow elsewhere than the web."""
    tree = LexborHTMLParser(f"<!DOCTYPE html><body>{markup}")
    if tree.css(_HARMFUL):
        return False
    for name, value in (pair for node in tree.css("*") for pair in node.attributes.items()):
        if name.startswith("on") or name in ("style", "srcdoc", "formaction", "id", "class", "name"):
            return False
        if name in ("href", "src") and not (value or "").startswith(("http://", "https://", "mailto:")):
            return False
    return True


def test_the_tests_own_eye_sees_harm():
    assert not harmless("<img src=x onerror=alert(1)>")
    assert not harmless("<a href='javascript:x'>x</a>")
    assert not harmless("<p><script>x</script>")


@pytest.mark.parametrize("payload", XSS)
def test_no_markup_survives_that_could_run(payload):
    for wrapped in (payload, f"<p>{payload}</p>", f"<table><tr><td>{payload}", f"<a title='{payload}'>x</a>", f"<ul><li>{payload}"):
        once = clean_html(wrapped, URL)
        twice = clean_html(once, URL)
        assert harmless(once), once
        assert harmless(twice), twice
        assert harmless(LexborHTMLParser(f"<div>{once}</div>").body.inner_html)


def test_a_long_address_cannot_make_a_document_of_short_links_large():
    cleaned = clean_html("<a href=x>y</a>" * 20_000, f"https://a.example/{'b' * 1_900}/")
    assert len(cleaned) < 1_000_000
    assert len(LexborHTMLParser(cleaned).css("a[href]")) > 100


@pytest.mark.parametrize("payload", XSS)
def test_titles_kickers_authors_and_categories_are_text(readers, payload):
    escaped = payload.replace("\0", "").replace("&", "&amp;").replace("<", "&lt;")
    more = f"<author>{escaped}</author><category>{escaped}</category>"
    [one] = candidates(read_in(readers, feed(item(escaped, escaped, more)), SourceKind.FEED))
    assert harmless(one.content_html)
    feed_item = make_feed_item(1, title=one.title, summary=one.summary, authors=one.authors, categories=(payload,), kicker=payload)
    page = LexborHTMLParser(digest.render(make_digest([feed_item]), TEXTS).html)
    assert not page.css("script, img, iframe, svg, math, form, [onerror], [onload], [onclick], [href^=javascript], [href^=data]")


# --- a whole digest


TRICKS = (
    "{{ 7 * 191 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{# weg #} bericht",
    "</mj-text><mj-raw><script>alert(1)</script></mj-raw><mj-text>",
    "<mj-include path='/etc/passwd' /> bericht",
    "<mj-text>een</mj-text>",
    "]]><![CDATA[ bericht",
    "&lt;mj-raw&gt; <!-- htmlmin:ignore --> bericht",
    "Titel\r\nBcc: alle@example.org\r\n\r\n<h1>tekst",
    "Titel\nBcc: alle@example.org",
    "Titel\u2028Bcc: alle@example.org\x85X: y",
    "\ufdd0\ufdd1\ufddf bericht",
    "%s %(name)s {0} ${x} bericht",
    "=?utf-8?q?=0D=0ABcc:_alle=40example.org?=",
)


def test_no_title_is_a_template_a_header_or_a_slot(world):
    world.write_feed(source="guard = false")
    world.subscribe("ann@example.org", cadence="daily", time="08:00")
    world.news("Het eerste bericht", "2026-11-01T09:00")
    world.run("2026-11-23T07:00")
    for number, trick in enumerate(TRICKS):
        world.news(trick, f"2026-11-{number + 2:02}T09:00", text=f"{trick} tekst")
    world.run("2026-11-24T09:00")
    mail = world.mails[-1]
    assert not [name for name in mail if name.lower() in ("bcc", "x")]
    assert "\n" not in mail["Subject"]
    html, text = (mail.get_body((kind,)).get_content() for kind in ("html", "plain"))
    page = LexborHTMLParser(html)
    shown = [" ".join(node.text().split()) for node in page.css("h2")]
    assert len(shown) == len(TRICKS) + 1
    assert "{{ 7 * 191 }}" in shown
    assert "1337" not in html + text
    assert "root:" not in html + text
    assert not page.css("script, mj-raw, mj-text, mj-include")
    assert not [char for char in html + text if "\ufdd0" <= char <= "\ufdef"]


@pytest.mark.parametrize("trick", TRICKS)
def test_each_trick_alone_is_shown_as_it_stands(trick):
    variant = digest.render(make_digest([make_feed_item(1, title=trick, summary=trick, kicker=trick)]), TEXTS)
    data = message.splice(variant.data, ANN)
    head = data.partition(b"\r\n\r\n")[0].lower()
    assert b"\nbcc:" not in head
    assert b"\nx:" not in head
    assert not LexborHTMLParser(variant.html).css("script, mj-raw, mj-text")
    assert "1337" not in variant.html + variant.text


# --- a whole collect


def test_good_sources_are_collected_in_the_tick_in_which_bad_ones_are_killed(world, web):
    bad = {
        "traag": ("STALL", "took longer than 1 s to read"),
        "groot": ("GROW", "needs more memory than 64 MB to be read"),
        "stuk": ("CRASH", "was ended by SIGSEGV"),
    }
    world.news("Een bericht", "2026-11-20T09:00")
    for slug, (body, _reason) in bad.items():
        web.serve(f"/{slug}", body)
        world.write_feed(slug, url=web.url(f"/{slug}"), every="1h")
    for number in range(6):
        web.serve(f"/goed{number}", feed(item()), content_type="application/rss+xml")
        world.write_feed(f"goed{number}", url=web.url(f"/goed{number}"))
    with ReaderProcesses(2, seconds=1) as readers:
        engine = world.engine("2026-11-24T08:00")
        engine.site = replace(engine.site, reading=Stubborn(readers))
        collected = {one.feeds[0]: one for one in engine.once().collected}
        assert [slug for slug, one in collected.items() if one.new == 1] == [slug for slug in collected if slug not in bad]
        assert len(collected) == 7 + len(bad)
        for slug, (_body, reason) in bad.items():
            assert reason in collected[slug].problem
        said = sorted(line.what for line in engine.fresh_problems())
        reasons = sorted(bad.items())
        assert len(said) == len(reasons)
        for line, (slug, (_body, reason)) in zip(sorted(said, key=lambda line: line.partition("/")[2]), reasons, strict=True):
            assert f"/{slug}: " in line
            assert reason in line
        assert engine.fresh_problems() == []


class Stubborn:
    """Reads in these processes, where three documents do their worst."""

    def __init__(self, readers: ReaderProcesses) -> None:
        self.readers = readers

    def call(self, function, /, *arguments, about="", **named):
        chosen = "tests.stubborn:survey_or_not" if function == SURVEY else function
        return self.readers.call(chosen, *arguments, about=about, **named)
