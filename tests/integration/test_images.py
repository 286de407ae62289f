"""Images of items: copies of our own on pages and in mails, the source's address in feeds, and nothing broken anywhere."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select, update

from pipeline.engines import pictures as engine
from pipeline.jobs.images import fetch_image
from pipeline.jobs.publish_feed import publish_feed
from pipeline.jobs.sample import files, sample
from pipeline.store import runs
from pipeline.store.images import WaitingImage
from pipeline.store.schema import ImageRow
from tests import pictures
from tests.served import Served, read_link
from tests.servers.web import WebServer
from tests.world import World, moment

AT = "2026-11-20T08:30"
GOOD = {
    "photo.jpg": pictures.photo(1600, 900),
    "small.webp": pictures.photo(300, 200, "WEBP"),
    "glass.png": pictures.photo(300, 200, "PNG", "RGBA"),
    "turned.jpg": pictures.with_metadata(),
    "drawing.png": pictures.drawing(),
    "animated.gif": pictures.animated(),
    "print.jpg": pictures.photo(400, 300, mode="CMYK"),
}
BROKEN = {
    "page.jpg": b"<!doctype html><title>Nog even geduld</title>",
    "half.jpg": GOOD["photo.jpg"][:9_000],
    "dot.gif": pictures.photo(1, 1, "GIF", "P"),
    "icon.png": pictures.photo(48, 48, "PNG"),
    "blank.png": pictures.encoded(Image.new("RGB", (600, 400), "#eeeeee"), "PNG"),
    "bomb.png": pictures.bomb(),
    "text.jpg": b"GIF89 is what it says, and nothing more",
    "empty.jpg": b"",
}
NOT_OURS = {
    "logo.svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "large.jpg": GOOD["photo.jpg"] + bytes(200_000),
    "wide.png": pictures.bomb(9_000, 2_000),
    "new.avif": b"\0\0\0 ftypavif" + bytes(50),
}


def serve(world: World, *addresses: str, first: int = 1) -> None:
    """A feed whose items name these images, the first one in the oldest item; item 1 is about sport."""
    items = [
        f"<item><title>Bericht {number}</title><link>{world.web.url(f'/{number}/')}</link>"
        f'<guid isPermaLink="false">{number}</guid><pubDate>Fri, 20 Nov 2026 0{number % 8}:00:{number:02} +0100</pubDate>'
        f'<description>Een bericht met wat meer woorden.</description><media:content url="{address}" medium="image"/>'
        f"<category>{'Sport' if number == 1 else 'Nieuws'}</category></item>"
        for number, address in enumerate(addresses, first)
    ]
    body = f'<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>Bron</title>{"".join(items)}'
    world.web.serve("/feed.xml", f"{body}</channel></rss>", content_type="application/rss+xml")


def rows(world: World) -> dict[str, ImageRow]:
    """What is known of each image, by the last part of its address."""
    with world.site.store.read() as tx:
        return {row.url.rsplit("/", 1)[1]: row for row in tx.execute(select(ImageRow.__table__))}  # type: ignore[misc]


def published(world: World, extension: str) -> str:
    return (world.folder / f"var/public/feeds/po.{extension}").read_text()


def shown(html: str) -> list[str]:
    return re.findall(r'<img src="([^"]*)"', html)


def mailed(world: World, number: int = 0) -> str:
    body = world.mails[number].get_body(("html",))
    assert body is not None
    return str(body.get_content())


def media(world: World) -> list[str]:
    return sorted(path.relative_to(world.folder / "var/public").as_posix() for path in world.folder.glob("var/public/media/*/*"))


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A site whose source names every image above, after its first run; its digest holds them all."""
    with WebServer() as web:
        world = World(tmp_path_factory.mktemp("gallery"), web, digest="first_items = 25")
        toml = world.folder / "gazet.toml"
        toml.write_text(toml.read_text().replace('spacing = "0s"', 'spacing = "0s"\nmax_image_bytes = 100_000'))
        for name, body in {**GOOD, **BROKEN, **NOT_OURS}.items():
            web.serve(f"/{name}", body, content_type="image/jpeg")
        web.serve("/robots.txt", "User-agent: *\nDisallow: /secret", content_type="text/plain")
        web.redirect("/away.jpg", "http://127.0.0.2:1/router.jpg")
        others = (web.url("/gone.jpg"), web.url("/secret.jpg"), web.url("/away.jpg"), "http://127.0.0.2:1/router.jpg")
        serve(world, *(web.url(f"/{name}") for name in (*GOOD, *BROKEN, *NOT_OURS)), *others)
        world.subscribe("ann@example.org", cadence="daily", at="2026-11-19T10:00")
        world.run(AT)
        yield world
        world.close()


def test_pages_and_mails_show_copies_of_our_own_and_nothing_else(gallery: World) -> None:
    copies = media(gallery)
    assert len(copies) == len(GOOD)
    assert sorted(f"media/{url.split('/media/')[1]}" for url in shown(mailed(gallery))) == copies
    assert all(url.startswith("https://nieuws.example.org/media/") for url in shown(mailed(gallery)))
    assert sorted(url.removeprefix("../") for url in shown(published(gallery, "html"))) == copies
    assert gallery.web.address not in "".join(re.findall(r"<(?:img|link|source)[^>]*>", mailed(gallery)))
    assert "url(" not in mailed(gallery)
    text = gallery.mails[0].get_body(("plain",))
    assert text is not None
    assert "/media/" not in text.get_content()
    assert len(mailed(gallery).encode()) < 100_000


def test_feeds_keep_the_sources_address_and_know_its_true_size(gallery: World) -> None:
    for name, body in GOOD.items():
        width, height = (600, 800) if name == "turned.jpg" else Image.open(BytesIO(body)).size
        named = f'<media:thumbnail url="{gallery.web.url(f"/{name}")}" width="{width}" height="{height}"/>'
        assert named in published(gallery, "rss")
        assert named in published(gallery, "atom")
        assert f'"image": "{gallery.web.url(f"/{name}")}"' in published(gallery, "json")


@pytest.mark.parametrize("name", [*BROKEN, "gone.jpg", "away.jpg", "router.jpg"])
def test_a_broken_image_is_left_out_everywhere_and_its_row_says_why(gallery: World, name: str) -> None:
    assert all(f"/{name}" not in published(gallery, extension) for extension in ("rss", "atom", "json", "html"))
    assert f"/{name}" not in mailed(gallery)
    assert rows(gallery)[name].reason
    assert rows(gallery)[name].state == ("waiting" if name == "gone.jpg" else "failed")


@pytest.mark.parametrize("name", [*NOT_OURS, "secret.jpg"])
def test_an_image_that_only_we_cannot_show_stays_in_the_feeds(gallery: World, name: str) -> None:
    assert f'url="{gallery.web.url(f"/{name}")}"' in published(gallery, "rss")
    assert rows(gallery)[name].reason
    assert rows(gallery)[name].file == ""
    assert not gallery.web.requested("/secret.jpg")


def test_a_copy_tells_nothing_but_its_pixels_and_is_never_larger_than_its_place(gallery: World) -> None:
    for path in gallery.folder.glob("var/public/media/*/*"):
        data, image = path.read_bytes(), Image.open(BytesIO(path.read_bytes()))
        assert not any(word in data for word in (b"SpyCam", b"Jansen", b"Exif", b"ICC_PROFILE", b"iCCP", b"tEXt"))
        assert image.format == {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
        assert image.size[0] <= 1200
        assert path.stat().st_mode & 0o777 == 0o644
        assert getattr(image, "n_frames", 1) == 1
    photo = rows(gallery)["photo.jpg"]
    assert (photo.width, photo.height, photo.own_width, photo.own_height) == (1200, 675, 1600, 900)
    first = Image.open(gallery.folder / "var/public/media" / rows(gallery)["animated.gif"].file)
    assert first.convert("L").getextrema() != (0, 0)


def test_every_image_says_how_large_it_is_shown_and_fits_its_column(gallery: World) -> None:
    sizes = re.findall(r'<img src="[^"]*" width="(\d+)" height="(\d+)" alt=""', mailed(gallery))
    assert len(sizes) == len(GOOD)
    assert all(0 < int(width) <= 544 and 0 < int(height) <= 480 for width, height in sizes)
    assert len(re.findall(r'<img src="[^"]*" width="\d+" height="\d+" alt="" loading="lazy"', published(gallery, "html"))) == len(
        GOOD
    )


def test_nothing_is_asked_for_or_written_twice(gallery: World) -> None:
    asked = len(gallery.web.requested("/photo.jpg")), len(gallery.web.requested("/bomb.png"))
    assert not publish_feed(gallery.site, "po", moment("2026-11-20T08:31")).written
    gallery.engine("2026-11-20T08:31").once()
    assert asked == (1, 1) == (len(gallery.web.requested("/photo.jpg")), len(gallery.web.requested("/bomb.png")))


def test_a_preview_shows_them_from_its_own_folder(gallery: World) -> None:
    found = files(gallery.site, sample(gallery.site, "po", "", moment(AT), stand_in=True), moment(AT))
    for page in ("mail.html", "feed.html"):
        assert len(shown(found[page].decode())) == len(GOOD)
        assert all(url.startswith("media/") and url in found for url in shown(found[page].decode()))
    assert b"https://nieuws.example.org/media/" in quopri.decodestring(found["mail.eml"])


def one(world: World, path: str = "/photo.jpg", digest: str = "", **columns: str) -> None:
    """One item with an image, and one subscriber."""
    world.write_feed(digest=digest, source="guard = false")
    world.web.serve("/photo.jpg", GOOD["photo.jpg"], content_type="image/jpeg")
    world.web.serve("/small.webp", GOOD["small.webp"], content_type="image/webp")
    serve(world, world.web.url(path))
    world.subscribe("ann@example.org", at="2026-11-19T10:00", **({"cadence": "daily"} | columns))


def test_the_web_shows_what_page_and_archive_name(world: World) -> None:
    with Served(world, prefix="/nieuws") as served:
        one(world)
        world.run(AT)
        [on_page] = shown(served.get("/nieuws/feeds/po.html").text)
        got = served.get("/nieuws" + on_page.removeprefix(".."))
        assert (got.status, got.headers["content-type"]) == (200, "image/jpeg")
        assert "img-src 'self'" in served.get("/nieuws/feeds/po.html").headers["content-security-policy"]
        [in_mail] = shown(mailed(world))
        assert in_mail == served.url + on_page.removeprefix("..")
        [in_archive] = shown(served.get(served.path_of(read_link(world))).text)
        assert in_archive == "/nieuws" + on_page.removeprefix(".."), "wherever the archive is looked at, its own web server answers"


def test_an_image_that_comes_late_is_shown_from_then_on(any_world: World) -> None:
    one(any_world, "/late.jpg")
    any_world.web.serve("/late.jpg", b"", status=503)
    any_world.run(AT)
    assert shown(mailed(any_world)) == shown(published(any_world, "html")) == []
    assert "/late.jpg" in published(any_world, "rss"), "nobody knows yet whether it is broken"
    any_world.web.serve("/late.jpg", GOOD["photo.jpg"], content_type="image/jpeg")
    any_world.run("2026-11-20T08:35")
    assert shown(published(any_world, "html")) == [], "it is asked for again after a pause"
    any_world.run("2026-11-20T08:45")
    assert len(shown(published(any_world, "html"))) == 1
    assert 'width="1600" height="900"' in published(any_world, "rss")


def test_what_stays_away_is_given_up_and_a_new_address_is_looked_at(world: World) -> None:
    one(world, "/nowhere.jpg")
    for at in ("08:30", "08:45", "10:00", "17:00"):
        world.run(f"2026-11-20T{at}")
    world.run("2026-11-21T18:00")
    world.run("2026-11-28T18:00")
    row = rows(world)["nowhere.jpg"]
    assert (row.state, row.attempts, row.reason) == ("failed", 5, "answered 404 (Not Found)")
    assert len(world.web.requested("/nowhere.jpg")) == 5
    serve(world, world.web.url("/photo.jpg"))
    world.run("2026-11-28T19:00")
    assert len(shown(published(world, "html"))) == 1


def test_an_image_that_never_answers_holds_up_no_digest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_PATIENCE", 0.2)
    one(world, "/never.jpg")
    world.web.hang("/never.jpg")
    report = world.run(AT)
    assert world.got("ann@example.org") == [["Bericht 1"]] or report.opened[0].audience == 1
    assert shown(mailed(world)) == []
    assert report.images == []
    assert not report.problems


def test_a_site_that_wants_no_images_asks_for_none(world: World) -> None:
    one(world, digest="images = false\n[publish]\nimages = false")
    world.run(AT)
    assert not world.web.requested("/photo.jpg")
    assert shown(mailed(world)) == shown(published(world, "html")) == []
    world.write_feed(digest="images = false", source="guard = false")
    world.reopen()
    world.run("2026-11-20T09:00")
    assert len(shown(published(world, "html"))) == 1


def test_a_copy_that_was_lost_is_left_out_and_made_again(world: World) -> None:
    one(world)
    world.run(AT)
    [copy] = media(world)
    (world.folder / "var/public" / copy).unlink()
    publish_feed(world.site, "po", moment("2026-11-20T08:31"))
    assert shown(published(world, "html")) == []
    world.run("2026-11-20T08:32")
    assert media(world) == [copy]
    assert shown(published(world, "html")) == [f"../{copy}"]


def test_a_copy_stays_for_a_year_after_the_last_mail_that_shows_it(world: World) -> None:
    one(world, cadence="weekly", topics="sport")
    world.run(AT)
    serve(world, *(world.web.url("/small.webp") for _ in range(60)), first=2)
    world.run("2026-11-20T09:30")  # 60 newer items: the page names it no more
    world.run("2026-11-24T08:00")
    old = rows(world)["photo.jpg"].file
    assert [url.split("/media/")[1] for url in shown(mailed(world))] == [old]
    world.run("2027-11-23T08:00")
    assert f"media/{old}" in media(world)
    world.run("2027-11-25T08:00")
    assert f"media/{old}" not in media(world)
    assert "photo.jpg" not in rows(world)
    assert len(media(world)) == 1, "what the page shows stays"


def test_no_more_copies_are_kept_than_may_be_and_the_oldest_make_room(world: World) -> None:
    one(world)
    world.run(AT)
    with world.site.store.write() as tx:
        tx.execute(update(ImageRow).values(size=2_000_000_000))
    serve(world, *(world.web.url("/small.webp") for _ in range(60)), first=2)
    world.run("2026-11-20T09:30")
    with world.site.store.read() as tx:
        [problem] = [one for one in runs.problems(tx) if one.key == "media"]
    assert "1000 MB" in problem.what
    assert "max_media_bytes" in problem.fix
    assert not world.web.requested("/small.webp")
    world.run("2027-01-18T08:00")
    assert len(media(world)) == 1, "a mail of the last 60 days shows it"
    world.run("2027-01-20T08:00")
    assert list(rows(world)) == ["small.webp"]
    assert len(media(world)) == 1
    with world.site.store.read() as tx:
        assert not [one for one in runs.problems(tx) if one.key == "media"]


def test_a_full_disk_is_a_problem_and_the_image_is_not_asked_for_at_each_tick(world: World) -> None:
    one(world)
    folder = world.folder / "var/public/media"
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    report = world.run(AT)
    assert any("media" in problem for problem in report.problems)
    assert world.got("ann@example.org")
    world.run("2026-11-20T08:31")
    assert len(world.web.requested("/photo.jpg")) == 1
    Path(folder).unlink()
    world.run("2026-11-20T09:00")
    assert len(media(world)) == 1


def test_a_public_source_leads_to_no_private_image_whatever_others_may(world: World) -> None:
    one(world)
    named = WaitingImage(world.web.url("/photo.jpg"), "http://198.41.0.4/feed.xml", 0)
    got = fetch_image(world.site, named, moment(AT))
    assert (got.state, "private" in got.reason or "public" in got.reason) == ("failed", True), got.reason
    assert world.web.requests == []
    assert fetch_image(world.site, replace(named, source=world.web.url("/feed.xml")), moment(AT)).state == "kept"
