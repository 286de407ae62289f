"""Parsed items become candidates: absolute addresses, identities, plain and sanitised text, clean teasers, a content hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit

from pipeline.collect.dates import EARLIEST, is_plausible, is_steady
from pipeline.collect.lasting import lasting, lasting_address, lasting_html
from pipeline.collect.markup import absolute_url, clean_html, squeeze, to_text
from pipeline.collect.phrases import READ_MORE_AT_END
from pipeline.models import Attachment, CandidateItem, Image, ParsedItem, ParsedSource, Precision, ReadDate

MAX_TITLE = 500
MAX_SUMMARY = 1_000
_MAX_KEY = 500
_MAX_FILES = 20
_CLOCK_SKEW = timedelta(minutes=15)
_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|dclid|msclkid|yclid|mc_[ce]id|_hsenc|_hsmi|igshid|mkt_tok|ref_src|wt_mc", re.IGNORECASE
)
_AMP_PARAMETER = re.compile(r"amp(?:=(?:1|true|amp)?)?|outputtype=amp", re.IGNORECASE)
_SAME_HOST = re.compile(r"(?:www\d?|m|mobile|amp)\.(?=[^.]+\.[^.])")
_INDEX = re.compile(r"/(?:index|default)\.(?:html?|php|aspx?|jsp|cfm)\Z", re.IGNORECASE)
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_CUT = re.compile(r"(?<!\s)\s*+(?:\[\s*+(?:…|\.{3}|&hellip;|&#8230;)\s*+\]|…|(?<!\.)\.{3,}+|\(\s*+(?:…|\.{3})\s*+\))\s*+$")
_MAX_ENDINGS = 5
_NO_TEASER = re.compile(
    r"Er is geen samenvatting omdat dit .{0,40}beveiligd.{0,20}|There is no excerpt because this is a protected post\."
    r"|Es gibt keinen Textauszug, da dies ein geschützter Beitrag ist\.|Il n.y a pas d.extrait.{0,60}protég.{0,20}",
    re.IGNORECASE,
)


def normalise(
    parsed: ParsedSource,
    *,
    base_url: str,
    language: str,
    now: datetime,
) -> tuple[tuple[CandidateItem, ...], tuple[str, ...]]:
    """Candidates in document order, and a remark for each thing that was left out.

    ``base_url`` is the document's final address; ``language`` is used where neither item nor document names one.
    Entries that share an identity are one item: the first wins.
    """
    remarks: list[str] = []
    tongue = language or parsed.language
    candidates: list[CandidateItem] = []
    for number, item in enumerate(parsed.items, 1):
        candidate = _candidate(item, base_url, tongue, now, remarks)
        if candidate is None:
            remarks.append(f'entry {number} "{squeeze(item.title)[:60]}" has neither an address nor a guid')
        else:
            candidates.append(candidate)
    kept = tuple(_distinct(candidates))
    titles = {candidate.title for candidate in kept}
    lost = [candidate.title[:60] for candidate in candidates if candidate.title not in titles]
    remarks.extend(f'"{title}" has the guid or address of another entry and was left out' for title in lost)
    return kept, tuple(dict.fromkeys(remarks))


def _distinct(candidates: Sequence[CandidateItem]) -> Iterator[CandidateItem]:
    """One candidate an identity; a key that entries with different titles share identifies none of them.

    That is: a guid with different addresses, an address with different guids, one of two spellings that differ after all
    (then each spelling is an address). A title names nothing where two entries of a day have it.
    """
    titles: dict[str, set[str]] = {}
    for candidate in candidates:
        for key in candidate.keys:
            titles.setdefault(key, set()).add(candidate.title)
    shared = {key for key, found in titles.items() if len(found) > 1}
    told = [_without(candidate, shared, candidates) for candidate in candidates] if shared else list(candidates)
    seen: set[str] = set()
    kept = []
    for candidate in told:
        if seen.isdisjoint(candidate.keys):
            seen.update(candidate.keys)
            kept.append(candidate)
    twice = {key for key, count in Counter(candidate.title_key for candidate in kept).items() if count > 1}
    for candidate in kept:
        yield replace(candidate, title_key="") if candidate.title_key in twice else candidate


def _without(candidate: CandidateItem, shared: set[str], candidates: Sequence[CandidateItem]) -> CandidateItem:
    keys = candidate.keys
    if len(keys) == 2 and keys[0] in shared:
        addresses = {one.keys[-1] for one in candidates if one.keys[0] == keys[0]}
        keys = keys[1:] if len(addresses) > 1 else keys
    if keys[-1] in shared and keys[-1].startswith("url:"):
        spellings = {exact_key(one.url) for one in candidates if one.keys[-1] == keys[-1]}
        if len(spellings) > 1:
            keys = (*keys[:-1], _bounded(exact_key(candidate.url)))
        elif len(keys) == 2:
            keys = keys[:1]
    return replace(candidate, keys=keys, former_keys=()) if keys != candidate.keys else candidate


def url_key(url: str) -> str:
    """The identity of an address, the same for all that lead to one page; empty for an empty URL.

    Without scheme, default port, fragment (unless it is the address, as in "#!/a"), tracking parameters, trailing slash and
    index.html; www., mobile and AMP addresses are those of the page itself; parameters in order, percent-encoding in one
    spelling (RFC 3986 section 6.2.2). Case counts in path and query, as it does on servers.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    host = _SAME_HOST.sub("", (parts.hostname or "").rstrip("."), count=1)
    kept = sorted(pair for pair in _kept(parts) if not _AMP_PARAMETER.fullmatch(pair)) if parts.query else []
    query = f"?{'&'.join(kept)}" if kept else ""
    fragment = f"#{parts.fragment}" if parts.fragment[:1] in ("!", "/") else ""
    address = f"{_path(parts.path)}{query}{fragment}"
    return f"url:{host}{_port(parts)}{_PERCENT.sub(_decoded, address) if '%' in address else address}"


def exact_key(url: str) -> str:
    """The identity of an address as it is spelled, but for scheme, fragment, port, trailing slash and tracking parameters.

    Earlier versions knew items by it.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    query = "&".join(_kept(parts))
    return f"url:{(parts.hostname or '').rstrip('.')}{_port(parts)}{parts.path.rstrip('/')}{'?' if query else ''}{query}"


def _kept(parts: SplitResult) -> list[str]:
    return [pair for pair in parts.query.split("&") if pair and not _TRACKING.fullmatch(pair.partition("=")[0])]


def _port(parts: SplitResult) -> str:
    return f":{parts.port}" if parts.port not in (None, 80, 443) else ""


def _path(path: str) -> str:
    """Never shorter than one segment for AMP's sake: a page about "amp" is no home page."""
    bare = _INDEX.sub("", path.rstrip("/")).rstrip("/")
    folded = bare.lower()
    if folded.endswith((".amp.html", ".amp.htm", ".amp")):
        at = folded.rindex(".amp")
        bare = bare[:at] + bare[at + 4 :]
    elif folded.endswith("/amp") and len(bare) > 4:
        bare = bare[:-4].rstrip("/")
    elif folded.startswith("/amp/"):
        bare = bare[4:]
    return bare


def _decoded(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _title_key(title: str, published: ReadDate | None) -> str:
    """Title and day (UTC); no day where the date moves with each reading. Empty for a title that says too little."""
    folded = title.casefold()
    if len(folded) < 12 or " " not in folded:
        return ""
    day = f"{published.at:%Y-%m-%d}" if published is not None and published.rule != "relative" else ""
    return f"title:{day}:{hashlib.sha256(folded.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _bounded(key: str) -> str:
    """An identity that fits into a row of any database's index; a longer one is named by its hash."""
    data = key.encode("utf-8", "replace")
    return key if len(data) <= _MAX_KEY else f"{key.partition(':')[0]}:sha256:{hashlib.sha256(data).hexdigest()}"


def clean_teaser(text: str) -> str:
    """A teaser without "[…]" and "Lees meer": it ends as a sentence, or with "…" where it was cut inside one.

    WordPress's notice that a protected post has no excerpt is no teaser.
    """
    value = squeeze(text)
    if _NO_TEASER.fullmatch(value):
        return ""
    bare = value
    for _ending in range(_MAX_ENDINGS):
        before, bare = bare, _CUT.sub("", READ_MORE_AT_END.sub("", bare))
        if bare == before:
            break
    was_cut = _CUT.search(READ_MORE_AT_END.sub("", value)) is not None
    if was_cut and bare and bare[-1] not in ".!?\"”’'":
        return bare.rstrip(" ,;:–-") + "…"
    return bare


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters, cut at a word and marked with "…"."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    at_word = head if text[limit - 1] == " " else head.rpartition(" ")[0] or head
    return at_word.rstrip(" ,;:.–-") + "…"


def _candidate(item: ParsedItem, base_url: str, language: str, now: datetime, remarks: list[str]) -> CandidateItem | None:
    url = absolute_url(item.url, base_url)
    guid = squeeze(item.guid)
    address, former = url_key(url), exact_key(url)
    keys = tuple(_bounded(key) for key in (f"guid:{guid}" if guid else "", address) if key)
    if not keys:
        return None
    content = clean_html(item.content_html, base_url) if item.content_html else ""
    summary = _summary(item, content)
    title = shorten(squeeze(item.title), MAX_TITLE) or shorten(summary, 80) or url or shorten(guid, MAX_TITLE)
    (published, doubt), (updated, other) = (_believed(date, now) for date in (item.published, item.updated))
    remarks.extend(f'"{title[:60]}": {why}' for why in (doubt, other) if why)
    candidate = CandidateItem(
        keys=keys,
        url=url,
        title=title,
        kicker=shorten(squeeze(item.kicker), 80),
        summary=summary,
        content_html=content or _as_content(item, base_url),
        published=published,
        updated=updated,
        authors=_names(item.authors),
        categories=_names(item.categories),
        image=_image(item.image, base_url),
        attachments=tuple(_attachments(item.attachments, base_url))[:_MAX_FILES],
        language=squeeze(item.language or language)[:35],
        content_hash="",
        doubt=doubt,
        title_key=_title_key(title, published),
        former_keys=(_bounded(former),) if former != address and "#" not in address else (),
    )
    return replace(candidate, content_hash=_hash(candidate, item.published))


def _summary(item: ParsedItem, content: str) -> str:
    text = squeeze(item.summary) or to_text(item.summary_html) or to_text(content)
    return clean_teaser(text) if len(text) <= MAX_SUMMARY else shorten(text, MAX_SUMMARY)


def _as_content(item: ParsedItem, base_url: str) -> str:
    """A description that is longer than a teaser, or holds markup, is what the source gives of the article."""
    if not item.summary_html or ("<" not in item.summary_html and len(item.summary_html) <= MAX_SUMMARY):
        return ""
    return clean_html(item.summary_html, base_url)


def _believed(date: ReadDate | None, now: datetime) -> tuple[ReadDate | None, str]:
    """The date that counts, and the doubt about what the source says.

    A moment some hours ahead is a mistake of zones: it counts from now, or it would stand above all news until then. The
    noon of a date without a time may lie ahead for half a day (13 hours when the clocks change, and an hour of slack).
    """
    if date is None:
        return None, ""
    told = replace(date, text=squeeze(date.text))
    if not is_plausible(date, now):
        where = "is before 1990" if date.at < EARLIEST else "lies in the future"
        return None, f'the date "{told.text[:40]}" {where}'
    slack = timedelta(hours=14) if date.precision is Precision.DAY else timedelta()
    if date.at <= now + slack:
        return told, ""
    clear = date.at > now + slack + _CLOCK_SKEW
    return replace(told, at=now), f'the date "{told.text[:40]}" lies ahead and counts from now' if clear else ""


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for raw in names if (name := shorten(squeeze(raw), 100))))[:50]


def _image(image: Image | None, base_url: str) -> Image | None:
    address = absolute_url(image.url, base_url) if image is not None else ""
    return replace(image, url=address, alt=shorten(squeeze(image.alt), 300)) if image is not None and address else None


def _attachments(attachments: tuple[Attachment, ...], base_url: str) -> Iterator[Attachment]:
    for item in attachments:
        if address := absolute_url(item.url, base_url):
            media = item.media_type if re.fullmatch(r"[\w.+-]{1,60}/[\w.+-]{1,60}", item.media_type, re.ASCII) else ""
            yield Attachment(address, media, max(0, item.length), shorten(squeeze(item.title), 200))


def _hash(item: CandidateItem, stated: ReadDate | None) -> str:
    """SHA-256 over what a reader sees, but for what moves by itself ("2 uur geleden", counters, rotating pictures).

    Of the date it takes what the source states and not what is believed of it, which changes as time goes by.
    """
    texts = [lasting(item.title), lasting(item.kicker), lasting(item.summary), lasting_html(item.content_html), url_key(item.url)]
    files = [lasting_address(item.image.url) if item.image else "", [lasting_address(one.url) for one in item.attachments]]
    date = stated.at.isoformat() if stated is not None and is_steady(stated) else ""
    return _digest([*texts, date, item.authors, item.categories, *files, item.language])


def former_hash(item: CandidateItem) -> str:
    """The content hash of the same as earlier versions made it: a new version of Gazet is no update of an item."""
    texts = [item.title, item.kicker, item.summary, item.content_html, exact_key(item.url)]
    files = [item.image.url if item.image else "", [attachment.url for attachment in item.attachments]]
    dated = item.published is not None and item.published.rule != "relative"
    date = item.published.at.isoformat() if item.published is not None and dated else ""
    return _digest([*texts, date, item.authors, item.categories, *files, item.language])


def _digest(visible: list[object]) -> str:
    return hashlib.sha256(json.dumps(visible, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()
