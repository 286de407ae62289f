"""The kinds of value a setting can have; each check raises ValueError with one readable sentence."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from datetime import timedelta
from email.utils import parseaddr
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import idna
from pydantic import AfterValidator, BeforeValidator, Field

from pipeline.config.terms import parse_term

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOST_PARTS = 200
_DURATION = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE_UNITS = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PUBLIC_PATH = re.compile(r"[A-Za-z0-9/._~-]*")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_DKIM_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/]+):([0-9]{1,5})")


def valid_slug(value: str) -> str:
    """A feed's name: a-z, 0-9 and - inside, at most 63 characters."""
    if not _SLUG.fullmatch(value):
        raise ValueError(f'"{value}" is not a feed\'s name: a-z, 0-9 and -, at most 63, such as "{slugify(value)}"')
    return value


def slugify(text: str) -> str:
    """A feed's name made from any text: accents go, what is left of a-z and 0-9 stays; "news" when that is nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].strip("-") or "news"


def _duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not a duration such as "30d", "6h", "15m" or "60s"')
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > 3650 * 86400:
        raise ValueError(f"{value!r} is more than ten years")
    return timedelta(seconds=seconds)


def _at_most(limit: timedelta, text: str) -> Any:
    def check(value: timedelta) -> timedelta:
        if value > limit:
            raise ValueError(f"is more than {text}")
        return value

    return check


def _at_least(limit: timedelta, text: str) -> Any:
    def check(value: timedelta) -> timedelta:
        if value < limit:
            raise ValueError(f"is less than {text}")
        return value

    return check


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value.strip()))
    except ValueError:
        raise ValueError(f'"{value}" is not a network or an address such as "10.0.0.0/8" or "127.0.0.1"') from None


def _rate(value: object) -> float:
    match = re.fullmatch(r"(\d+)\s*/\s*(\w+)", value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in _RATE_UNITS or int(match[1]) == 0:
        raise ValueError(f'{value!r} is not a rate such as "30/min", "5/s" or "1000/h"')
    return int(match[1]) / _RATE_UNITS[match[2]]


def clock_time(value: str) -> str:
    """HH:MM on a 24-hour clock."""
    if not _TIME.fullmatch(value):
        raise ValueError(f'"{value}" is not HH:MM')
    return value


def time_zone(value: str) -> str:
    """An IANA time zone."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{value}" is not a time zone such as "Europe/Amsterdam"') from None
    return value


def language_tag(value: str) -> str:
    """A BCP 47 language tag, loosely."""
    if len(value) > 35 or not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError(f'"{value}" is not a language such as "nl" or "en"')
    return value


def _plain(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("holds a line break or another control character")
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(_plain(value.strip()))
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise ValueError(f'"{value}" is not a URL: {error}') from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f'"{value}" is not an http or https URL')
    if parts.username or parts.password:
        raise ValueError("a URL with a user name or password in it is not accepted")
    return value.strip()


def _secret_url(value: str) -> str:
    """Like any http URL, but never shown: its path is the password of who may call it."""
    try:
        return _http_url(value)
    except ValueError:
        raise ValueError("is not an http or https URL without user name and password") from None


def _listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if match is None or int(match[2]) > 65535:
        raise ValueError(f'"{value}" is not HOST:PORT, such as "127.0.0.1:8080" or "[::1]:8080"')
    return value


def _public_url(value: str) -> str:
    """Our own address as it is put into headers and compared with what is asked for: its host in ASCII (IDNA 2008)."""
    parts = urlsplit(_http_url(value))
    if parts.query or parts.fragment:
        raise ValueError(f'"{value}" must not have a query or a fragment')
    if not _PUBLIC_PATH.fullmatch(parts.path):
        raise ValueError(f'"{value}" must have a path of a-z, A-Z, 0-9 and "/", "-", ".", "_", "~" alone')
    try:
        host, colon, port = parts.netloc.rpartition(":") if parts.port is not None else (parts.netloc, "", "")
        ascii_host = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f'"{value}" has no proper host: {error}') from None
    return f"{parts.scheme}://{ascii_host.lower()}{colon}{port}{parts.path.rstrip('/')}"


def valid_address(value: str) -> str:
    """A mail address as it may be written to (RFC 5321, SMTPUTF8 allowed), its domain in lower case.

    Raises ValueError with one readable sentence. Example domains are accepted: they are real in tests and rehearsals.
    """
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f'"{value}" is not a mail address: {str(error).rstrip(".")}') from None


def _mailbox(value: str) -> str:
    _name, address = parseaddr(_plain(value))
    if not address:
        raise ValueError(f'"{value}" is not an address such as "News <news@example.org>"')
    valid_address(address)
    return value


def _weekday(value: str) -> str:
    if value.lower() not in WEEKDAYS:
        raise ValueError(f'"{value}" is not one of {", ".join(WEEKDAYS)}')
    return value.lower()


def _selector(value: str) -> str:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    try:
        LexborHTMLParser("<p></p>").css(value)
    except (SelectolaxError, ValueError):
        raise ValueError(f'"{value}" is not a CSS selector') from None
    return value


def _store_url(value: str) -> str:
    """The store reads it; only the driver it would ask for in vain is caught here. Never shown: it may hold a password."""
    if _plain(value).startswith("postgres") and not value.startswith("postgresql+psycopg://"):
        raise ValueError('should begin with "postgresql+psycopg://"')
    if "://" in value and not value.startswith(("sqlite:", "sqlite+pysqlite:", "postgresql")):
        raise ValueError('should begin with "sqlite:///" or "postgresql+psycopg://"')
    if value.partition("://")[2].partition("/")[0].count("@") > 1:
        raise ValueError('has more than one "@": write one inside the password as %40')
    if "password=" in value.partition("?")[2]:
        raise ValueError("has a password behind the question mark: write it as user:password@host")
    return value


def dkim_selector(value: str) -> str:
    """The word under which DNS has a DKIM key (RFC 6376 §3.1)."""
    if not _DKIM_SELECTOR.fullmatch(value) or ".." in value:
        raise ValueError(f'"{value}" is not a selector: a-z, 0-9, - and . inside, at most 63, such as "gazet1"')
    return value


def mail_domain(value: str) -> str:
    """A domain as DNS knows it: in ASCII (IDNA 2008) and lower case."""
    try:
        found = (value if value.isascii() else idna.encode(value, uts46=True).decode("ascii")).lower()
    except idna.IDNAError:
        found = ""
    if not _DOMAIN.fullmatch(found):
        raise ValueError(f'"{value}" is not a domain such as "example.org"')
    return found


def _private_hosts(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)):
        return value
    raise ValueError('should be true, or a list such as ["127.0.0.1", "intranet.example.org:8080", "10.0.0.0/8"]')


def _words(value: object) -> object:
    """One text is a list of one."""
    return [value] if isinstance(value, str) else value


def _wanted(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parse_term(_plain(value))
    return _not_empty(values)


def _not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("an empty list fits nothing: leave the key out")
    return values


def _topic(value: str) -> str:
    name = " ".join(value.split())
    if not name or ";" in name:
        raise ValueError(f'"{value}" is not a topic: it needs a name without ";", which separates topics elsewhere')
    return name


def _all_or_some(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)):
        return value
    raise ValueError('should be true, or a list such as ["Onderwijs", "Zorg"]')


def _each_once(value: bool | tuple[str, ...]) -> bool | tuple[str, ...]:
    names = [name.casefold() for name in value] if isinstance(value, tuple) else []
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ValueError(f'names "{twice}" twice')
    if len(names) > MOST_PARTS:
        raise ValueError(f"has {len(names)} names; {MOST_PARTS} are possible")
    return value


def _mail_folder(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("holds other letters than plain ASCII: name the folder as IMAP does (RFC 3501 §5.1.3)")
    return value


def _optional(check: Any) -> Any:
    return lambda value: check(value) if value else ""


PrivateHosts = Annotated[bool | tuple[str, ...], BeforeValidator(_private_hosts)]
Slug = Annotated[str, AfterValidator(valid_slug)]
Listen = Annotated[str, AfterValidator(_listen)]
SecretUrl = Annotated[str, AfterValidator(_optional(_secret_url))]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
RelayTimeout = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_at_most(timedelta(minutes=10), "10m"))]
PollInterval = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_at_most(timedelta(days=7), "7d"))]
ReadTimeout = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_at_most(timedelta(minutes=5), "5m"))]
SignupExpiry = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_at_least(timedelta(hours=1), "1h")),
    AfterValidator(_at_most(timedelta(days=30), "30d")),
]
Network = Annotated[str, AfterValidator(_network)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words), AfterValidator(_wanted)]
Topic = Annotated[str, AfterValidator(_plain), Field(max_length=80), AfterValidator(_topic)]
Parts = Annotated[bool | tuple[Topic, ...], BeforeValidator(_all_or_some), AfterValidator(_each_once)]
Rate = Annotated[float, BeforeValidator(_rate)]
Plain = Annotated[str, AfterValidator(_plain)]
MailFolder = Annotated[str, AfterValidator(_mail_folder), Field(min_length=1, max_length=200)]
OptionalMailFolder = Annotated[str, AfterValidator(_mail_folder), Field(max_length=200)]
Title = Annotated[str, AfterValidator(_plain), Field(min_length=1, max_length=300)]
OptionalTitle = Annotated[str, AfterValidator(_plain), Field(max_length=200)]
Address = Annotated[str, AfterValidator(_plain), AfterValidator(valid_address)]
OptionalAddress = Annotated[str, AfterValidator(_plain), AfterValidator(_optional(valid_address))]
Language = Annotated[str, AfterValidator(language_tag)]
Languages = Annotated[tuple[Language, ...], BeforeValidator(_words), AfterValidator(_not_empty)]
OptionalLanguage = Annotated[str, AfterValidator(_optional(language_tag))]
Zone = Annotated[str, AfterValidator(time_zone)]
OptionalZone = Annotated[str, AfterValidator(_optional(time_zone))]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
OptionalSelector = Annotated[str, AfterValidator(_optional(_selector))]
Clock = Annotated[str, AfterValidator(clock_time)]
Mailbox = Annotated[str, AfterValidator(_optional(_mailbox))]
OptionalHttpUrl = Annotated[str, AfterValidator(_optional(_http_url))]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Weekday = Annotated[str, AfterValidator(_weekday)]
DkimSelector = Annotated[str, AfterValidator(dkim_selector)]
OptionalDomain = Annotated[str, AfterValidator(_optional(mail_domain))]
