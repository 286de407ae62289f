"""Where a path leads: the prefix of site.url, and files that must never lie outside the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.web import files
from pipeline.web.edge import within
from pipeline.web.server import split

SEGMENTS = st.lists(
    st.one_of(
        st.sampled_from(["..", ".", "", "feeds", "po.rss", "secret", "var", "out", "in", "loop", ".hidden", "a\\b", "/etc"]),
        st.text(max_size=6),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    public = site / "var/public"
    (public / "feeds").mkdir(parents=True)
    (public / "feeds/po.rss").write_text("feed")
    (public / ".hidden").write_text("hidden")
    (public / "feeds/.po.rss.1-2.tmp").write_text("unfinished")
    (site / "var/secret").write_text("secret")
    (public / "out").symlink_to(site / "var/secret")
    (public / "up").symlink_to(site / "var")
    (public / "in").symlink_to(public / "feeds/po.rss")
    (public / "loop").symlink_to(public / "loop")
    return public


@given(SEGMENTS)
def test_no_path_leads_out_of_the_folder(root, segments):
    found = files.find(root, "/" + "/".join(segments))
    assert found is None or found.read_text() == "feed"


@pytest.mark.parametrize("path", ["/feeds/po.rss", "/in"])
def test_a_published_file_is_found(root, path):
    assert files.find(root, path) is not None


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/feeds", "/feeds/", "/feeds/po.rss/", "//feeds/po.rss", "/feeds/po.rss\0", "/feeds/" + "x" * 5000),
        *("/.hidden", "/feeds/.po.rss.1-2.tmp", "/out", "/up/secret", "/loop"),
        *("/../secret", "/feeds/../../secret", "/..\\secret"),
    ],
)
def test_what_is_no_published_file_is_not_found(root, path):
    assert files.find(root, path) is None


@pytest.mark.parametrize(
    ("prefix", "path", "rest"),
    [
        ("", "/feeds/po.rss", "/feeds/po.rss"),
        ("/nieuws", "/nieuws/feeds/po.rss", "/feeds/po.rss"),
        ("/nieuws", "/feeds/po.rss", "/feeds/po.rss"),
        ("/nieuws", "/nieuws", "/"),
        ("/nieuws", "/nieuws/", "/"),
        ("/nieuws", "/nieuwsbrief", "/nieuwsbrief"),
        ("/nieuws", "/nieuws/robots.txt", "/robots.txt"),
        ("/a/b", "/a/b/unsubscribe/t", "/unsubscribe/t"),
        ("/a/b", "/unsubscribe/t", "/unsubscribe/t"),
        # A prefix that is called like one of our own addresses.
        ("/feeds", "/feeds/feeds/po.rss", "/feeds/po.rss"),
        ("/feeds", "/feeds/po.rss", "/feeds/po.rss"),
        ("/feeds", "/feeds/unsubscribe/t", "/unsubscribe/t"),
        ("/read", "/read/token", "/read/token"),
        ("/read", "/read/read/token", "/read/token"),
        ("/feeds", "/feeds", "/"),
    ],
)
def test_a_path_means_the_same_whether_the_proxy_kept_the_prefix_or_not(prefix, path, rest):
    assert within(prefix, path) == rest


@given(st.sampled_from(["", "/nieuws", "/feeds", "/read/x", "/é"]), st.text())
def test_any_path_is_taken(prefix, text):
    assert within(prefix, "/" + text).startswith("/")


@pytest.mark.parametrize(
    ("listen", "parts"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:0", ("::1", 0)), ("localhost:80", ("localhost", 80))],
)
def test_a_place_to_listen_has_a_host_and_a_port(listen, parts):
    assert split(listen) == parts


@pytest.mark.parametrize("listen", ["", "8080", ":8080", "host", "host:", "host:http", "host:65536", "host:²"])
def test_what_is_no_place_to_listen_is_said(listen):
    with pytest.raises(UsageError, match="not HOST:PORT"):
        split(listen)
