"""The words with which sites lead on from a teaser to the article."""

from __future__ import annotations

import re

_READ_MORE = (
    r"(?:lees (?:meer|verder)|(?:meer|verder) lezen|continue reading|read more|weiterlesen|mehr lesen|lire la suite|en savoir plus)"
)
# With a capital, as a link's text: a sentence may well end in "meer lezen".
READ_MORE_AT_END = re.compile(rf"(?<![\s»›>→|–-])[\s»›>→|–-]*+(?<!\w)(?=[A-Z])(?i:{_READ_MORE})(?!\w)[\s»›>→….:|-]*+$")
READ_MORE_LINK = re.compile(
    rf"(?:{_READ_MORE}|lees(?: het (?:hele )?(?:artikel|bericht))?|bekijk(?: (?:meer|bericht|artikel))?"
    r"|read (?:on|the (?:full )?(?:article|story))|more|meer(?: info(?:rmatie)?)?|mehr(?: erfahren)?|lire plus)(?:\b.{0,120})?",
    re.IGNORECASE,
)
