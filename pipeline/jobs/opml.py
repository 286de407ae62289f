"""Lists of feeds as OPML 1.0 and 2.0: a reader's export becomes feeds here, and what is read and published here a list.

    bytes ──read_opml──▶ Opml ──plan──▶ ImportPlan (which files the command writes)
    settings ──sources_of, published_of──▶ Opml ──write_opml──▶ bytes

Nothing is fetched. A list is as foreign as any page: a document type, and with it every entity, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree
from xml.parsers import expat

from pydantic import ValidationError

from pipeline.config import Settings, SourceSettings
from pipeline.errors import ReadError
from pipeline.models import SourceKind
from pipeline.shown import one_line, shorten

MAX_BYTES = 5_000_000
_MAX_DEPTH = 100
_MAX_OUTLINES = 5_000
_LONGEST_TITLE = 200
_FIX = 'Export the list again in your reader ("OPML"); an & in an address is written as &amp; there.'
_IMPORTED = "Imported"
_ENCODINGS = re.compile(r"utf-8|utf-16(?:[bl]e)?|us-ascii|iso-8859-(?:[1-9]|1[013-6])|windows-125[0-8]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outline:
    """One source of a list. ``page`` True: a page to read, not a feed (``type="link"``, OPML 2.0); ``home`` its htmlUrl."""

    url: str
    title: str = ""
    home: str = ""
    page: bool = False


@dataclass(frozen=True, slots=True)
class Folder:
    """The sources in a folder of the top level, those of folders inside it too; no title: those in no folder."""

    title: str
    outlines: tuple[Outline, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not taken over and why. ``fault``: a person must look; else it is there already."""

    title: str
    url: str
    reason: str
    fault: bool = True


@dataclass(frozen=True, slots=True)
class Opml:
    """A list as read or to be written."""

    title: str
    folders: tuple[Folder, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class NewFeed:
    """A file to write: each source with what the list calls it."""

    slug: str
    title: str
    sources: tuple[tuple[SourceSettings, str], ...]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would write, and what it leaves out."""

    feeds: tuple[NewFeed, ...]
    left_out: tuple[LeftOut, ...]


def read_opml(data: bytes, name: str) -> Opml:
    """The sources of a list in their order. ``name`` is what errors call the file. Raises ReadError."""
    if len(data) > MAX_BYTES:
        raise ReadError(name, f"is larger than {MAX_BYTES:,} bytes", fix="Split it.")
    reader = _Reader(name)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = f"is not XML: line {error.lineno}: {expat.ErrorString(error.code)}"
        raise ReadError(name, reason, fix=_FIX) from None
    return Opml(reader.title, reader.folders(), tuple(reader.left_out))


@dataclass(slots=True)
class _Open:
    """An outline whose end has not come: ``folder`` collects the sources below it."""

    title: str
    has_url: bool
    folder: list[Outline]
    has_children: bool = False


class _Reader:
    """Follows a list element by element; names of elements and attributes in any case, as programs write them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.title = ""
        self.left_out: list[LeftOut] = []
        self._loose: list[Outline] = []
        self._folders: list[tuple[str, list[Outline]]] = []
        self._path: list[str] = []
        self._open: list[_Open] = []
        self._outlines = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def folders(self) -> tuple[Folder, ...]:
        """The folders with something in them, in their order, and last what is in none."""
        found = [Folder(title, tuple(outlines)) for title, outlines in [*self._folders, ("", self._loose)]]
        return tuple(folder for folder in found if folder.outlines)

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        """Python would try any codec of its own for a name that expat does not know, those for escapes among them."""
        if encoding and not _ENCODINGS.fullmatch(encoding):
            fix = 'Save it as UTF-8, with encoding="UTF-8" in its first line.'
            raise ReadError(self.name, f'is in an encoding that is not read here ("{encoding[:40]}")', fix=fix)

    def _refuse(self, *_declaration: object) -> None:
        raise ReadError(self.name, "declares a document type, which no list of feeds needs", fix="Remove its <!DOCTYPE …>.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2].lower()
        if not self._path and name != "opml":
            raise ReadError(self.name, f"is XML, but not OPML: it begins with <{name[:40]}>", fix=_FIX)
        if len(self._path) >= _MAX_DEPTH:
            raise ReadError(self.name, f"is nested more than {_MAX_DEPTH} deep")
        self._path.append(name)
        if name == "outline":
            self._outline({key.lower(): value for key, value in attributes.items()})

    def _outline(self, given: Mapping[str, str]) -> None:
        self._outlines += 1
        if self._outlines > _MAX_OUTLINES:
            raise ReadError(self.name, f"holds more than {_MAX_OUTLINES:,} outlines", fix="Split it.")
        title = shorten(one_line(given.get("title") or given.get("text") or ""), _LONGEST_TITLE)
        url = (given.get("xmlurl") or "").strip()
        page = not url and given.get("type", "").lower() == "link"
        url = url or (given.get("url", "").strip() if page else "")
        if self._open:
            self._open[-1].has_children = True
            folder = self._open[-1].folder
        elif url:
            folder = self._loose
        else:
            self._folders.append((title, folder := []))
        if url and given.get("iscomment", "").lower() == "true":
            self.left_out.append(LeftOut(title, url, "is marked as a comment", fault=False))
        elif url:
            folder.append(Outline(url, title, given.get("htmlurl", "").strip(), page))
        self._open.append(_Open(title, bool(url), folder))

    def _end(self, _name: str) -> None:
        if self._path.pop() != "outline":
            return
        ended = self._open.pop()
        if not ended.has_url and not ended.has_children:
            self.left_out.append(LeftOut(ended.title, "", "has no address of a feed (xmlUrl)"))

    def _text(self, data: str) -> None:
        if self._path[-2:] == ["head", "title"]:
            self.title = shorten(one_line(self.title + data), _LONGEST_TITLE)


def plan(settings: Settings, folders: Sequence[Folder], *, base: Callable[[str, str], str], taken: Iterable[str]) -> ImportPlan:
    """A feed for each folder, with what no feed of its name reads yet.

    ``base`` makes a slug of a title and an address; ``taken`` are the slugs that no new feed can have.
    """
    planning = _Planning(settings, base, set(taken))
    for folder in folders:
        planning.add(folder.title, folder.outlines)
    return planning.result()


def plan_one(settings: Settings, folders: Sequence[Folder], slug: str, title: str) -> ImportPlan:
    """One feed of everything, with a name that is free."""
    planning = _Planning(settings, lambda _title, _url: slug, set())
    planning.make(title, planning.sources([outline for folder in folders for outline in folder.outlines], set()))
    return planning.result()


def singly(folders: Sequence[Folder]) -> list[Folder]:
    """A folder for each source, named like it, or like its host; an address that is in several folders comes once."""
    outlines: dict[str, Outline] = {}
    for outline in (outline for folder in folders for outline in folder.outlines):
        outlines.setdefault(outline.url, outline)
    return [Folder(outline.title or _host(outline.url), (outline,)) for outline in outlines.values()]


def named(folders: Sequence[Folder], title: str) -> list[Folder]:
    """The folders, those without a title called like the whole list."""
    return [folder if folder.title else Folder(title or _IMPORTED, folder.outlines) for folder in folders]


@dataclass(slots=True)
class _Planning:
    settings: Settings
    base: Callable[[str, str], str]
    taken: set[str]
    feeds: list[NewFeed] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def result(self) -> ImportPlan:
        return ImportPlan(tuple(self.feeds), tuple(self.left_out))

    def add(self, title: str, outlines: Sequence[Outline]) -> None:
        """A feed of these sources, if any of them is new to the feeds of that name."""
        name = self.base(title, outlines[0].url)
        self.make(title, self.sources(outlines, self._read_already(title, name)))

    def make(self, title: str, sources: tuple[tuple[SourceSettings, str], ...]) -> None:
        if not sources:
            return
        name = self.base(title, sources[0][0].url)
        slug, number = name, 1
        while slug in self.taken:
            slug, number = f"{name}-{number + 1}", number + 1
        self.taken.add(slug)
        self.feeds.append(NewFeed(slug, title, sources))

    def sources(self, outlines: Sequence[Outline], has: set[str]) -> tuple[tuple[SourceSettings, str], ...]:
        """Those that are new, each once, and as their settings."""
        found: dict[str, tuple[SourceSettings, str]] = {}
        for outline in outlines:
            if outline.url in found:
                self._leave(outline, "is there twice", fault=False)
            elif has & {outline.url, outline.home}:
                self._leave(outline, "a feed of that name reads it already", fault=False)
            elif (source := self._source(outline)) is not None:
                found[outline.url] = (source, outline.title)
        return tuple(found.values())

    def _read_already(self, title: str, name: str) -> set[str]:
        """All that is read by feeds with this title, or with this name, also with a number behind it."""
        like = re.compile(rf"{re.escape(name)}(?:-[0-9]+)?")
        feeds = self.settings.feeds.values()
        same = (feed for feed in feeds if like.fullmatch(feed.slug) or feed.title.casefold() == title.casefold())
        return {source.url for feed in same for source in feed.source}

    def _source(self, outline: Outline) -> SourceSettings | None:
        """Read as a feed that names it already reads it: one address is read in one way."""
        known = (source for feed in self.settings.feeds.values() for source in feed.source if source.url == outline.url)
        try:
            return next(known, None) or SourceSettings(url=outline.url)
        except ValidationError as error:
            self._leave(outline, str(error.errors()[0].get("ctx", {}).get("error", "is no address that can be read")))
            return None

    def _leave(self, outline: Outline, reason: str, *, fault: bool = True) -> None:
        before, at, host = outline.url.rpartition("@")
        shown = f"{before.partition('://')[0]}://…@{host}" if at and "://" in before else outline.url
        self.left_out.append(LeftOut(outline.title, shown, reason, fault))


def sources_of(settings: Settings, ways: Mapping[str, tuple[SourceKind, str]]) -> Opml:
    """All sources, a folder for each feed. ``ways``: how, and at which address, a source with ``kind = "auto"`` is read."""
    folders = []
    for feed in settings.feeds.values():
        title = feed.title if len(feed.source) == 1 else ""
        folders.append(Folder(feed.title, tuple(_outline(source, ways.get(source.url), title) for source in feed.source)))
    return Opml(settings.site.title, tuple(folders))


def _outline(source: SourceSettings, way: tuple[SourceKind, str] | None, title: str) -> Outline:
    """A feed by its own address, with the page that leads to it as its home; anything else as a page."""
    kind, url = way if way and source.kind is SourceKind.AUTO else (source.kind, source.url)
    title = title or urlsplit(source.url)._replace(scheme="", query="", fragment="").geturl().strip("/")
    if kind not in (SourceKind.AUTO, SourceKind.FEED):
        return Outline(source.url, title, source.url, page=True)
    return Outline(url or source.url, title, source.url if url not in ("", source.url) else _site_of(url))


def published_of(settings: Settings) -> Opml:
    """The feeds that are published here, in no folder."""
    where = f"{settings.site.url}/feeds/"
    feeds = settings.feeds.values()
    outlines = (Outline(f"{where}{feed.slug}.rss", feed.title, f"{where}{feed.slug}.html") for feed in feeds)
    return Opml(settings.site.title, (Folder("", tuple(outlines)),))


def write_opml(document: Opml) -> bytes:
    """The list as OPML 2.0, UTF-8; the same list gives the same bytes."""
    root = ElementTree.Element("opml", version="2.0")
    ElementTree.SubElement(ElementTree.SubElement(root, "head"), "title").text = one_line(document.title)
    body = ElementTree.SubElement(root, "body")
    for folder in document.folders:
        title = one_line(folder.title)
        place = ElementTree.SubElement(body, "outline", text=title, title=title) if title else body
        for outline in folder.outlines:
            ElementTree.SubElement(place, "outline", _attributes(outline))
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _attributes(outline: Outline) -> dict[str, str]:
    title = one_line(outline.title) or outline.url
    kind, key = ("link", "url") if outline.page else ("rss", "xmlUrl")
    given = {"text": title, "title": title, "type": kind, key: outline.url, "htmlUrl": outline.home}
    return {name: _writable(value) for name, value in given.items() if value}


def _writable(text: str) -> str:
    """Without characters that XML 1.0 forbids: in a title there are none by now, in an address they are written as %xx."""
    return text if text.isprintable() else "".join(char if char.isprintable() else quote(char, safe="") for char in text)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or _IMPORTED
    except ValueError:
        return _IMPORTED


def _site_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"
