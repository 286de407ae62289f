"""``gazet add``: what is written loads, says what was asked for, and is never written over something."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.cli import add
from pipeline.config import SourceSettings
from pipeline.demo.site import SampleSite
from pipeline.errors import ConfigError
from tests.integration.command import Ended, gazet
from tests.integration.terminal import on_terminal
from tests.servers.web import WebServer
from tests.world import World


@pytest.fixture
def sample() -> Iterator[str]:
    with SampleSite() as running:
        yield running.url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site as ``gazet init`` makes it, that may read loopback."""
    assert gazet("init", tmp_path / "news", "--yes", "--title", "Nieuws").code == 0
    path = tmp_path / "news/gazet.toml"
    allowed = path.read_text(encoding="utf-8").replace("allow = []", 'allow = ["127.0.0.1"]\nspacing = "0s"')
    path.write_text(allowed, encoding="utf-8")
    return tmp_path / "news"


def refused(ended: Ended, code: int, *parts: str) -> None:
    assert (ended.code, len(ended.faults)) == (code, 1), ended
    assert [part for part in parts if part not in ended.err] == []


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "feeds").iterdir())


def test_a_page_becomes_a_feed_of_a_site_without_any(folder: Path, sample: str) -> None:
    done = gazet("add", sample, "--slug", "samen-opleiden", site=folder)
    assert done.code == 0, done
    assert "2 items by: listing article.teaser" in done.out
    assert "2019-05-22        Interview | Doorlopend leren en de bestuurder" in done.out
    assert "De Leidse scholengroep Leonardo Da Vinci stimuleert" in done.out
    assert f"wrote {folder / 'feeds/samen-opleiden.toml'}" in done.out
    text = (folder / "feeds/samen-opleiden.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {"title": "Nieuws – Samen Opleiden", "source": [{"url": sample}]}
    assert all(word not in text for word in ("kind", "every", "language"))
    assert files(folder) == ["README.md", "samen-opleiden.toml"]
    assert gazet("check", "samen-opleiden", site=folder).code == 0
    assert gazet("run", "--once", site=folder).code == 0
    assert (folder / "var/public/feeds/samen-opleiden.rss").exists()


def test_yes_takes_what_is_suggested_and_a_second_one_another_name(folder: Path, sample: str) -> None:
    assert gazet("add", sample, "--yes", site=folder).code == 0
    again = gazet("add", sample, "--yes", "--json", site=folder)
    assert again.json["slug"] == "nieuws-samen-opleiden-2"
    assert again.json["file"] == str(folder / "feeds/nieuws-samen-opleiden-2.toml")
    assert [item["title"][:9] for item in again.json["found"]["items"]] == ["Interview", "21 juni | "[:9]]
    assert "nieuws-samen-opleiden.toml" in files(folder)


def test_an_address_that_another_feed_reads_is_read_in_the_same_way_and_polled_once(folder: Path, web: WebServer) -> None:
    web.serve(
        "/feed.xml",
        b'<rss version="2.0"><channel><title>T</title><link>http://x.example/</link><item><title>Een</title><guid>1</guid>'
        b"<link>http://x.example/1</link></item></channel></rss>",
        content_type="application/rss+xml",
    )
    own = f'title = "Een"\n[[source]]\nurl = "{web.url("/feed.xml")}"\nkind = "feed"\nevery = "90m"\n'
    (folder / "feeds/een.toml").write_text(f"{own}[source.page]\nitem = 'li[class=\"x\"]'\n", encoding="utf-8")
    done = gazet("add", web.url("/feed.xml"), "--slug", "twee", site=folder)
    assert done.code == 0, done
    assert "note: the feed een reads this address, too; it is polled once for both" in done.out
    loaded = config.load(folder)
    assert loaded.feed("twee").source == loaded.feed("een").source
    asked = len(web.requests)
    assert gazet("collect", site=folder).code == 0
    assert len(web.requests) == asked + 1


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--slug", "een"), ('"een" is taken.',)),
        (("--slug", "vroeger"), ('"vroeger" is taken, a former name of een.',)),
        (("--slug", "Ons Nieuws"), ("a-z, 0-9 and -", 'such as "ons-nieuws"')),
        (("--slug", "../weg"), ("a-z, 0-9 and -",)),
        (("--slug", "x" * 64), ("at most 63",)),
        (("--slug", "weg"), ('"weg" was a feed of this site', "Put feeds/weg.toml back")),
        ((), ("Nobody is here to ask", "--slug NAME, or --yes")),
    ],
)
def test_a_name_that_cannot_be_given_is_refused_before_anything_is_fetched(
    world: World, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    world.write_feed("een", top='aliases = ["vroeger"]')
    world.write_feed("weg")
    world.run("2026-11-21T08:00")
    (world.folder / "feeds/weg.toml").unlink()
    asked = len(world.web.requests)
    refused(gazet("add", world.web.url("/feed.xml"), *words, site=world.folder), 2, *parts)
    assert len(world.web.requests) == asked
    assert files(world.folder) == ["een.toml", "po.toml"]


def test_what_yields_nothing_is_one_line_and_writes_nothing(folder: Path, web: WebServer) -> None:
    web.serve("/leeg", b"<html><body><p>Niets</p></body></html>", content_type="text/html")
    for path, part in (("/leeg", "Here: --item SELECTOR."), ("/weg", "404")):
        refused(gazet("add", web.url(path), "--slug", "x", site=folder), 1, web.url(path), part, "Nothing was written.")
    refused(gazet("add", "www.example.org/nieuws", "--slug", "x", site=folder), 2, "Did you mean https://www.example.org/nieuws ?")
    refused(gazet("add", "file:///etc/passwd", "--slug", "x", site=folder), 2, "not an http or https URL")
    refused(gazet("add", "https://x.example/", "--slug", "x", site=folder.parent), 2, "gazet init")
    assert files(folder) == ["README.md"]


def test_a_file_with_which_the_settings_are_wrong_is_taken_back(folder: Path) -> None:
    with pytest.raises(ConfigError):
        add.write_feed(folder / "feeds/x.toml", 'title = ""\n')
    assert files(folder) == ["README.md"]


def test_a_page_that_needs_a_selector_gets_it(folder: Path, web: WebServer) -> None:
    blocks = "".join(f'<p class="n"><a href="/{number}">Bericht {number}</a></p>' for number in range(2))
    web.serve("/krant", f"<html><body>{blocks}</body></html>".encode(), content_type="text/html")
    refused(gazet("add", web.url("/krant"), "--slug", "x", "--item", "p[[", site=folder), 2, "not a CSS selector")
    assert gazet("add", web.url("/krant"), "--slug", "x", "--item", 'p[class="n"]', site=folder).code == 0
    assert config.load(folder).feed("x").source[0].page.item == 'p[class="n"]'


def test_on_a_terminal_it_asks_again_until_the_name_is_free(folder: Path, sample: str) -> None:
    assert gazet("add", sample, "--slug", "een", site=folder).code == 0
    shown, code = on_terminal("add", sample, site=folder, answers=["Ons nieuws", "een", "Twee!", ""])
    assert code == 0, shown
    assert '"een" is taken. Choose another name.' in shown
    assert 'such as "twee"' in shown
    assert "Name, as in feeds/NAME.toml [ons-nieuws]:" in shown
    assert config.load(folder).feed("ons-nieuws").title == "Ons nieuws"


def test_ctrl_c_at_a_question_leaves_nothing(folder: Path, sample: str) -> None:
    shown, code = on_terminal("add", sample, site=folder, answers=["\x03"])
    assert code == 130, shown
    assert "Traceback" not in shown
    assert files(folder) == ["README.md"]


titles = st.text(max_size=400) | st.text(st.sampled_from("\"'\\\n\r\t\x00\x07\x7f\x85\u2028#[]={}“𝔘é\u200f\udc80"), max_size=40)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=titles, found=st.text(max_size=60))
def test_whatever_the_title_the_file_loads_and_gives_it_back(tmp_path: Path, title: str, found: str) -> None:
    if not (tmp_path / "gazet.toml").exists():
        site = '[site]\ntitle = "x"\nurl = "https://n.example"\ncontact = "a@n.example"\n'
        (tmp_path / "gazet.toml").write_text(site, encoding="utf-8")
    clean = add.clean_title(title)
    path = tmp_path / "feeds/x.toml"
    path.unlink(missing_ok=True)
    if clean:
        source = SourceSettings(url="https://www.example.org/?a=b#c")
        add.write_feed(path, add.feed_text(clean, source, found, date(2026, 11, 24)))
        assert config.load(tmp_path).feed("x").title == clean
        assert clean == " ".join(clean.split())


def test_a_suggestion_is_short_free_and_made_of_the_title_or_the_host(folder: Path) -> None:
    loaded = config.load(folder)
    for title, url, wanted in (
        ("Nieuws van het Platform Samen Opleiden & Professionaliseren", "https://x.example/", "nieuws-van-het-platform-samen"),
        ("Één café", "https://x.example/", "een-cafe"),
        ("新闻", "https://www.krant.example/", "krant"),
        ("", "https://xn--p1ai.example/", "xn-p1ai"),
        ("x" * 90, "https://x.example/", "x" * 30),
    ):
        assert add.suggested_slug(loaded, title, url) == wanted


def test_json_says_nothing_else(folder: Path, sample: str) -> None:
    done = gazet("add", sample, "--slug", "x", "--json", "--now", "2026-11-24T08:00", site=folder)
    assert json.loads(done.out)["slug"] == "x"
    assert done.err == ""
    assert "2026-11-24" in (folder / "feeds/x.toml").read_text(encoding="utf-8")
