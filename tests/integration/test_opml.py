"""``gazet opml``: a reader's list becomes feeds, all or none and over nothing; what is read here becomes a list again."""

from __future__ import annotations

import contextlib
import io
import sys
from datetime import date
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.cli import add, asking
from pipeline.config import Settings
from pipeline.errors import ConfigError, ReadError
from pipeline.jobs import opml
from pipeline.models import SourceKind
from pipeline.shown import one_line
from tests.integration.command import Ended, gazet

SITE = '[site]\ntitle = "Nieuws"\nurl = "https://nieuws.example.org"\ncontact = "a@example.org"\n'
LIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<opml version="1.0">
  <head><title>Mijn feeds</title></head>
  <body>
    <outline text="Onderwijs" title="Onderwijs &amp; opleiding">
      <outline type="rss" text="PO" xmlUrl="https://po.example/feed?a=1&amp;b=2" htmlUrl="https://po.example/"/>
      <outline text="Regio">
        <outline type="rss" text="Leiden" XMLURL=" https://leiden.example/rss "/>
        <outline type="rss" text="PO weer" xmlUrl="https://po.example/feed?a=1&amp;b=2"/>
      </outline>
      <outline text="Zonder adres" htmlUrl="https://weg.example/"/>
      <outline text="Met wachtwoord" xmlUrl="https://ann:geheim@x.example/"/>
      <outline text="Oud" xmlUrl="feed://oud.example/rss"/>
    </outline>
    <outline type="rss" text="Los" xmlUrl="https://los.example/atom.xml"/>
    <outline type="link" text="Een pagina" url="https://pagina.example/nieuws/"/>
    <outline text="Leeg"/>
  </body>
</opml>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site/feeds").mkdir(parents=True)
    (tmp_path / "site/gazet.toml").write_text(SITE, encoding="utf-8")
    return tmp_path / "site"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mijn.opml"
    path.write_text(LIST, encoding="utf-8")
    return path


def listing(*outlines: tuple[str, str], head: str = "Lijst") -> str:
    """A list with a folder "Regio" of these titles and addresses."""
    inner = "".join(f'<outline text="{title}" xmlUrl="{url}"/>' for title, url in outlines)
    return f'<opml version="2.0"><head><title>{head}</title></head><body><outline text="Regio">{inner}</outline></body></opml>'


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "feeds").iterdir())


def read(folder: Path) -> dict[str, tuple[str, list[str]]]:
    feeds = config.load(folder).feeds.values()
    return {feed.slug: (feed.title, [source.url for source in feed.source]) for feed in feeds}


def refused(ended: Ended, code: int, *parts: str) -> None:
    assert (ended.code, len(ended.faults)) == (code, 1), ended
    assert [part for part in parts if part not in ended.err] == []


PO, LEIDEN = "https://po.example/feed?a=1&b=2", "https://leiden.example/rss"
LOS, PAGINA = "https://los.example/atom.xml", "https://pagina.example/nieuws/"


def test_each_folder_becomes_a_feed_and_what_is_left_out_is_said_with_its_reason(folder: Path, mine: Path) -> None:
    done = gazet("opml", "import", mine, "--yes", site=folder)
    assert done.code == 1, done
    assert read(folder) == {
        "onderwijs-opleiding": ("Onderwijs & opleiding", [PO, LEIDEN]),
        "mijn-feeds": ("Mijn feeds", [LOS, PAGINA]),
    }
    assert done.err.splitlines() == [
        "left out: Zonder adres: has no address of a feed (xmlUrl)",
        "left out: Leeg: has no address of a feed (xmlUrl)",
        "left out: Met wachtwoord https://…@x.example/: a URL with a user name or password in it is not accepted",
        'left out: Oud feed://oud.example/rss: "feed://oud.example/rss" is not an http or https URL',
    ]
    assert f"left out: PO weer {PO}: is there twice" in done.out
    assert f"feeds/onderwijs-opleiding.toml  Onderwijs & opleiding  (2 sources)\n    {PO}  PO\n" in done.out
    assert "wrote 2 files" in done.out
    assert f'url = "{LEIDEN}"  # Leiden' in (folder / "feeds/onderwijs-opleiding.toml").read_text(encoding="utf-8")


def test_a_second_import_writes_only_what_is_new_beside_what_is_there(folder: Path, mine: Path) -> None:
    gazet("opml", "import", mine, "--yes", site=folder)
    before = {name: (folder / "feeds" / name).read_bytes() for name in files(folder)}
    again = gazet("opml", "import", mine, "--yes", site=folder)
    assert "nothing to write" in again.out
    assert f"left out: Los {LOS}: a feed of that name reads it already" in again.out
    mine.write_text(LIST.replace("leiden.example", "delft.example"), encoding="utf-8")
    gazet("opml", "import", mine, "--yes", site=folder)
    assert {name: (folder / "feeds" / name).read_bytes() for name in before} == before
    assert read(folder)["onderwijs-opleiding-2"] == ("Onderwijs & opleiding", ["https://delft.example/rss"])
    mine.write_text(LIST, encoding="utf-8")
    assert gazet("opml", "import", mine, "--yes", site=folder).out.endswith("nothing to write\n")


def test_an_address_that_another_feed_reads_is_read_as_it_reads_it(folder: Path, mine: Path) -> None:
    own = f'title = "Een"\n[[source]]\nurl = "{LOS}"\nkind = "feed"\nevery = "90m"\nfull_text = true\npages = 2\n'
    own += '[[source.exclude]]\ntitle = \'/\\bvacature/\'\nolder_than = "30d"\n[[source.topic]]\nname = "PO"\n'
    (folder / "feeds/een.toml").write_text(own, encoding="utf-8")
    gazet("opml", "import", mine, "--yes", site=folder)
    loaded = config.load(folder)
    assert loaded.feed("mijn-feeds").source[0] == loaded.feed("een").source[0]


def test_all_into_one_feed_or_a_feed_of_each(folder: Path, mine: Path) -> None:
    assert gazet("opml", "import", mine, "--feed", "alles", "--title", "Alles", "--yes", site=folder).code == 1
    assert read(folder) == {"alles": ("Alles", [PO, LEIDEN, LOS, PAGINA])}
    refused(gazet("opml", "import", mine, "--feed", "alles", "--yes", site=folder), 2, '"alles" is taken')
    (folder / "feeds/alles.toml").unlink()
    done = gazet("opml", "import", mine, "--each", "--yes", "--json", site=folder)
    assert [feed["slug"] for feed in done.json["feeds"]] == ["po", "leiden", "los", "een-pagina"]
    assert files(folder) == ["een-pagina.toml", "leiden.toml", "los.toml", "po.toml"]
    assert gazet("opml", "import", mine, "--each", "--yes", "--json", site=folder).json["feeds"] == []


def test_without_a_yes_nothing_is_written_but_shown(folder: Path, mine: Path) -> None:
    for words in ((), ("--json",)):
        done = gazet("opml", "import", mine, *words, site=folder)
        assert done.code == 2
        assert done.faults[-1] == "gazet: Nothing was written: nobody is here to ask. Say --yes to write it."
        assert "onderwijs-opleiding" in done.out
    assert done.json["written"] is False
    assert [one["title"] for one in done.json["left_out"] if one["fault"]] == ["Zonder adres", "Leeg", "Met wachtwoord", "Oud"]
    assert files(folder) == []


@pytest.mark.parametrize(("answers", "end", "there"), [(["misschien", "no"], "nothing was written", 0), ([""], "wrote 2 files", 2)])
def test_a_person_is_asked(folder: Path, mine: Path, answers: list[str], end: str, there: int) -> None:
    with mock.patch.object(asking, "may_ask", return_value=True), mock.patch("builtins.input", side_effect=answers) as asked:
        done = gazet("opml", "import", mine, site=folder)
    assert [call.args for call in asked.call_args_list] == [("Write 2 files? yes or no [yes]: ",)] * len(answers)
    assert end in done.out
    assert ("  answer yes or no" in done.faults) is (len(answers) > 1)
    assert len(files(folder)) == there


def test_a_list_comes_from_standard_input_too(folder: Path) -> None:
    typed = io.TextIOWrapper(io.BytesIO(listing(("PO", PO.replace("&", "&amp;"))).encode()))
    with mock.patch.object(sys, "stdin", typed):
        assert gazet("opml", "import", "-", "--yes", site=folder).code == 0
    assert read(folder) == {"regio": ("Regio", [PO])}


def test_names_of_the_past_and_files_in_the_way_are_not_given(folder: Path, mine: Path) -> None:
    (folder / "feeds/een.toml").write_text(f'title = "Een"\naliases = ["mijn-feeds"]\n[[source]]\nurl = "{PO}"\n', encoding="utf-8")
    gazet("opml", "import", mine, "--yes", site=folder)
    assert files(folder) == ["een.toml", "mijn-feeds-2.toml", "onderwijs-opleiding.toml"]


def test_files_are_all_written_or_none(folder: Path, mine: Path) -> None:
    texts = {
        folder / "feeds/a.toml": 'title = "A"\n[[source]]\nurl = "https://a.example/"\n',
        folder / "feeds/b.toml": 'title = ""\n',
    }
    with pytest.raises(ConfigError):
        add.write_feeds(texts)
    assert files(folder) == []
    (folder / "feeds/mijn-feeds.toml").mkdir()
    with mock.patch.object(add, "taken_names", return_value=set()):
        refused(gazet("opml", "import", mine, "--yes", site=folder), 2, "mijn-feeds.toml")
    assert files(folder) == ["mijn-feeds.toml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not XML: line 1: no element found"),
        ("<opml><body>", "is not XML: line 1: no element found"),
        ("<rss/>", "is XML, but not OPML: it begins with <rss>"),
        ("<html><body/></html>", "not OPML: it begins with <html>"),
        ('<opml>\n<outline xmlUrl="http://x/?a=1&b=2"/></opml>', "line 2: not well-formed (invalid token)"),
        ('<!DOCTYPE opml [<!ENTITY a "b">]><opml>&a;</opml>', "declares a document type"),
        ('<!DOCTYPE opml SYSTEM "file:///etc/passwd"><opml/>', "declares a document type"),
        ("<opml>" + "<outline text='a'>" * 101, "nested more than 100 deep"),
        ("<opml>" + "<outline text='a'/>" * 5_001, "more than 5,000 outlines"),
        ("<opml>" + " " * 5_000_000, "is larger than 5,000,000 bytes"),
        ('<?xml version="1.0" encoding="big5"?><opml/>', "encoding that is not read here"),
        ('<?xml version="1.0" encoding="rot13"?><opml/>', "encoding that is not read here"),
    ],
)
def test_what_is_no_list_or_a_hostile_one_is_one_line(folder: Path, text: str, said: str) -> None:
    (folder / "x.opml").write_text(text, encoding="utf-8")
    refused(gazet("opml", "import", folder / "x.opml", "--yes", site=folder), 1, "x.opml", said)
    assert files(folder) == []


def test_wrong_words_are_one_line(folder: Path, mine: Path) -> None:
    refused(gazet("opml", "import", folder / "weg.opml", site=folder), 2, "weg.opml: No such file")
    refused(gazet("opml", "import", folder, site=folder), 2, "Is a directory")
    refused(gazet("opml", "import", mine, "--feed", "a", "--each", site=folder), 2, "exclude each other")
    refused(gazet("opml", "import", mine, "--title", "a", site=folder), 2, "Say --feed NAME, too.")
    refused(gazet("opml", "import", mine, "--feed", "../a", site=folder), 2, "is not a feed's name")
    refused(gazet("opml", "export", folder / "weg/x.opml", site=folder), 1, "No such file")


def two_feeds(folder: Path) -> Settings:
    sources = "".join(f'[[source]]\nurl = "{url}"\n' for url in (PO, LEIDEN)) + f'[[source]]\nurl = "{PAGINA}"\nkind = "page"\n'
    (folder / "feeds/po.toml").write_text(f'title = "Onderwijs & <zo>"\n{sources}', encoding="utf-8")
    (folder / "feeds/los.toml").write_text(f'title = "Los \U0001f4f0"\n[[source]]\nurl = "{LOS}"\n', encoding="utf-8")
    return config.load(folder)


def test_what_is_exported_imports_into_another_site_as_it_was(folder: Path, tmp_path: Path) -> None:
    two_feeds(folder)
    assert gazet("opml", "export", tmp_path / "a.opml", site=folder).out == f"wrote {tmp_path / 'a.opml'}: 4 sources\n"
    assert gazet("opml", "export", site=folder).out.encode() == (tmp_path / "a.opml").read_bytes()
    (tmp_path / "other/feeds").mkdir(parents=True)
    (tmp_path / "other/gazet.toml").write_text(SITE, encoding="utf-8")
    assert gazet("opml", "import", tmp_path / "a.opml", "--yes", site=tmp_path / "other").code == 0
    assert sorted(read(tmp_path / "other").values()) == sorted(read(folder).values())
    again = gazet("opml", "import", tmp_path / "a.opml", "--yes", site=folder)
    assert again.out.endswith("nothing to write\n"), "its feeds are known by their titles"


def test_an_export_names_feeds_as_feeds_and_pages_as_pages(folder: Path) -> None:
    two_feeds(folder)
    told = gazet("opml", "export", "--json", site=folder).json
    assert told["file"] is None
    assert told["folders"][1]["outlines"] == [
        {"url": PO, "title": "po.example/feed", "home": "https://po.example/", "page": False},
        {"url": LEIDEN, "title": "leiden.example/rss", "home": "https://leiden.example/", "page": False},
        {"url": PAGINA, "title": "pagina.example/nieuws", "home": PAGINA, "page": True},
    ]
    assert (
        f'<outline text="pagina.example/nieuws" title="pagina.example/nieuws" type="link" url="{PAGINA}"'
        in gazet("opml", "export", site=folder).out
    )


def test_a_page_whose_feed_was_found_is_exported_as_that_feed_and_known_by_its_page(folder: Path) -> None:
    loaded = two_feeds(folder)
    ways = {LOS: (SourceKind.FEED, "https://los.example/found.xml"), PO: (SourceKind.PAGE, "")}
    document = opml.sources_of(loaded, ways)
    assert document.folders[0].outlines == (opml.Outline("https://los.example/found.xml", "Los \U0001f4f0", LOS),)
    assert document.folders[1].outlines[0].page
    planned = opml.plan(loaded, document.folders, base=add.slug_for, taken=())
    assert planned.feeds == ()


def test_the_published_feeds_are_a_list_for_their_readers(folder: Path) -> None:
    two_feeds(folder)
    found = opml.read_opml(gazet("opml", "export", "--published", site=folder).out.encode(), "x")
    assert found.title == "Nieuws"
    assert [(one.title, one.url, one.home) for one in found.folders[0].outlines] == [
        (title, f"https://nieuws.example.org/feeds/{slug}.rss", f"https://nieuws.example.org/feeds/{slug}.html")
        for slug, title in (("los", "Los \U0001f4f0"), ("po", "Onderwijs & <zo>"))
    ]


PIECES = """<opml>|</opml>|<head>|<title>|</title>|</head>|<body>|<outline| text='a'| xmlUrl='http://a.b/'| xmlUrl='http://[/'|>|/>
| type='link'| url='//['|</outline>|&amp;|&#0;|<!--|-->|<![CDATA[|]]>|<x:outline>|<?xml version='1.0' encoding='utf-16'?>
|<!DOCTYPE a [|<!ENTITY b 'c'>|\ufeff|é"""
CODECS = [
    "utf-7",
    "idna",
    "unicode_escape",
    "base64",
    "zip",
    "utf-32",
    "cp037",
    "latin-1",
    "utf-8",
    "iso-8859-19",
    "undefined",
    "x\u00e9",
]
markup = st.lists(st.sampled_from(PIECES.split("|")), max_size=25).map(lambda parts: "".join(parts).encode())
declared = st.builds(
    lambda name, data: f"<?xml version='1.0' encoding='{name}'?><opml>".encode() + data,
    st.sampled_from(CODECS),
    st.binary(max_size=30),
)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200) | markup | declared)
def test_any_bytes_are_a_list_or_one_error(data: bytes) -> None:
    found = opml.Opml("", ())
    with contextlib.suppress(ReadError):
        found = opml.read_opml(data, "x.opml")
    assert all(outline.url for folder in found.folders for outline in folder.outlines)


names = st.text(max_size=30) | st.sampled_from(["Nieuws", "nieuws!", "新闻", "\u0000", "Top 40", "\ufffe"])
addresses = (
    st.sampled_from([PO, LEIDEN, LOS]) | st.text(max_size=12).filter(str.isprintable).map("https://x.example/".__add__) | names
)
outlines = st.builds(opml.Outline, addresses, names)
folders = st.lists(st.builds(opml.Folder, names, st.lists(outlines, max_size=3).map(tuple)), max_size=4)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=folders, each=st.booleans())
def test_whatever_a_list_says_its_files_load_and_export_again_as_they_are(
    folder: Path, found: list[opml.Folder], each: bool
) -> None:
    for path in (folder / "feeds").iterdir():
        path.unlink()
    full = [one for one in found if one.outlines]
    shaped = opml.singly(full) if each else opml.named(full, "")
    planned = opml.plan(config.load(folder), shaped, base=add.slug_for, taken=())
    texts = {
        new.slug: add.feed_file(add.clean_title(new.title) or "x", new.sources, "x", date(2026, 11, 24)) for new in planned.feeds
    }
    add.write_feeds({folder / f"feeds/{slug}.toml": text for slug, text in texts.items()})
    written = config.load(folder)
    assert sum(len(feed.source) for feed in written.feeds.values()) == sum(len(new.sources) for new in planned.feeds)
    again = opml.read_opml(opml.write_opml(opml.sources_of(written, {})), "x")
    assert not again.left_out
    for feed, back in zip(written.feeds.values(), again.folders, strict=True):
        assert back.title == one_line(feed.title)[:200] or len(feed.title) > 200
        assert [outline.url for outline in back.outlines] == [source.url for source in feed.source]
