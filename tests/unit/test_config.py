"""Settings fail as a whole, by file and key, and in no other way."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.config import Settings, SourceSettings
from pipeline.errors import ConfigError
from pipeline.models import Cadence
from pipeline.shown import one_line

SITE = """\
[site]
title = "Nieuws"
url = "https://nieuws.example.org/"
timezone = "Europe/Amsterdam"
contact = "redactie@example.org"
"""
FEED = 'title = "PO"\n[[source]]\nurl = "https://www.example.org/nieuws/"\n'


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAZET_SITE", raising=False)


def load(folder: Path, site: str = SITE, **feeds: str) -> Settings:
    (folder / "feeds").mkdir(exist_ok=True)
    (folder / "gazet.toml").write_text(site, encoding="utf-8")
    for slug, text in feeds.items():
        (folder / f"feeds/{slug}.toml").write_text(text, encoding="utf-8")
    return config.load(folder)


def problems(folder: Path, site: str = SITE, **feeds: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(folder, site, **feeds)
    assert refused.value.exit_code == 2
    return [str(problem) for problem in refused.value.problems]


def test_a_feed_inherits_language_and_digest_and_its_own_words_win(tmp_path: Path) -> None:
    site = SITE + 'language = "nl"\n[defaults.digest]\ncadence = "daily"\ntime = "07:30"\n'
    loaded = load(tmp_path, site, po=FEED + '[digest]\ntime = "09:00"\n', vo=FEED.replace('"PO"', '"VO"\nlanguage = "en"'))
    po, vo = loaded.feed("po"), loaded.feed("vo")
    assert (po.language, po.digest.cadence, po.digest.time) == ("nl", Cadence.DAILY, "09:00")
    assert (vo.language, vo.digest.cadence, vo.digest.time) == ("en", Cadence.DAILY, "07:30")
    assert loaded.site.url == "https://nieuws.example.org"
    assert loaded.zone_of(po.source[0]) == "Europe/Amsterdam"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://bücher.example:8443/nieuws/", "https://xn--bcher-kva.example:8443/nieuws"),
        ("HTTPS://Nieuws.Example.org/", "https://nieuws.example.org"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_sites_address_is_one_that_a_header_takes(tmp_path: Path, written: str, meant: str) -> None:
    assert load(tmp_path, SITE.replace("https://nieuws.example.org", written), po=FEED).site.url == meant


@pytest.mark.parametrize(
    "written", ["https://example.org/é", "https://example.org/a b", "https://example.org/a%20b", "https://-ü-.nl"]
)
def test_an_address_of_the_site_that_could_not_be_told_from_another_is_refused(tmp_path: Path, written: str) -> None:
    [problem] = problems(tmp_path, SITE.replace("https://nieuws.example.org", written), po=FEED)
    assert "site.url" in problem


def test_the_environment_wins_over_the_files_also_for_numbers_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "GAZET_SITE": "elsewhere",
        "GAZET_SITE__URL": "https://anders.example.org",
        "GAZET_COLLECT__MAX_ITEMS": "7",
        "GAZET_COLLECT__ALLOW": '["127.0.0.1"]',
        "GAZET_COLLECT__TIMEOUT": "15s",
        "GAZET_DEFAULTS__DIGEST__MIN_ITEMS": "3",
        "GAZET_RELAY": '[{"name": "a", "host": "mail.example.org", "port": 2525}]',
    }.items():
        monkeypatch.setenv(name, value)
    loaded = load(tmp_path, po=FEED)
    assert loaded.site.url == "https://anders.example.org"
    assert (loaded.collect.max_items, loaded.collect.allow) == (7, ("127.0.0.1",))
    assert loaded.collect.timeout == timedelta(seconds=15)
    assert loaded.feed("po").digest.min_items == 3
    assert loaded.relay[0].effective_port == 2525


def test_two_relays_of_one_name_are_one_mistake(tmp_path: Path) -> None:
    relay = '[[relay]]\nname = "a"\nhost = "mail.example.org"\n'
    assert problems(tmp_path, SITE + relay + relay) == [
        'gazet.toml: relay.1.name: "a" is taken (give each relay a name of its own)'
    ]
    [outbox] = problems(tmp_path, SITE + relay.replace('"a"', '"outbox"'))
    assert "relay.0.name" in outbox


@pytest.mark.parametrize("name", ["var/wachtwoord", "x" * 300])
def test_a_file_that_a_relay_needs_must_be_there(tmp_path: Path, name: str) -> None:
    [said] = problems(tmp_path, SITE + f'[[relay]]\nname = "a"\nhost = "mail.example.org"\npassword_file = "{name}"\n')
    assert said.startswith("gazet.toml: relay.0.password_file: ")
    assert "relative to the site folder" in said


def test_one_source_cannot_be_read_in_two_ways(tmp_path: Path) -> None:
    [said] = problems(tmp_path, po=FEED, vo=FEED + 'kind = "page"\n')
    assert said.startswith("feeds/vo.toml: source.0: ")
    assert "feeds/po.toml" in said


@pytest.mark.parametrize(
    ("po", "vo", "said"),
    [
        ([], ["po"], 'feeds/vo.toml: aliases: "po" already names the feed po (remove it here, or remove feeds/po.toml)'),
        (["oud"], ["oud"], 'feeds/vo.toml: aliases: "oud" already names the feed po (name it once)'),
        ([], ["oud", "oud"], 'feeds/vo.toml: aliases: "oud" already names the feed vo (name it once)'),
        ([], ["vo"], 'feeds/vo.toml: aliases: "vo" already names the feed vo (name it once)'),
        ([], ["Oud nieuws"], 'feeds/vo.toml: aliases.0: "Oud nieuws" is not a feed\'s name: a-z, 0-9 and -, at most 63'),
    ],
)
def test_a_former_slug_belongs_to_one_feed(tmp_path: Path, po: list[str], vo: list[str], said: str) -> None:
    [line] = problems(tmp_path, po=f"aliases = {po}\n{FEED}", vo=f"aliases = {vo}\n{FEED}")
    assert line.startswith(said)


def test_a_feed_is_known_by_its_former_slugs(tmp_path: Path) -> None:
    loaded = load(tmp_path, po=f'aliases = ["oud", "ouder"]\n{FEED}')
    assert [loaded.feed(name).slug for name in ("po", "oud", "ouder")] == ["po"] * 3
    assert loaded.current_slug("vreemd") == "vreemd"
    with pytest.raises(ConfigError, match="there is no such feed"):
        loaded.feed("vreemd")


@pytest.mark.parametrize(
    ("listen", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:0", ("::1", 0)), ("localhost:65535", ("localhost", 65535))],
)
def test_the_web_server_listens_on_a_host_and_a_port(tmp_path: Path, listen: str, address: tuple[str, int]) -> None:
    assert load(tmp_path, SITE + f'[web]\nlisten = "{listen}"\n').web.address == address


@pytest.mark.parametrize("listen", ["8080", ":8080", "127.0.0.1", "::1:8080", "host:65536", "host:-1", "a b:80", "host:8080/x"])
def test_anything_else_is_a_mistake(tmp_path: Path, listen: str) -> None:
    [line] = problems(tmp_path, SITE + f'[web]\nlisten = "{listen}"\n')
    assert line == f'gazet.toml: web.listen: "{listen}" is not HOST:PORT, such as "127.0.0.1:8080" or "[::1]:8080"'


def test_an_editors_own_files_are_no_feeds(tmp_path: Path) -> None:
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds/.#po.toml").symlink_to("ann@machine.1234")
    (tmp_path / "feeds/.po.toml.swp").write_bytes(b"\x00")
    (tmp_path / "feeds/po.toml~").write_text("old", encoding="utf-8")
    assert list(load(tmp_path, po=FEED).feeds) == ["po"]


def test_limits_that_exclude_each_other_are_named(tmp_path: Path) -> None:
    [said] = problems(tmp_path, po=FEED + "[digest]\nmin_items = 9\nmax_items = 3\n")
    assert said == "feeds/po.toml: digest: min_items (9) is more than max_items (3)"


def test_the_slug_is_the_name_of_the_file(tmp_path: Path) -> None:
    [said] = problems(tmp_path, po=f'slug = "nieuws"\n{FEED}')
    assert said.startswith("feeds/po.toml: slug: the file's name is the slug")
    (tmp_path / "feeds/po.toml").unlink()
    [said] = problems(tmp_path, **{"Nieuws van PO": FEED})
    assert "call it nieuws-van-po.toml" in said


@pytest.mark.parametrize("key", ["_env_prefix", "_case_sensitive", "__pydantic_self__", "self"])
def test_no_key_of_the_file_reaches_the_machinery(tmp_path: Path, key: str) -> None:
    [said] = problems(tmp_path, f'{key} = "x"\n{SITE}')
    assert said.startswith(f"gazet.toml: {key}: unknown key")


def test_a_key_or_value_with_line_breaks_is_still_one_line(tmp_path: Path) -> None:
    said = problems(tmp_path, SITE + 'language = "a\\nb"\n"c\\nd" = 1\n')
    assert len(said) == 2
    assert all(line.isprintable() for line in said)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "[site\n", "\x00", "a = 1\na = 2\n"])
def test_what_is_no_toml_is_a_mistake_of_its_file(tmp_path: Path, text: str) -> None:
    [said] = problems(tmp_path, text)
    assert said.startswith("gazet.toml: is ")
    assert len(said) < 300


SECTIONS = ["site", "store", "relay", "collect", "web", "alerts", "defaults", "digest", "source", "page", "publish"]
KEYS = ["url", "title", "language", "timezone", "contact", "name", "host", "port", "allow", "from", "cadence", "time", "max_items"]
KEYS += ["include", "exclude", "topic", "text", "category", "older_than"]
KEYS += ["min_items", "item", "kind", "items", "aliases", "every", "rate", "tls", "password", "weekday", "day", "listen", "_x", "["]


CONDITIONS = """\
[[source.include]]
titel = "leraar"
[[source.include]]
[[source.exclude]]
title = "vacature*"
older_than = "1y"
[[source.exclude]]
title = ["goed", "/(/", "/a/i"]
language = "dutch"
[[source.topic]]
name = "PO;VO"
[[source.topic]]
text = "leraren"
"""


def test_each_mistake_of_a_condition_is_named_by_file_and_key(tmp_path: Path) -> None:
    said = problems(tmp_path, po=FEED + CONDITIONS)
    wanted = [
        'source.0.include.0.titel: unknown key "titel" (did you mean "title"?)',
        "source.0.include.1: says nothing: give title, text, category, author, language, older_than or newer_than",
        'source.0.exclude.0.older_than: \'1y\' is not a duration such as "30d", "6h", "15m" or "60s"',
        'source.0.exclude.1.title: "/(/" is not a regular expression: missing ) at position 1',
        'source.0.exclude.1.language.0: "dutch" is not a language such as "nl" or "en"',
        'source.0.topic.0.name: "PO;VO" is not a topic: it needs a name without ";", which separates topics elsewhere',
        "source.0.topic.1.name: is missing (add a line name = …)",
    ]
    assert said == [f"feeds/po.toml: {line}" for line in wanted]


def test_a_feed_needs_a_source(tmp_path: Path) -> None:
    assert problems(tmp_path, po='title = "PO"\nsource = []\n') == ["feeds/po.toml: source: is empty: a feed needs a [[source]]"]


def test_conditions_are_read_one_text_being_a_list_of_one(tmp_path: Path) -> None:
    tables = '[[source.include]]\ncategory = "Nieuws"\nnewer_than = "30d"\n'
    tables += '[[source.topic]]\nname = " PO  nieuws "\ntext = ["po", \'/p\\.o/\']\n'
    [source] = load(tmp_path, po=FEED + tables).feed("po").source
    assert (source.include[0].category, source.include[0].newer_than) == (("Nieuws",), timedelta(days=30))
    assert (source.topic[0].name, source.topic[0].text) == ("PO nieuws", ("po", "/p\\.o/"))
    assert source.exclude == ()


lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
terms = st.lists(
    lines.filter(lambda text: "*" not in text and text.strip() and not text.startswith("/")) | lines.map("/{}/".format), min_size=1
)
SPARE = {"max_examples": 150, "deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def as_source(values: dict[str, object]) -> SourceSettings | None:
    try:
        return SourceSettings(url="https://www.example.org/?a=b#c", **values)  # type: ignore[arg-type]
    except ValueError:
        return None


conditions = st.lists(
    st.fixed_dictionaries({"title": terms}, optional={"older_than": st.sampled_from(["0s", "90s", "48h", "7d"])}), max_size=2
)
sources = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["auto", "page"]),
        "full_text": st.booleans(),
        "pages": st.integers(1, 20),
        "every": st.integers(1, 10_000).map("{}m".format),
        "page": st.just({"item": 'a[b="\\c"]', "date": "time"}),
        "include": conditions,
        "exclude": conditions,
        "topic": st.lists(st.fixed_dictionaries({"name": lines, "category": terms}), max_size=2),
    },
)


@settings(**SPARE)
@given(values=sources, remark=st.text(max_size=20))
def test_a_source_that_is_written_reads_back_the_same(values: dict[str, object], remark: str) -> None:
    source = as_source(values)
    assume(source is not None)
    text = "\n".join(config.source_lines(source, one_line(remark)))
    assert SourceSettings(**tomllib.loads(text)["source"][0]) == source


keys = st.sampled_from(SECTIONS) | st.sampled_from(KEYS) | st.text(max_size=5)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["https://example.org/", "a@example.org", "nl", "UTC", "08:00", "daily", "feed", "30d", "1/s", "sqlite:///x"])
)
documents = st.dictionaries(
    keys, st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=12)
)


def as_toml(value: object) -> str:
    """Inline TOML; None becomes an empty text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(str(key))} = {as_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(one) for one in value) + "]"
    if isinstance(value, str):
        plain = (char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in value)
        return '"' + "".join(plain) + '"'
    return repr(value) if value is not None else '""'


def write_toml(path: Path, document: dict[str, object]) -> None:
    lines = [f"{as_toml(key)} = {as_toml(value)}\n" for key, value in document.items()]
    path.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(site=documents, feed=documents, valid=st.booleans())
def test_any_document_loads_or_is_a_list_of_printable_mistakes(
    tmp_path: Path, site: dict[str, object], feed: dict[str, object], valid: bool
) -> None:
    (tmp_path / "feeds").mkdir(exist_ok=True)
    if valid:
        (tmp_path / "gazet.toml").write_text(SITE, encoding="utf-8")
    else:
        write_toml(tmp_path / "gazet.toml", site)
    write_toml(tmp_path / "feeds/po.toml", feed)
    try:
        config.load(tmp_path)
    except ConfigError as error:
        said = [str(problem) for problem in error.problems]
    else:
        said = ["it loads"]
    assert said
    assert [line for line in said if len(line.splitlines()) != 1 or len(line) > 1000] == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_load_or_are_a_mistake(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "gazet.toml").write_bytes(data)
    with pytest.raises(ConfigError):
        config.load(tmp_path)
