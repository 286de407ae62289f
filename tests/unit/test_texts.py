from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment

from pipeline.errors import TemplateFault
from pipeline.models import Precision
from pipeline.shown import clean, headline, link, shorten
from pipeline.texts import Texts
from tests.factories import make_item

AT = datetime(2019, 5, 22, 12, 5, tzinfo=UTC)
BUILT_IN = Path(__file__).parents[2] / "templates"


def site_with(folder: Path, name: str, text: str | bytes) -> Texts:
    path = folder / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Texts(folder)


def render_date(folder, language, precision, zone="Europe/Amsterdam"):
    texts = site_with(folder, "when.j2", "{{ at | date(precision, language, zone) }}")
    return texts.render("when.j2", language, at=AT, precision=precision, zone=zone)


@pytest.mark.parametrize(
    ("language", "precision", "shown"),
    [
        ("nl", Precision.DAY, "22 mei 2019"),
        ("nl", Precision.TIME, "22 mei 2019 14:05"),
        ("nl-BE", Precision.DAY, "22 mei 2019"),
        ("en", Precision.DAY, "May 22, 2019"),
        ("en-US", Precision.TIME, "May 22, 2019 2:05\xa0PM"),
        ("de", Precision.DAY, "22. Mai 2019"),
        ("xx", Precision.DAY, "May 22, 2019"),
    ],
)
def test_a_date_reads_as_its_language_writes_it_and_has_a_time_only_if_one_was_read(tmp_path, language, precision, shown):
    assert render_date(tmp_path, language, precision) == shown


def test_a_date_is_that_of_the_zone(tmp_path):
    assert render_date(tmp_path, "nl", Precision.TIME, "Pacific/Auckland") == "23 mei 2019 00:05"


@pytest.mark.parametrize("language", ["nl", "nl-NL", "nl_NL", "NL-be"])
def test_a_regional_language_falls_back_on_its_base(tmp_path, language):
    assert site_with(tmp_path, "x.j2", '{{ _("Unsubscribe") }}').render("x.j2", language) == "Afmelden"


def test_a_language_without_catalogue_is_shown_in_english(tmp_path):
    assert site_with(tmp_path, "x.j2", '{{ _("Unsubscribe") }}').render("x.j2", "fr") == "Unsubscribe"


def test_a_plural_follows_the_number(tmp_path):
    texts = site_with(tmp_path, "x.j2", "{% trans count=n %}one new item{% pluralize %}{{ count }} new items{% endtrans %}")
    assert [texts.render("x.j2", "nl", n=n) for n in (1, 2)] == ["één nieuw bericht", "2 nieuwe berichten"]


def test_a_sites_own_template_and_translation_win_over_the_built_in_ones(tmp_path):
    site_with(tmp_path, "digest.subject.j2", "Hallo")
    po = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Unsubscribe"\nmsgstr "Uitschrijven"\n'
    site_with(tmp_path, "locale/nl.po", po)
    texts = site_with(tmp_path, "x.j2", '{{ _("Unsubscribe") }} {{ _("Read more") }}')
    assert texts.render("digest.subject.j2", "nl") == "Hallo"
    assert texts.render("x.j2", "nl") == "Uitschrijven Lees verder"


def test_right_to_left_languages_say_so(tmp_path):
    texts = site_with(tmp_path, "x.j2", "{{ language }} {{ direction }}")
    assert [texts.render("x.j2", language) for language in ("ar", "nl")] == ["ar rtl", "nl ltr"]


@pytest.mark.parametrize(
    ("template", "line", "word"),
    [
        ("one\n{% if %}\n", 2, "Expected"),
        ("one\ntwo\n{{ nothing }}", 3, "'nothing' is undefined"),
        ("one\n{{ 1 / 0 }}", 2, "ZeroDivisionError"),
        ("\n{{ at | date('day', 'nl', 'Mars/Base') }}", 2, "Mars/Base"),
        ('{% include "gone.j2" %}', 1, "gone.j2"),
        (b"one\n\xff\n", 2, "UTF-8"),
    ],
)
def test_a_faulty_template_is_named_with_its_line(tmp_path, template, line, word):
    texts = site_with(tmp_path, "bad.html.j2", template)
    with pytest.raises(TemplateFault) as caught:
        texts.render("bad.html.j2", "nl", at=AT)
    assert caught.value.template == str(tmp_path / "templates" / "bad.html.j2")
    assert caught.value.line == line
    assert word in caught.value.reason


def test_a_template_that_does_not_exist_is_a_template_fault():
    with pytest.raises(TemplateFault, match=r"nowhere\.j2"):
        Texts(None).render("nowhere.j2", "nl")


@pytest.mark.parametrize("po", [b'msgid "a"\nmsgstr "\xff"\n', "certainly no catalogue\n"])
def test_a_faulty_catalogue_is_named(tmp_path, po):
    texts = site_with(tmp_path, "locale/nl.po", po)
    with pytest.raises(TemplateFault, match=r"nl\.po"):
        texts.render("digest.subject.j2", "nl")


@pytest.mark.parametrize("name", ["x.html.j2", "x.mjml.j2"])
def test_foreign_text_is_escaped_in_html_and_mjml_also_inside_translations(tmp_path, name):
    texts = site_with(tmp_path, name, '{{ x }}{{ _("Read more: %(title)s", title=x) }}')
    assert "<" not in texts.render(name, "nl", x="<script>")


def test_text_templates_are_not_escaped(tmp_path):
    assert site_with(tmp_path, "x.txt.j2", "{{ x }}").render("x.txt.j2", "nl", x="a & b") == "a & b"


def test_the_fingerprint_changes_with_any_template_or_catalogue_and_with_nothing_else(tmp_path):
    plain = Texts(None).fingerprint()
    assert Texts(tmp_path).fingerprint() == plain == Texts(None).fingerprint()
    changed = site_with(tmp_path, "feed.html.j2", "hello").fingerprint()
    assert changed != plain
    assert site_with(tmp_path, "locale/de.po", 'msgid "a"\nmsgstr "b"\n').fingerprint() not in (plain, changed)


def test_what_the_fingerprint_names_is_what_is_rendered(tmp_path):
    texts = site_with(tmp_path, "x.j2", "before")
    before = texts.fingerprint()
    (tmp_path / "templates" / "x.j2").write_text("after")
    assert (texts.render("x.j2", "nl"), texts.fingerprint()) == ("before", before)
    assert Texts(tmp_path).render("x.j2", "nl") == "after"


def test_every_sentence_of_the_built_in_templates_is_translated_and_no_translation_is_left_over():
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    used = set()
    for path in BUILT_IN.rglob("*.j2"):
        used |= {
            words if isinstance(words, str) else words[0] for _, _, words in environment.extract_translations(path.read_text())
        }
    with (BUILT_IN / "locale" / "nl.po").open("rb") as file:
        messages = [message for message in read_po(file, abort_invalid=True) if message.id]
    translated = {m.id if isinstance(m.id, str) else m.id[0]: m.string for m in messages}
    assert used
    assert set(translated) == used
    for message, string in translated.items():
        assert all(string if isinstance(string, tuple) else [string]), message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://www.example.org/nieuws/?p=1&q=a%20b#top", "https://www.example.org/nieuws/?p=1&q=a%20b#top"),
        ("https://straße.example/über uns", "https://xn--strae-oqa.example/%C3%BCber%20uns"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org/100%", "https://example.org/100%25"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ('https://example.org/"onclick="x', "https://example.org/%22onclick=%22x"),
        ("https://user:secret@example.org/", "https://example.org/"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//example.org/x", ""),
        ("/x", ""),
        ("http://exa mple.org/", ""),
        ('http://exa"mple.org/', ""),
        ("http://example.org:99999/", ""),
        ("http://[x/", ""),
        ("", ""),
    ],
)
def test_only_absolute_web_addresses_become_links_and_always_as_ascii_uris(url, shown):
    assert link(url) == shown


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(max_size=40).map(lambda text: "https://example.org/" + text)))
def test_whatever_arrives_a_link_is_a_stable_ascii_uri_or_nothing(url):
    found = link(url)
    assert found == "" or (found.isascii() and found.isprintable() and not set(' "<>\\^`{|}') & set(found))
    assert link(found) == found


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_cleaned_text_holds_nothing_that_xml_forbids_or_that_marks_a_slot(text):
    cleaned = clean(text)
    cleaned.encode()
    assert clean(cleaned) == cleaned
    assert all(c in "\t\n" or (c >= " " and not 0x7F <= ord(c) <= 0x9F and not 0xFDD0 <= ord(c) <= 0xFDEF) for c in cleaned)


def test_an_item_without_title_is_called_by_its_summary_or_address():
    summary = "Zo’n 100 bestuurders, " * 10
    assert headline(make_item(title=" ", summary=summary)).startswith("Zo’n 100 bestuurders, Zo’n 100")
    assert len(headline(make_item(title=" ", summary=summary))) <= 100
    assert headline(make_item(title="", summary="", url="https://example.org/x")) == "https://example.org/x"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.integers(2, 50))
def test_shortened_text_fits_and_says_that_it_was_cut(text, width):
    short = shorten(text, width)
    assert len(short) <= width
    assert short == text or (len(text) > width and short.endswith("…"))
