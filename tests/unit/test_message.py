import email
import email.policy
import re
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pipeline.compose.message import encode, message_id, slot, splice
from pipeline.models import Personal
from pipeline.shown import one_line
from tests.factories import make_digest

JAN = Personal(
    address="jan@example.org",
    name="Jan de Vries",
    message_id="<abc@nieuws.example.org>",
    unsubscribe_url="https://nieuws.example.org/u/abc.def",
    unsubscribe_mailto="mailto:redactie@example.org?subject=abc",
)
PLACES = ("address", "unsubscribe_url")
SEVERAL_LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufdd0\ufdd1"), max_size=90), max_size=4)


def read(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def made(html="<p>hallo</p>", text="hallo\n", subject="Nieuws", personal=JAN, **changes) -> bytes:
    return splice(encode(make_digest(**changes), subject, html, text), personal)


def personal(**changes) -> Personal:
    values = {name: getattr(JAN, name) for name in ("address", "name", "message_id", "unsubscribe_url", "unsubscribe_mailto")}
    return Personal(**values | changes)


def body(data: bytes, kind: str) -> str:
    part = read(data).get_body((kind,))
    return part.get_payload(decode=True).decode().replace("\r\n", "\n")


def assert_fit_for_the_wire(data: bytes, *, utf8_headers: bool = False) -> None:
    assert data.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", data)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert utf8_headers or head.isascii()
    assert rest.isascii()
    lines = rest.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not [line for line in lines if line.startswith((b".", b"From "))]


def test_the_message_says_who_sends_what_to_whom_and_how_to_leave():
    message = read(made())
    assert {name: str(value) for name, value in message.items() if name != "Content-Type"} == {
        "From": "Samen Opleiden <nieuws@example.org>",
        "To": "Jan de Vries <jan@example.org>",
        "Subject": "Nieuws",
        "Date": "Tue, 28 May 2019 06:00:00 +0000",
        "Message-ID": "<abc@nieuws.example.org>",
        "MIME-Version": "1.0",
        "List-Id": '"Samen Opleiden: nieuws" <samen-opleiden.nieuws.example.org>',
        "List-Unsubscribe": "<https://nieuws.example.org/u/abc.def>, <mailto:redactie@example.org?subject=abc>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Content-Language": "nl",
    }


def test_text_comes_before_html_and_both_are_quoted_printable_utf8():
    message = read(made())
    assert message.get_content_type() == "multipart/alternative"
    parts = [(p.get_content_type(), p.get_content_charset(), p["Content-Transfer-Encoding"]) for p in message.iter_parts()]
    assert parts == [("text/plain", "utf-8", "quoted-printable"), ("text/html", "utf-8", "quoted-printable")]


def test_a_text_subscription_gets_no_html():
    data = made(format="text", text=f"Afmelden: {slot('unsubscribe_url')}\n")
    message = read(data)
    assert (message.get_content_type(), message.is_multipart()) == ("text/plain", False)
    assert body(data, "plain").strip() == "Afmelden: https://nieuws.example.org/u/abc.def"
    assert_fit_for_the_wire(data)


def test_the_same_variant_gives_the_same_bytes_and_another_one_another_boundary():
    assert made() == made()
    assert read(made()).get_boundary() != read(made(text="anders")).get_boundary()


def test_without_a_mailto_only_the_https_address_is_listed():
    assert read(splice(encode(make_digest(), "x", "", ""), personal(unsubscribe_mailto="")))["List-Unsubscribe"] == (
        "<https://nieuws.example.org/u/abc.def>"
    )


def test_a_message_id_is_the_same_in_every_attempt_and_different_for_every_delivery():
    first = message_id(7, 9, "nieuws.example.org")
    assert first == message_id(7, 9, "nieuws.example.org")
    assert re.fullmatch(r"<[a-z2-7]{32}@nieuws\.example\.org>", first)
    assert len({message_id(a, b, "x.nl") for a in range(20) for b in range(20)}) == 400
    assert message_id(1, 11, "x.nl") != message_id(11, 1, "x.nl")
    assert message_id(1, 2, "nieuws.münchen.example").endswith("@nieuws.xn--mnchen-3ya.example>")


@pytest.mark.parametrize(
    ("name", "address", "shown"),
    [
        ("", "jan@example.org", b"To: jan@example.org\r\n"),
        ("Jan de Vries", "jan@example.org", b"To: Jan de Vries <jan@example.org>\r\n"),
        ("Vries, Jan (de)", "jan@example.org", b'To: "Vries, Jan (de)" <jan@example.org>\r\n'),
        ('Jan "J" \\', "jan@example.org", b'To: "Jan \\"J\\" \\\\" <jan@example.org>\r\n'),
        ("Zoë", "zoe@example.org", b"To: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\r\n"),
        ("=?utf-8?q?x?=", "x@example.org", b"To: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <x@example.org>\r\n"),
        ("Jan\r\nBcc: eve@example.org", "jan@example.org", b'To: "Jan Bcc: eve@example.org" <jan@example.org>\r\n'),
        ("", "jan@münchen.example", b"To: jan@xn--mnchen-3ya.example\r\n"),
        ("", "zoë@example.org", "To: zoë@example.org\r\n".encode()),
        ("Jan", "a" * 64 + "@example.org", b"To: Jan\r\n <" + b"a" * 64 + b"@example.org>\r\n"),
    ],
)
def test_a_name_and_an_address_are_written_for_the_wire(name, address, shown):
    assert shown in made(personal=personal(name=name, address=address))


@pytest.mark.parametrize(
    "subject", ["x " * 200, "é" * 300, "Zo’n lange titel " * 20, "=?utf-8?q?spoof?=", "a" * 300, "a\r\nBcc: x@y.z"]
)
def test_a_subject_arrives_as_it_is_on_lines_that_fit(subject):
    data = made(subject=subject)
    assert read(data)["Subject"] == one_line(subject)
    assert "Bcc" not in read(data)
    lines = data.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert all(len(line) <= 78 for line in lines)


def test_a_feeds_title_cannot_break_its_headers():
    message = read(made(feed_title='Nieuws "nu"\r\nBcc: eve@example.org ❤', sender='"Ré, X" <n@example.org>'))
    assert "Bcc" not in message
    assert message["From"].addresses == (Address("Ré, X", "n", "example.org"),)
    assert message["List-Id"].endswith("<samen-opleiden.nieuws.example.org>")


def test_a_place_that_does_not_exist_is_refused_when_the_variant_is_made():
    with pytest.raises(ValueError, match="postcode"):
        encode(make_digest(), "x", slot("postcode"), "")


NAMES = st.text(max_size=80)
LOCALS = st.text("abcXYZ0189!#$%&'*+/=?^_`{|}~-é漢", min_size=1, max_size=64)
DOMAINS = st.sampled_from(["example.org", "a-b.example", "x" * 63 + ".example"])


@settings(max_examples=300, deadline=None)
@example(name="Jan\0\r\n\r\n<html>", local="a", domain="example.org")
@example(name="a" * 400, local="a" * 64, domain="example.org")
@example(name=" ❤️ " * 40, local="a", domain="example.org")
@given(NAMES, LOCALS, DOMAINS)
def test_any_name_and_address_arrive_as_one_recipient(name, local, domain):
    data = made(personal=personal(name=name, address=f"{local}@{domain}"))
    assert_fit_for_the_wire(data, utf8_headers=not local.isascii())
    message = read(data)
    assert list(message.keys()) == list(read(made()).keys())
    assume(local.isascii())
    [recipient] = message["To"].addresses
    assert recipient.addr_spec == f"{local}@{domain}"
    # email's parser puts a space between two encoded words of a phrase, which RFC 2047 section 6.2 says are one.
    one_word = len(name.encode()) < 30
    assert (recipient.display_name if one_word else decoded_name(data)) == one_line(name)


def decoded_name(data: bytes) -> str:
    """By decode_header: the newer parser keeps the white space between encoded words that RFC 2047 §6.2 drops."""
    raw = email.message_from_bytes(data, policy=email.policy.compat32)["To"].rpartition("<")[0].strip()
    quoted = re.fullmatch(r'"(.*)"', raw)
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else str(make_header(decode_header(raw)))


@settings(max_examples=300, deadline=None)
@given(*(st.text(max_size=80) for _ in range(5)))  # of four bytes, each as %XX: twelve times that in a header
def test_whatever_stands_in_a_personal_value_no_header_and_no_line_is_added(name, address, mid, url, mailto):
    html, text = (f"<p>{slot('address')}</p>{slot('unsubscribe_url')}",) * 2
    data = splice(encode(make_digest(), "x", html, text), Personal(address, name, mid, url, mailto))
    assert_fit_for_the_wire(data, utf8_headers=True)
    assert [line.split(b":")[0] for line in data.split(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] != b" "] == [
        line.split(b":")[0] for line in made().split(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] != b" "
    ]


@st.composite
def contents(draw):
    """Lines of text with personal values anywhere between them."""
    pieces = ["\n".join(draw(SEVERAL_LINES)) for _ in range(draw(st.integers(1, 4)))]
    places = [draw(st.sampled_from(PLACES)) for _ in pieces[1:]]
    return pieces, places


def joined(pieces, places, value):
    return pieces[0] + "".join(value(place) + piece for place, piece in zip(places, pieces[1:], strict=True))


@settings(max_examples=300, deadline=None)
@example(content=(["."], []), url="https://example.org/", address="a@b.c")
@example(content=(["x\n.", ".y ", " "], ["address", "address"]), url="https://example.org/", address=".a@b.c")
@example(content=(["=" * 200 + " \t", "From a"], ["unsubscribe_url"]), url="https://example.org/" + "=é." * 90, address="From @b.c")
@given(contents(), st.text(max_size=200).map(lambda text: "https://example.org/" + text), st.text(max_size=80))
def test_what_a_reader_sees_is_what_was_written_with_the_personal_values_in_place(content, url, address):
    pieces, places = content
    template = joined(pieces, places, slot)
    data = made(html=template, text=template, personal=personal(address=address, unsubscribe_url=url))
    assert_fit_for_the_wire(data, utf8_headers=True)
    values = {"address": one_line(address), "unsubscribe_url": one_line(url)}
    assert body(data, "plain") == joined(pieces, places, lambda place: values[place])
    shown = joined(pieces, places, lambda place: escape_as_html(values[place]))
    assert body(data, "html") == shown


def escape_as_html(value: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;")):
        value = value.replace(character, entity)
    return value
