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


_COUNTERS = _words("bekeken gelezen gedeeld weergaven view react comment like share lezers readers aufrufe kommentar vue lecture")
# Each pattern, on casefolded text, with words of which one is there if it matches: looking for those is much faster.
_MOVING: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("geleden", " ago"), re.compile(rf"\b{_NUMBER} {_UNITS} (?:geleden|ago)\b")),
    (("vor ", "il y a "), re.compile(rf"\b(?:vor|il y a) {_NUMBER} {_UNITS}(?!\w)")),
    (("zojuist", "zonet", "just now", "gerade eben", "à l'instant"), re.compile(r"zojuist|zonet|just now|gerade eben|à l'instant")),
    (
        _COUNTERS,
        re.compile(
            rf"(?<![\w.,])(?:\d[\d.,]{{0,9}}+ ?[km]?|geen|nog geen|een|één|no|one|keine|aucun) ?{_COUNTED}\b"
            rf"|\b{_COUNTED} ?[:(]? ?\d[\d.,]{{0,9}}+ ?[km]?\b\)?"
        ),
    ),
    ((":",), re.compile(r"\b\d{1,2}:\d\d:\d\d\b")),
    ((":", "."), re.compile(rf"\b{_NOW}\b.{{0,40}}?\b\d{{1,2}}[:.]\d\d\b(?: uur| uhr)?")),
)
_RANDOM = re.compile(r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]{0,15}+\d)[0-9a-f]{16,}+)\b")
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
    folded = " ".join(text.casefold().split())
    for words, pattern in _MOVING:
        if any(word in folded for word in words):
            folded = pattern.sub("", folded)
    return _RANDOM.sub("", folded) if len(folded) > 16 else folded


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
