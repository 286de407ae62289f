"""Every signature is verified by two strangers, whatever is spliced; one byte changed or one field added, and it is not."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.compose.dkim import Signed, Signer, domain_of, sign
from pipeline.compose.message import Letter, Template, encode, letter, slot, splice
from pipeline.config.signing_key import parse_key
from pipeline.models import Personal
from tests.factories import make_digest
from tests.signatures import DOMAIN, key, opendkim, pem, records, value, verdicts

ANN = Personal(
    address="ann@example.org",
    name="Ann de Vries",
    message_id="<abc@nieuws.example.org>",
    unsubscribe_url="https://nieuws.example.org/unsubscribe/abc.def-ghi",
    unsubscribe_mailto="mailto:redactie@example.org?subject=abc",
    preferences_url="https://nieuws.example.org/preferences/abc.def-ghi",
)
TEXT = f"Hallo  \n\n \t\n  dit is  voor {slot('address')}\nWeg: {slot('unsubscribe_url')}{slot('preferences_url')}\n\n\n"
HTML = f'<p>Hallo</p>\n<p>\t {slot("address")} <a href="{slot("unsubscribe_url")}">weg</a></p>\n'
EACH = pytest.mark.parametrize("kinds", [("rsa",), ("ed25519",), ("ed25519", "rsa")], ids="+".join)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufdd0\ufdd1"), max_size=90)
SPACED = st.text(st.sampled_from("a.=é \t\n"), max_size=60)
RAW = st.text(st.sampled_from("a= \t\n"), max_size=9).map(lambda text: text.replace("\n", "\r\n"))
FAST = settings(max_examples=60, deadline=None)


def signer(*kinds: str) -> Signer:
    return Signer(DOMAIN, tuple(key(kind) for kind in kinds))


def template(html: str = HTML, text: str = TEXT, subject: str = "Nieuws", **changes: object) -> Template:
    return Template(encode(make_digest(**changes), subject, html, text))


def whole_body_relaxed(data: bytes) -> bytes:
    """RFC 6376 §3.4.4 line by line over a whole message."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in data.partition(b"\r\n\r\n")[2].split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def tags(data: bytes) -> dict[str, str]:
    """The tags of the first signature."""
    field = re.sub(rb"\r\n[ \t]+", b" ", data).partition(b"\r\n")[0].partition(b":")[2].decode()
    return {name.strip(): text.strip() for name, _, text in (part.partition("=") for part in field.split(";"))}


@EACH
def test_each_key_gives_a_signature_that_dkimpy_verifies(kinds: tuple[str, ...]) -> None:
    made = Signed(template(), signer(*kinds)).fill(ANN)
    assert verdicts(made) == [True] * len(kinds)
    assert made.endswith(b"\r\n" + splice(encode(make_digest(), "Nieuws", HTML, TEXT), ANN))


@EACH
def test_opendkim_verifies_them_too(kinds: tuple[str, ...], tmp_path: Path) -> None:
    made = Signed(template(), signer(*kinds)).fill(ANN)
    assert opendkim(tmp_path, made) == ["pass"] * len(kinds)
    assert opendkim(tmp_path, made.replace(b"Hallo", b"Hullo", 1)) == ["fail"] * len(kinds)


@FAST
@given(
    name=WORDS,
    local=WORDS,
    url=WORDS,
    subject=WORDS,
    text=WORDS | SPACED,
    html=WORDS | SPACED,
    format=st.sampled_from(["html", "text"]),
)
@example(name="", local=" a  b", url="a \t b", subject="", text="", html="", format="text")
@example(name="", local="", url="x" * 200, subject="", text="\n \n\n", html=" \n", format="text")
def test_whatever_is_spliced_the_pieces_are_canonical_as_the_whole_is(
    name: str, local: str, url: str, subject: str, text: str, html: str, format: str
) -> None:
    person = Personal(f"{local}@example.org", name, "<a@b>", f"https://x.nl/{url}", "mailto:a@b.nl", f"https://x.nl/ {url}")
    text = f"{text}{slot('address')}{slot('preferences_url')}{text}{slot('unsubscribe_url')}{text}"
    html = f"{html}{slot('address')}{html}{slot('unsubscribe_url')}"
    made = Signed(template(html, text, subject, format=format), signer("ed25519")).fill(person)
    body_hash = base64.b64encode(hashlib.sha256(whole_body_relaxed(made)).digest()).decode()
    assert tags(made)["bh"] == body_hash
    assert verdicts(made) == [True]


@FAST
@given(st.lists(RAW, min_size=3, max_size=3))
def test_nothing_in_a_slot_reaches_over_its_borders(texts: list[str]) -> None:
    """Not even what ``message`` never puts there: white space at line ends, empty lines, none at all."""
    made = Template(encode(make_digest(format="text"), "x", "", TEXT))
    values = [*made.values(ANN)[:3], *(text.encode() for text in texts)]
    whole = made.join(values, Signed(made, signer("ed25519")).signatures(values))
    assert tags(whole)["bh"] == base64.b64encode(hashlib.sha256(whole_body_relaxed(whole)).digest()).decode()


@FAST
@given(st.lists(RAW, max_size=9).map("".join))
@example("")
@example("\r\n\r\n")
@example(" \t \r\na  \ta \r\n \r\n\r\n")
def test_any_body_is_made_canonical_as_others_do_it(body: str) -> None:
    made = sign(
        b"From: a@example.org\r\nDate: Tue, 28 May 2019 06:00:00 +0000\r\n\r\n" + body.encode() + b"\r\n", signer("ed25519")
    )
    assert verdicts(made) == [True]


@FAST
@given(name=WORDS, subject=WORDS, text=WORDS | SPACED, unsubscribe=st.booleans())
def test_a_letter_is_signed_whatever_it_says(name: str, subject: str, text: str, unsubscribe: bool) -> None:
    ways = ("https://x.nl/u/a", "mailto:a@b.nl") if unsubscribe else ("", "")
    mail = Letter("Redactie <nieuws@example.org>", f"{name}@example.org", subject, text, datetime.now(UTC), "<a@b>", "nl", ways)
    assert verdicts(sign(letter(mail), signer("ed25519"))) == [True]


@FAST
@given(sender=WORDS.map(lambda name: '"' + name.replace("\\", "").replace('"', "") + '" <nieuws@Example.ORG>'))
def test_whatever_the_sender_is_called_its_domain_is_found(sender: str) -> None:
    assert verdicts(Signed(template(sender=sender), signer("ed25519")).fill(ANN)) == [True]


@FAST
@given(data=st.data())
def test_one_byte_changed_and_no_signature_is_valid(data: st.DataObject) -> None:
    made = Signed(template(), signer("ed25519")).fill(ANN)
    start = made.index(b"\r\nFrom: ") + 2
    place = data.draw(st.sampled_from([at for at in range(start, len(made)) if made[at : at + 1] not in b" \t\r\n"]))
    changed = made[:place] + (b"%" if made[place] != 0x25 else b"#") + made[place + 1 :]
    assert verdicts(changed) == [False]


@pytest.mark.parametrize("field", ["From: a@example.org", "Subject: x", "To: b@example.org", "Date: x", "Reply-To: c@example.org"])
@pytest.mark.parametrize("where", ["above", "below"])
def test_another_field_of_these_cannot_be_added(field: str, where: str) -> None:
    made = Signed(template(), signer("ed25519")).fill(ANN)
    place = 0 if where == "above" else made.index(b"\r\n\r\n") + 2
    assert verdicts(made[:place] + f"{field}\r\n".encode() + made[place:]) == [False]


def test_the_signature_covers_what_providers_ask_for_and_never_expires() -> None:
    made = Signed(template(), signer("ed25519")).fill(ANN)
    found = tags(made)
    names = "".join(found["h"].split()).split(":")
    wanted = {"from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-language", "list-id"}
    assert wanted | {"list-unsubscribe", "list-unsubscribe-post"} == set(names) - {"reply-to"}
    assert [names.count(name) for name in ("from", "to", "subject", "date")] == [2, 2, 2, 2]
    assert (found["d"], found["c"], found["a"]) == (DOMAIN, "relaxed/relaxed", "ed25519-sha256")
    assert not {"x", "l"} & found.keys()
    assert int(found["t"]) == parsedate_to_datetime(re.search(rb"Date: (.*)\r", made)[1].decode()).timestamp()  # type: ignore[index]


@EACH
def test_every_attempt_has_the_same_bytes_and_lines_fit_for_the_wire(kinds: tuple[str, ...]) -> None:
    made = Signed(template(), signer(*kinds)).fill(ANN)
    assert made == Signed(template(), signer(*kinds)).fill(ANN)
    lines = made.partition(b"\r\nFrom: ")[0].split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert not [line for line in lines[1:] if not (line.startswith(b" ") or line.startswith(b"DKIM-Signature: "))]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"From: a@elsewhere.org\r\nDate: Tue, 28 May 2019 06:00:00 +0000\r\n\r\nx\r\n", "aligned"),
        (b"From: a@sub.example.org\r\nDate: Tue, 28 May 2019 06:00:00 +0000\r\n\r\nx\r\n", "aligned"),
        (b"From: a@example.org\r\n\r\nx\r\n", "without From and Date"),
        (b"From: a@example.org\r\nFrom: b@example.org\r\nDate: x\r\n\r\nx\r\n", "twice"),
        (b"From: a@example.org\r\nTo: x \0to\0\r\nDate: x\r\n\r\nx\r\n", "not one of ours"),
        (b"From: a@example.org\r\nDate: Tue, 28 May 2019 06:00:00 +0000\r\n\r\nx \0text.address\0\r\n", "soft line breaks"),
    ],
    ids=["another domain", "a domain below it", "no date", "two senders", "a slot in a value", "a slot in a line"],
)
def test_what_could_not_be_verified_is_not_signed(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Signed(Template(data), signer("ed25519"))


def test_a_domain_with_other_letters_is_signed_for_as_dns_knows_it() -> None:
    sender = "Müller <a@Müller.example>"
    made = Signed(template(sender=sender), Signer(domain_of(sender), (key("ed25519"),))).fill(ANN)
    assert verdicts(made, records("xn--mller-kva.example")) == [True]


def test_the_record_in_dns_is_of_strings_of_255_characters_at_most() -> None:
    from pipeline.config.signing_key import record

    for kind in ("rsa", "ed25519"):
        strings = re.findall(r'"([^"]*)"', record(key(kind).private))
        assert max(map(len, strings)) <= 255
        assert "".join(strings).encode() == value(key(kind))


def _pem(private: object, password: bytes = b"") -> bytes:
    cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: b"", "not a private key"),
        (lambda: b"\xff" * 99, "not a private key"),
        (lambda: pem("rsa")[:600], "not a private key"),
        (lambda: _pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (lambda: _pem(ec.generate_private_key(ec.SECP256R1())), "neither an RSA nor an Ed25519"),
        (lambda: _pem(key("ed25519").private, b"sesam"), "passphrase"),
    ],
    ids=["empty", "noise", "half", "short", "another kind", "locked"],
)
def test_a_key_that_cannot_sign_is_refused_and_not_shown(made: object, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_key(made())  # type: ignore[operator]
    assert "BEGIN" not in str(caught.value)
