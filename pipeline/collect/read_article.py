"""The article behind a teaser: its main text by trafilatura, and what its page says of it.

    bytes ──▶ measured, parsed ──▶ facts ──▶ pruned ──▶ trafilatura ──▶ sanitised ──▶ without title and teasers of others
                  └── a login, a paywall, an error page: ReadError

trafilatura never fetches here, keeps no memory between documents and reads no dates. As it walks a tree many times, in
Python, MAX_TEXT, MAX_TAGS and MAX_DEPTH bound what it is given; MAX_PAGE and MAX_PAGE_TAGS (angle brackets) what is parsed at all.
"""

from __future__ import annotations

import html
import logging
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.article_facts import Facts, ReadText, read_facts
from pipeline.collect.article_region import files_in, picture_in, prune, region_of
from pipeline.collect.dates import languages_for, order_of, read_date
from pipeline.collect.markup import TooComplexError, absolute_url, clean_html, decode, parse, squeeze, to_text
from pipeline.errors import ReadError
from pipeline.models import Article

MAX_PAGE = 3_000_000
MAX_PAGE_TAGS = 40_000
MAX_TEXT = 350_000
MAX_TAGS = 15_000
MAX_DEPTH = 100
_NO_ARTICLES = "Set full_text = false for this source."
_SHORT = 600
_MAX_TITLE = 500
# "404" alone or with what it means; "500 leraren erbij" is news.
_ERROR_TITLE = re.compile(
    r"(?:(?:error|fout|http|oops|oeps)[\s:!-]{0,3})?(?:40[0134]|410|50[0-4])"
    r"(?:[\s:|–-]{0,3}(?:error|fout|not found|niet gevonden|forbidden|bad gateway|service unavailable|internal server error|pagina"
    r"|page"
    r"|seite)\b.{0,60})?"
    r"|(?:(?:oops|oeps)\W{1,3})?(?:(?:de |deze |dit )?(?:opgevraagde )?(?:pagina|artikel|bericht) (?:is )?(?:niet gevonden"
    r"|bestaat niet(?: meer)?|kan niet worden gevonden)|niet gevonden|(?:page |article )?not found|page (?:does not|doesn.t) exist"
    r"|(?:die )?seite (?:wurde )?nicht gefunden|page (?:introuvable|non trouvée)|access denied|just a moment|attention required)"
    r"\W{0,3}(?:[|–—:-] .{0,80})?",
    re.IGNORECASE,
)
# For text in lower case: much faster than to ignore case.
_WALL = re.compile(
    r"(?<!\w)(?:log in|inloggen|meld je aan om|neem een abonnement|word (?:abonnee|lid)|alleen voor (?:abonnees|leden)"
    r"|exclusief voor (?:abonnees|leden)|subscribe (?:to|now)|subscribers only|sign in to|members only|jetzt abonnieren"
    r"|nur für abonnenten|anmelden,? um|réservé aux abonnés|abonnez-vous|beveiligd.{0,40}wachtwoord|password.protected)",
)
_HEAD = re.compile(r"\s*+<(?P<tag>h[1-6]|p|div)>(?P<text>[^<]{1,600}+)</(?P=tag)>", re.IGNORECASE)
_LEADS = "[class*=intro],[class*=lead],[class*=inleiding],[class*=standfirst],[class*=samenvatting],[itemprop=description]"


def read_article(body: bytes, *, url: str, content_type: str, language: str, zone: str, now: datetime, teaser: str = "") -> Article:
    """What the page at ``url`` (its final address) tells beyond the ``teaser``; a text that is shorter than it is not taken.

    ``language`` and ``zone`` are the source's. Raises ReadError with a fix for what is no article (an error page, a login,
    a paywall, no text), for a page beyond the limits, and where the extra ``fulltext`` is not installed.
    """
    library = _trafilatura(url)
    tree = _tree(decode(body, content_type), url)
    base = _base(tree, url)
    facts = read_facts(tree, region_of(tree), url, base, _date_reader(tree, language, zone, now))
    _refuse_other_pages(tree, facts, url)
    if not prune(tree, MAX_DEPTH):
        raise ReadError(url, f"is an article nested more than {MAX_DEPTH} elements deep", fix=_NO_ARTICLES)
    region = region_of(tree)
    text = _main_text(library, tree, region, facts, base, url)
    plain = to_text(text)
    _refuse_walls(plain, facts, url)
    short = len(plain) < len(squeeze(teaser))
    remark = f"the text found ({len(plain)} characters) is shorter than the teaser and was not taken"
    return Article(
        url=facts.canonical,
        title=facts.title,
        content_html="" if short else text,
        image=facts.image or (picture_in(region, base) if region is not None else None),
        authors=facts.authors,
        published=facts.published,
        modified=facts.modified,
        language=facts.language,
        attachments=tuple(files_in(region, base)) if region is not None else (),
        remarks=(remark,) if short else (),
    )


def _trafilatura(url: str) -> Any:
    """The module, silenced: it logs every page that it cannot read, and those are errors of ours already."""
    try:
        import trafilatura
    except ImportError:
        fix = 'Install it (pip install "gazet[fulltext]"), or set full_text = false.'
        raise ReadError(url, "the article needs trafilatura, which is not installed", fix=fix) from None
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL + 1)
    return trafilatura


def _tree(text: str, url: str) -> LexborHTMLParser:
    if len(text) > MAX_PAGE or text.count("<") > MAX_PAGE_TAGS:
        raise ReadError(url, f"is a page of more than {MAX_PAGE:,} characters or {MAX_PAGE_TAGS:,} tags", fix=_NO_ARTICLES)
    try:
        return parse(text)
    except TooComplexError as error:
        raise ReadError(url, f"is a page that {error}", fix=_NO_ARTICLES) from None


def _base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    return absolute_url((node.attrs.get("href") or "") if node else "", url) or url


def _date_reader(tree: LexborHTMLParser, language: str, zone: str, now: datetime) -> ReadText:
    root = tree.css_first("html")
    languages = languages_for(language or squeeze((root.attrs.get("lang") or "") if root else "")[:20])
    order = order_of(squeeze(node.text())[:300] for node in tree.css("time,[class*=date],[class*=datum]")[:50])
    return lambda text: read_date(text, languages=languages, zone=zone, now=now, order=order)


def _refuse_other_pages(tree: LexborHTMLParser, facts: Facts, url: str) -> None:
    title = tree.css_first("title")
    names = (tree.body.attrs.get("class") or "").split() if tree.body is not None else []
    told = (facts.title, squeeze(title.text())[:200] if title else "")
    if "error404" in names or any(_ERROR_TITLE.fullmatch(text[:200]) for text in told):
        raise ReadError(url, f'is an error page ("{told[0][:60]}")', fix="Look at the address in a browser.")
    parts = urlsplit(url)
    if not parts.path.strip("/") and not parts.query:
        raise ReadError(url, "leads to the front page of the site", fix="Look whether the article still exists.")
    if tree.css_first("main input[type=password],article input[type=password]") is not None:
        raise ReadError(url, "asks for a password", fix=_NO_ARTICLES)


def _refuse_walls(plain: str, facts: Facts, url: str) -> None:
    """A short text that asks to log in or to subscribe is no article, however politely it begins."""
    if facts.paid:
        raise ReadError(url, "is behind a paywall, as the page itself says", fix=_NO_ARTICLES)
    if len(plain) < _SHORT and (wall := _WALL.search(plain.lower())):
        raise ReadError(url, f'shows a login or a paywall instead of the article ("{wall[0][:40]}")', fix=_NO_ARTICLES)
    if len(plain) < 20:
        raise ReadError(url, "holds no text of an article", fix="Look at the address in a browser; it may need JavaScript.")


def _main_text(library: Any, tree: LexborHTMLParser, region: LexborNode | None, facts: Facts, base: str, url: str) -> str:
    """The text that trafilatura finds, or all of the article's element where it finds none; with a lead that was dropped."""
    pruned = tree.html or ""
    if len(pruned) > MAX_TEXT or pruned.count("<") > MAX_TAGS:
        raise ReadError(url, f"is an article of more than {MAX_TEXT:,} characters or {MAX_TAGS:,} tags", fix=_NO_ARTICLES)
    text = clean_html(_extracted(library, pruned), base)
    if not text and region is not None:
        text = clean_html(region.html or "", base)
    return _without_title(_with_lead(text, tree, region), facts.title)


def _extracted(library: Any, page: str) -> str:
    """Comments, metadata and duplicates are off: the last two would read the clock, and remember other documents."""
    try:
        found = library.extract(
            page,
            output_format="html",
            include_comments=False,
            include_formatting=True,
            include_images=True,
            include_links=True,
            include_tables=True,
            deduplicate=False,
            with_metadata=False,
        )
    except Exception:  # lxml and trafilatura raise whatever their input leads them to; the region's own markup is left
        return ""
    finally:
        # These keep the last 1,024 lines, of any length: 200 MB after thirty large pages (measured with 2.3).
        for cached in (library.utils.trim, library.utils.line_processing):
            getattr(cached, "cache_clear", int)()
    return found if isinstance(found, str) else ""


def _with_lead(text: str, tree: LexborHTMLParser, region: LexborNode | None) -> str:
    """A lead that stands with the title, before the article's element, is lost on trafilatura."""
    heading = tree.css_first("h1")
    places = [place for place in (heading.parent if heading is not None else None, region) if place is not None]
    leads = (squeeze(node.text()) for place in places for node in place.css(_LEADS)[:5])
    lead = next((words for words in leads if 40 <= len(words) <= 1500), "")
    if not lead or lead[:40] in to_text(text):
        return text
    return f"<p>{html.escape(lead, quote=False)}</p>\n{text}"


def _without_title(text: str, title: str) -> str:
    """The title is shown above the text already."""
    head = _HEAD.match(text)
    if head is not None and _same(to_text(head["text"]), title):
        return text[head.end() :].lstrip()
    return text


def _same(one: str, other: str) -> bool:
    left, right = (re.sub(r"\W+", "", text[:_MAX_TITLE]).casefold() for text in (one, other))
    return bool(left) and left == right
