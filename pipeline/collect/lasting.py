"""What of a text lasts: without clocks, counters, "2 uur geleden" and random values in addresses, which move by themselves."""

from __future__ import annotations

import re

_UNITS = (
    r"(?:seconden?|sec\.?|minuut|minuten|min\.?|uur|uren|dag(?:en)?|week|weken|maand(?:en)?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?"
    r"|weeks?|months?|sekunden?|stunden?|tag(?:en?)?|wochen?|monat(?:en?)?|secondes?|heures?|jours?|semaines?|mois)"
)
_NUMBER = r"(?:\d{1,4}|een|één|een paar|enkele|half|an?|one|a few|einer|einem|une?|quelques)"
_COUNTED = (
    r"(?:keer bekeken|keer gelezen|keer gedeeld|bekeken|gelezen|gedeeld|weergaven|views?|reacties?|comments?|reactions?|likes?"
    r"|shares?|lezers|readers|kommentare?|aufrufe|commentaires?|vues?|lectures)"
)
_NOW = (
    r"(?:het is(?: nu)?|nu|laatst bijgewerkt|bijgewerkt(?: op| om)?|last updated|updated(?: at)?|current time|it is(?: now)?"
    r"|es ist|stand|il est|mis à jour)"
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_COUNTERS = _words("bekeken leze gedeeld weergaven view react omment like share reader aufruf vue lecture")
_CLOCK_WORDS = ("het is", "nu", "bijgewerkt", "updated", "current time", "it is", "es ist", "stand", "il est", "mis à jour")
_AGO = re.compile(rf"\b{_NUMBER} {_UNITS} (?:geleden|ago)\b")
_SINCE = re.compile(rf"\b(?:vor|il y a) {_NUMBER} {_UNITS}(?!\w)")
_JUST_NOW = re.compile(r"zojuist|zonet|just now|gerade eben|à l'instant")
_COUNT = re.compile(
    rf"(?<![\w.,])(?:\d[\d.,]{{0,9}}+ ?[km]?|geen|nog geen|een|één|no|one|keine|aucun) ?{_COUNTED}\b"
    rf"|\b{_COUNTED} ?[:(]? ?\d[\d.,]{{0,9}}+ ?[km]?\b\)?"
)
_SECONDS = re.compile(r"\b\d{1,2}:\d\d:\d\d\b")
_CLOCK = re.compile(rf"\b{_NOW}\b.{{0,40}}?\b\d{{1,2}}[:.]\d\d\b(?: uur| uhr)?")
# Each on casefolded text, with words of which one is there if it matches: looking for those is much faster.
_MOVING: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("geleden", " ago"), _AGO),
    (("vor ", "il y a "), _SINCE),
    (("zojuist", "zonet", "just now", "gerade eben", "à l'instant"), _JUST_NOW),
    (_COUNTERS, _COUNT),
    ((":",), _SECONDS),
    (_CLOCK_WORDS, _CLOCK),
)
_RANDOM = re.compile(r"\W*+(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]{0,15}+\d)[0-9a-f]{16,}+)\W*+")
_SHORTEST_RANDOM = 16
_RANDOM_VALUE = re.compile(
    r"[?&;](?:amp;)?(?:(?:nonce|_?wpnonce|token|sid|session(?:id)?|phpsessid|jsessionid|ts?|_|rnd|rand(?:om)?|cb|cachebuster|ver|v)"
    r"=[^&\"#]*+|[^&=\"#?]{1,40}+=(?:\d{9,}+|[0-9a-f]{16,}+)(?=[&\"#]|\Z))",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>]*+>")
_LINK = re.compile(r"<a href=\"(?:https?:)?//([^\"#]*+)[^<>]*+>(?!\s*+<img)")
_FIGURES = re.compile(r"\d[\d.,:]*+")


def lasting(text: str) -> str:
    """Plain text without what moves by itself, casefolded where that was looked for; equal for equal readings."""
    words = text.casefold().split()
    if max(map(len, words), default=0) >= _SHORTEST_RANDOM:
        words = [word for word in words if len(word) < _SHORTEST_RANDOM or not _RANDOM.fullmatch(word)]
    folded = " ".join(words)
    for some, pattern in _MOVING:
        if any(word in folded for word in some):
            folded = " ".join(pattern.sub("", folded).split())
    return folded


def lasting_address(url: str) -> str:
    """An address without scheme, fragment and values that are there to differ each time."""
    bare = url.partition("#")[0].removeprefix("https:").removeprefix("http:")
    return _RANDOM_VALUE.sub("", bare) if "?" in bare else bare


def lasting_html(markup: str) -> list[str]:
    """The same of sanitised markup: its text, and where its links lead. Pictures in it may rotate."""
    if not markup:
        return []
    return [lasting(_TAG.sub(" ", markup)), *(lasting_address(address) for address in _LINK.findall(markup))]


def without_figures(title: str, summary: str, content_html: str) -> str:
    """What stays of an item when all its figures are left out: two readings that agree in it differ as clocks do."""
    return _FIGURES.sub("0", "\n".join((lasting(title), lasting(summary), *lasting_html(content_html))))
