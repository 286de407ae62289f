"""Where a visitor comes from, which mailbox an address leads to, and names that nobody can be fooled with."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.jobs.signups import mailbox, shortened, written_address
from pipeline.web.join import person_name
from pipeline.web.visitors import network

LOOPBACK = ("127.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        ("203.0.113.9", [], LOOPBACK, "203.0.113.0/24"),
        ("203.0.113.9", ["1.2.3.4"], LOOPBACK, "203.0.113.0/24"),
        ("127.0.0.1", ["1.2.3.4"], LOOPBACK, "1.2.3.0/24"),
        ("127.0.0.1", ["6.6.6.6, 1.2.3.4"], LOOPBACK, "1.2.3.0/24"),
        ("127.0.0.1", ["6.6.6.6", "1.2.3.4, 127.0.0.9"], LOOPBACK, "1.2.3.0/24"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4, 10.0.0.2"], ("10.0.0.0/8",), "1.2.3.0/24"),
        ("::1", ["[2001:db8:1:2::3]:4711"], LOOPBACK, "2001:db8:1::/48"),
        ("::ffff:127.0.0.1", ["::ffff:1.2.3.4"], LOOPBACK, "1.2.3.0/24"),
        ("127.0.0.1", ["1.2.3.4:80"], LOOPBACK, "1.2.3.0/24"),
        ("127.0.0.1", ["1.2.3.4, unknown"], LOOPBACK, ""),
        ("127.0.0.1", [], LOOPBACK, ""),
        ("fe80::1%eth0", [], LOOPBACK, "fe80::/48"),
        ("", [], LOOPBACK, ""),
    ],
)
def test_only_what_trusted_proxies_add_is_believed(peer: str, forwarded: list[str], proxies: tuple[str, ...], found: str) -> None:
    assert network(peer, forwarded, proxies) == found


@given(st.text(), st.lists(st.text()))
def test_no_header_breaks_it(peer: str, forwarded: list[str]) -> None:
    assert isinstance(network(peer, forwarded, LOOPBACK), str)
    assert isinstance(network("127.0.0.1", forwarded, LOOPBACK), str)


def test_spellings_of_one_mailbox_count_as_one() -> None:
    same = ("Ann.B@gmail.com", "annb+x@googlemail.com", "a.n.n.b@GMAIL.com", "annb@gmail.com")
    assert {mailbox(one) for one in same} == {"annb@gmail.com"}
    assert mailbox("ann.b+x@example.org") == "ann.b@example.org"
    assert mailbox("+x@example.org") == "+x@example.org"
    assert shortened("what") == ""


@given(st.text())
def test_a_name_is_one_line_that_shows_what_it_is(text: str) -> None:
    name = person_name(text)
    assert len(name) <= 100
    assert not [character for character in name if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(st.text(max_size=400))
def test_whatever_is_taken_for_an_address_has_one_at_sign_and_no_space(text: str) -> None:
    try:
        found = written_address(text)
    except ValueError:
        return
    assert found.count("@") == 1
    assert not any(character.isspace() or character in '<>,;:"\\' for character in found)
    assert found[0] not in "-|/"
