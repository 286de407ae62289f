"""Keys from settings to mailbox: what is signed, with what, and what happens when a key goes away."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import config
from pipeline.compose.dkim import Key
from pipeline.errors import ConfigError
from pipeline.jobs import notices, sample, signing
from pipeline.jobs.doctor import here, own_keys
from pipeline.jobs.doctor.lookup import Lookup
from pipeline.jobs.signing_pool import SigningPool
from pipeline.store import editions, runs
from tests.integration.command import gazet
from tests.servers.dns import DnsServer
from tests.servers.web import WebServer
from tests.signatures import DOMAIN, key, pem, records, verdicts
from tests.world import World, moment

ONE = 'selector = "a"\nkey_file = "var/x.pem"'
MORNING = "2026-11-24T08:00"


class Signing(World):
    """A world whose keys can be given and taken."""

    def give(self, *kinds: str, number: int = 1, more: str = "") -> None:
        """``[[dkim]]`` of these kinds and no others."""
        self.take()
        for kind in kinds:
            (self.folder / f"var/{kind}.pem").write_bytes(pem(kind, number))
            self._append(f'[[dkim]]\nselector = "of-{kind}"\nkey_file = "var/{kind}.pem"\n{more}\n')

    def take(self) -> None:
        """No ``[[dkim]]`` at all."""
        self.close()
        path = self.folder / "gazet.toml"
        path.write_text(path.read_text(encoding="utf-8").partition("[[dkim]]")[0], encoding="utf-8")

    def _append(self, text: str) -> None:
        path = self.folder / "gazet.toml"
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    def open_only(self) -> str:
        """The edition of this morning, opened and not sent; its label."""
        from pipeline.jobs.open_edition import open_edition

        return open_edition(self.site, "po", moment(MORNING)).label

    def raw(self) -> list[bytes]:
        """What the outbox holds, byte for byte."""
        folder = self.folder / "var/outbox/new"
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []

    def problems(self) -> list[str]:
        with self.site.store.read() as tx:
            return [f"{one.what} {one.fix}" for one in runs.problems(tx)]


@pytest.fixture
def world(tmp_path: Path, web: WebServer) -> Signing:
    made = Signing(tmp_path / "site", web)
    made.news("Eerste bericht", "2026-11-20T09:00")
    made.run("2026-11-23T12:00")
    made.subscribe("ann@example.org", name="Ann Bakker", cadence="daily", time="08:00", at="2026-11-23T12:30")
    return made


def test_every_digest_is_signed_with_each_key(world: Signing) -> None:
    world.give("ed25519", "rsa")
    world.run(MORNING)
    [mail] = world.raw()
    assert verdicts(mail) == [True, True]


def test_a_key_for_another_domain_signs_nothing(world: Signing) -> None:
    world.give("ed25519", more='domain = "elsewhere.org"')
    world.run(MORNING)
    [mail] = world.raw()
    assert b"DKIM-Signature" not in mail


@pytest.mark.parametrize("how", ["taken", "replaced"])
def test_an_edition_whose_key_is_gone_waits_and_never_goes_out_unsigned(world: Signing, how: str) -> None:
    world.give("ed25519")
    label = world.open_only()
    if how == "taken":
        world.take()
    else:
        world.give("ed25519", number=2)
    world.run("2026-11-24T08:01")
    assert world.raw() == []
    [problem] = [one for one in world.problems() if label in one]
    assert "of-ed25519 of example.org" in problem
    assert f"gazet resume {label}" in problem
    assert world.sums(label) == {"queued": 1}

    world.give("ed25519")
    assert gazet("resume", label, site=world.folder).code == 0
    world.run("2026-11-24T08:02")
    [mail] = world.raw()
    assert verdicts(mail) == [True]


def test_an_edition_that_was_opened_without_a_key_keeps_its_bytes(world: Signing) -> None:
    world.open_only()
    world.give("ed25519")
    world.run("2026-11-24T08:01")
    [mail] = world.raw()
    assert b"DKIM-Signature" not in mail


def test_the_bytes_are_the_same_whenever_and_with_whatever_other_keys_they_are_sent(world: Signing) -> None:
    world.give("ed25519")
    world.open_only()
    with world.site.store.read() as tx:
        [edition] = editions.latest(tx, 1)
        [variant] = editions.variants(tx, edition.id)
    before = signing.template(world.site.settings, edition.dkim, variant.data)
    world.give("rsa", "ed25519")
    after = signing.template(world.site.settings, edition.dkim, variant.data)
    made = sample.sample(world.site, "po", "", moment(MORNING), stand_in=True)
    person = sample._personal(world.site, made.feed, 1, "ann@example.org", "Ann", edition=2)
    assert before.fill(person) == after.fill(person)


def test_previews_test_mails_and_notices_are_signed_like_digests(world: Signing) -> None:
    world.give("ed25519")
    made = sample.sample(world.site, "po", "", moment(MORNING), stand_in=True)
    assert verdicts(sample.mail(world.site, made)) == [True]
    assert verdicts(sample.as_test(world.site, made, "bob@example.org").data) == [True]
    with world.site.store.write() as tx:
        now = moment(MORNING)
        words = ("Er is iets", "Kijk  eens.\n\n\n")
        sender = '"Platform" <redactie@example.org>'
        notices.post(
            world.site, tx, kind=notices.ALERT, dedupe_key="a", sender=sender, recipient="bob@example.org", words=words,
            language="nl", now=now, deadline_at=now.replace(year=2027),
        )  # fmt: skip
    world.run(MORNING)
    assert [verdicts(one) for one in world.raw()] == [[True], [True]]


def test_a_new_key_is_private_is_never_replaced_and_its_lines_work(world: Signing) -> None:
    world.close()
    done = gazet("dkim", "new", "--algorithm", "ed25519", "--selector", "s1", site=world.folder)
    path = world.folder / "var/dkim/s1.pem"
    assert (done.code, done.err, path.stat().st_mode & 0o777) == (0, "", 0o600)
    assert "PRIVATE" not in done.out
    before = path.read_bytes()
    again = gazet("dkim", "new", "--selector", "s1", site=world.folder)
    assert (again.code, path.read_bytes()) == (2, before)
    assert "is there already" in again.err

    toml = world.folder / "gazet.toml"
    toml.write_text(toml.read_text(encoding="utf-8") + "\n[[dkim]]" + done.out.partition("[[dkim]]")[2], encoding="utf-8")
    world.run(MORNING)
    [said] = re.findall(r's1\._domainkey\.example\.org\. TXT "(.*)"', done.out)
    [mail] = world.raw()
    assert verdicts(mail, {b"s1._domainkey.example.org.": said.encode()}) == [True]


@pytest.mark.parametrize("words", [("--selector", "../x"), ("--domain", "a b"), ("--algorithm", "dsa")])
def test_a_wrong_word_makes_no_key(world: Signing, words: tuple[str, str]) -> None:
    world.close()
    assert gazet("dkim", "new", *words, site=world.folder).code == 2
    assert not (world.folder / "var/dkim").exists()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('selector = "a"\nkey_file = "var/gone.pem"', "dkim.0.key_file: var/gone.pem cannot be read"),
        ('selector = "a"\nkey_file = "gazet.toml"', "dkim.0.key_file: what gazet.toml holds is not a private key"),
        ('selector = "a b"\nkey_file = "var/x.pem"', 'dkim.0.selector: "a b" is not a selector'),
        ('selector = "a"\nkey_file = "var/x.pem"\ndomain = "x"', 'dkim.0.domain: "x" is not a domain'),
        (f"{ONE}\n[[dkim]]\n{ONE}", 'dkim.1.selector: "a" is taken'),
        (f'{ONE}\n[[dkim]]\n{ONE}\ndomain = "example.org"', 'dkim.1.selector: "a" is taken'),
        ('selector = "a"', "dkim.0.key_file: is missing"),
    ],
    ids=["no file", "no key", "no selector", "no domain", "twice", "twice for one domain", "no key_file"],
)
def test_a_mistake_in_dkim_is_named_with_its_fix(world: Signing, table: str, says: str) -> None:
    (world.folder / "var/x.pem").write_bytes(pem("ed25519"))
    world._append(f"[[dkim]]\n{table}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(world.folder)
    [problem] = caught.value.problems
    assert str(problem).startswith(f"gazet.toml: {says}")


def test_settings_never_show_a_key_and_a_backup_holds_its_file(world: Signing) -> None:
    world.give("ed25519")
    loaded = config.load(world.folder)
    secret = pem("ed25519").splitlines()[1].decode()
    assert secret not in repr(loaded) + loaded.model_dump_json()
    assert "var/ed25519.pem" in loaded.named_files()


def test_the_doctor_tells_of_a_key_that_others_can_read(world: Signing) -> None:
    world.give("ed25519")
    path = world.folder / "var/ed25519.pem"
    found = {}
    for mode in (0o644, 0o600):
        path.chmod(mode)
        found[mode] = [one.level for one in here.files(config.load(world.folder)) if str(path) in one.text]
    assert found == {0o644: ["fail"], 0o600: []}


def test_the_doctor_says_that_few_look_at_ed25519_alone() -> None:
    with DnsServer() as server:
        for name, text in records().items():
            server.add(
                name.decode().rstrip("."), "TXT", " ".join(f'"{text[at : at + 255].decode()}"' for at in range(0, len(text), 255))
            )
        levels = [
            [one.level for one in own_keys.look("DKIM", DOMAIN, [key(kind) for kind in kinds], Lookup(server.address))]
            for kinds in (("ed25519",), ("ed25519", "rsa"))
        ]
    assert levels == [["ok", "note"], ["ok", "ok"]]


@pytest.mark.parametrize(
    ("values", "level", "says"),
    [
        ([records()[b"of-rsa._domainkey.example.org."]], "ok", "the key that signs"),
        ([], "fail", "no key is at"),
        ([b"v=DKIM1; k=rsa; p=" + b"M" * 392], "fail", "is not the one that signs"),
        ([b"v=DKIM1; p="], "fail", "is not the one that signs"),
        ([records()[b"of-rsa._domainkey.example.org."], b"v=DKIM1; p=x"], "fail", "2 keys"),
        ([records()[b"of-rsa._domainkey.example.org."].replace(b"k=rsa", b"k=rsa; t=y:s")], "note", "t=y"),
    ],
    ids=["right", "none", "another", "revoked", "two", "testing"],
)
def test_the_doctor_compares_the_key_in_dns_with_the_one_that_signs(values: list[bytes], level: str, says: str) -> None:
    with DnsServer() as server:
        strings = [" ".join(f'"{one[at : at + 255].decode()}"' for at in range(0, len(one), 255)) for one in values]
        if strings:
            server.add(f"of-rsa._domainkey.{DOMAIN}", "TXT", *strings)
        [found] = own_keys.look("DKIM example.org", DOMAIN, [key("rsa")], Lookup(server.address))
    assert (found.level, says in found.text) == (level, True), found
    assert level != "fail" or found.fix


def test_a_pool_signs_as_this_process_does_also_when_its_processes_are_killed() -> None:
    keys = [key("rsa"), key("ed25519")]
    digests = [bytes((number,)) * 32 for number in range(20)]
    wanted = [one.sign(digest) for one in keys for digest in digests]
    with SigningPool(keys, 2) as pool, ThreadPoolExecutor(4) as threads:
        assert [*threads.map(pool.sign, [one for one in keys for _ in digests], digests * 2)] == wanted
        for child in pool._made:
            child.kill()
            child.wait()
        assert [pool.sign(one, digest) for one in keys for digest in digests] == wanted


def test_a_large_edition_is_signed_by_processes_of_their_own(world: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    sign = SigningPool.sign

    def ask(pool: SigningPool, by: Key, digest: bytes) -> bytes:
        asked.append(digest)
        return sign(pool, by, digest)

    monkeypatch.setattr(signing, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(SigningPool, "sign", ask)
    world.give("rsa")
    world.run(MORNING)
    [data] = world.raw()
    assert len(asked) == 1
    assert verdicts(data) == [True]
