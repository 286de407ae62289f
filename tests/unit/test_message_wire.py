"""What one person gets, read back by the standard library: whatever was written, whoever it goes to (RFC 5322, 2045, 2047).

``test_message.py`` looks at names, contents and personal values one by one; here all of a message is foreign at once.
"""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.compose.message import Template, encode, slot, splice
from pipeline.deliver.envelope import stuffed
from pipeline.models import OutgoingMessage, Personal
from pipeline.shown import one_line
from tests.factories import make_digest
from tests.unit.test_message import assert_fit_for_the_wire, decoded_name, escape_as_html

HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Content-Language",
    "Content-Type",
]
NASTY = [
    "\r\n.\r\n",
    "\n.",
    "\r\nBcc: eve@example.org\r\n\r\n",
    "\nFrom eve",
    "\0to\0",
    "\0html.address\0",
    "\ufdd0address\ufdd1",
    "=\r\n",
    "=2E",
    "=?utf-8?q?x?=",
    "\r",
    "\u2028",
    "\x85",
    "\x7f",
    "é" * 40,
    "❤️",
    "x" * 1100,
    " \t",
    ".",
    "--=_",
    "<!--",
    "&amp;",
    "\udce9",
]
ANY = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(NASTY)), max_size=8).map("".join)
CONTENT = ANY.map(lambda text: re.sub("[\r\0\ufdd0\ufdd1\ud800-\udfff]", "", text))
LOCALS = st.text("abcXYZ0189!#$%&'*+/=?^_`{|}~-.", min_size=1, max_size=64).filter(lambda local: ".." not in f".{local}.")
OURS = ANY.map(lambda text: text[:70])
"""Addresses and links are no longer: the first are checked when somebody joins, the second are Gazet's own."""
URLS = OURS.map(lambda text: "https://nieuws.example.org/u/" + text)


def read(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def shown_in(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8").replace("\r\n", "\n")


@settings(max_examples=250, deadline=None)
@example("Jan", "jan", ".\n..\nFrom a\n=2E", ".", "https://nieuws.example.org/u/" + "." * 200, "Nieuws", "Feed")
@example("\0to\0", "jan", "a" * 72, "From ", "https://nieuws.example.org/u/\r\n.\r\n", "\0to\0 é", "\ufdd0address\ufdd1")
@example("é" * 300, "a" * 64, "=" * 300, " \t", "https://nieuws.example.org/u/>,<x", "é" * 300, "é" * 300)
@given(ANY, LOCALS, CONTENT, CONTENT, URLS, ANY, ANY)
def test_the_standard_library_reads_back_what_was_written_whatever_it_was(
    name: str, local: str, before: str, behind: str, url: str, subject: str, title: str
) -> None:
    personal = Personal(f"{local}@example.org", name, "<m1@nieuws.example.org>", url, "mailto:lijst@example.org?subject=a.b", url)
    places = ("address", "unsubscribe_url", "preferences_url")
    template = before + "".join(f"{slot(place)}{behind}" for place in places)
    data = splice(encode(make_digest(feed_title=title), subject, template, template), personal)

    assert_fit_for_the_wire(data)
    message = read(data)
    assert list(message.keys()) == HEADERS
    assert not message.defects
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert [part.keys() for part in message.iter_parts()] == [["Content-Type", "Content-Transfer-Encoding"]] * 2
    assert [recipient.addr_spec for recipient in message["To"].addresses] == [personal.address]
    assert decoded_name(data) == one_line(name)
    assert_says(message, before, behind, {place: one_line(getattr(personal, place)) for place in places})
    assert_leads_out(str(message["List-Unsubscribe"]))


def assert_says(message: EmailMessage, before: str, behind: str, values: dict[str, str]) -> None:
    """Text and HTML are the template with the personal values in place, in HTML as text."""
    assert shown_in(message, "plain") == before + "".join(value + behind for value in values.values())
    assert shown_in(message, "html") == before + "".join(escape_as_html(value) + behind for value in values.values())


def assert_leads_out(header: str) -> None:
    """Exactly one web address and one mailto, neither of which anything in them can end or multiply (RFC 8058, 3.1)."""
    found = re.fullmatch(r"<(https://nieuws\.example\.org/u/[!-~]*)>,\s+<(mailto:[!-~]+)>", header)
    assert found, header
    assert not set("<>,") & set(found[1])
    assert found[2] == "mailto:lijst@example.org?subject=a.b"


@settings(max_examples=100, deadline=None)
@given(ANY, OURS, OURS, OURS, OURS, CONTENT)
def test_only_what_is_personal_differs_between_two_peoples_messages(
    name: str, address: str, mid: str, url: str, mailto: str, content: str
) -> None:
    """Nobody's own values can reach into another header, into the other part or behind the place that is theirs."""
    encoded = encode(make_digest(), "Nieuws", content + slot("address"), content + slot("address"))
    plain = Personal("jan@example.org", "", "<m@x.example>", "https://x.example/", "")
    hostile = replace(plain, address=address, name=name, message_id=mid, unsubscribe_url=url, unsubscribe_mailto=mailto)
    first, second = splice(encoded, plain), splice(encoded, hostile)
    assert_fit_for_the_wire(second, utf8_headers=True)
    for here, there in zip(common_parts(encoded), common_parts(encoded), strict=True):
        assert here in first
        assert there in second
    assert second.count(b"\r\n--=_") == first.count(b"\r\n--=_")
    assert list(read(second).keys()) == HEADERS


@settings(max_examples=100, deadline=None)
@example("", ".a@x.example", "<m@x.example>", ".", ".", ".")
@given(ANY, OURS, OURS, OURS, OURS, CONTENT)
def test_a_template_called_plain_needs_no_change_on_its_way_whoever_it_goes_to(
    name: str, address: str, mid: str, url: str, mailto: str, content: str
) -> None:
    """What was found out once about a variant holds for each of its messages: they are neither searched nor stuffed."""
    template = Template(encode(make_digest(), "Nieuws", content + slot("address"), content + slot("unsubscribe_url")))
    assert template.plain
    data = template.fill(Personal(address, name, mid, url, mailto))
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    assert stuffed(OutgoingMessage("k", "a@x.example", address, data)) == data
    assert data.isascii() or not (address + mid).isascii()


@pytest.mark.parametrize("uneven", [b".", b"a\r\n.b", b"a\rb", b"a\n", b"\n\0to\0", "é".encode()])
def test_a_template_that_would_have_to_change_is_not_called_plain(uneven: bytes) -> None:
    assert not Template(uneven).plain


def common_parts(encoded: bytes) -> list[bytes]:
    """What stands between the slots."""
    return encoded.split(b"\0")[::2]
