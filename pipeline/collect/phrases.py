"""The words that sites use around their news: to lead on to the article or the next page, and to say what a block is."""

from __future__ import annotations

import re

_READ_MORE = (
    r"(?:lees (?:meer|verder)|(?:meer|verder) lezen|continue reading|read more|weiterlesen|mehr lesen|lire la suite|en savoir plus)"
)
# With a capital, as a link's text: a sentence may well end in "meer lezen".
READ_MORE_AT_END = re.compile(rf"(?<![\s»›>→|–-])[\s»›>→|–-]*+(?<!\w)(?=[A-Z])(?i:{_READ_MORE})(?!\w)[\s»›>→….:|-]*+$")
# "Meer" alone, or "Meer over …": "Meer geld voor scholen" is a headline.
READ_MORE_LINK = re.compile(
    rf"(?:(?:{_READ_MORE}|lees het (?:hele )?(?:artikel|bericht)|bekijk (?:meer|bericht|artikel)"
    r"|read the (?:full )?(?:article|story))(?:\b.{0,120})?"
    r"|(?:lees|bekijk|read on|more|meer|mehr|lire plus|mehr erfahren)"
    r"(?: (?:over|about|über|sur|info\w{0,12})\b.{0,120})?[\W_]{0,9})",
    re.IGNORECASE,
)
# What stands where a kicker may stand and is none: counts of comments and readers, the time that reading takes, "Read more".
NO_KICKER = re.compile(
    r"(?:(?:\d{1,6}|geen|no|keine?|aucun) (?:reacties?|comments?|kommentare?|commentaires?|views?|hits|weergaven|likes?)"
    r"|(?:leestijd|lesezeit|reading time|lecture)?\W{0,3}\d{1,3}\W{0,2}min\w{0,6}\.?(?: \w{1,12})?"
    rf"|(?:door|by|von|par) .{{1,60}}|{READ_MORE_LINK.pattern})",
    re.IGNORECASE,
)
NEXT_PAGE = re.compile(
    r"[\W_]{0,9}(?:(?:ga naar |naar )?(?:de )?volgende(?: pagina| berichten)?|oudere? (?:berichten|artikelen|nieuws)"
    r"|(?:go to )?(?:the )?next(?: page| posts)?|older(?: posts| entries| articles| news)?"
    r"|(?:zur )?nächsten?(?: seite)?|weiter|ältere (?:beiträge|artikel|meldungen|einträge)"
    r"|(?:page )?suivante?|articles (?:plus anciens|précédents)|plus anciens)[\W_]{0,9}",
    re.IGNORECASE,
)
NEXT_SIGN = re.compile(r"\s{0,9}(?:»|›|>|→|⟩|>>|❯)\s{0,9}")
# What a heading, a class name or an address says of the blocks below it: news, or something beside it.
NEWS_WORD = re.compile(
    r"(?<![a-z])(?:nieuws\w{0,20}|news(?!letter)(?:room|items?|list)?|actuee?l\w{0,3}|aktuell\w{0,6}|actualit\w{1,6}|blogs?|berichten|artikelen|articles?"
    r"|pers(?:berichten)?|press|presse\w{0,14}|meldungen|nachrichten|neuigkeiten|communiqu\w{1,4}|updates|uitgelicht|featured|posts?)(?![a-z])",
    re.IGNORECASE,
)
OTHER_WORD = re.compile(
    r"(?<![a-z])(?:agenda|kalender|events?|evenement(?:en)?|événements?|evenements?|calendar|calendrier|veranstaltung(?:en)?|termine?"
    r"|bijeenkomsten|webinars?|cursussen|trainingen|products?|producten|produkte?|produits?|shop|winkel|aanbod|diensten|services?"
    r"|leistungen|partners?|sponsors?|sponsoren|partenaires|auteurs?|authors?|autoren|team|medewerkers|redactie|contact\w{0,8}"
    r"|reacties|comments?|kommentare|commentaires|tags?|onderwerpen|thema.?s|categor\w{1,6}|snel naar|quick ?links|zie ook|see also"
    r"|siehe auch|voir aussi|nieuwsbrief|newsletter|vacatures?|jobs|stellenangebote|downloads?|sitemap)(?![a-z])",
    re.IGNORECASE,
)
RELATED_WORD = re.compile(
    r"(?<![a-z])(?:lees ook|gerelateerd\w{0,2}|related\w{0,3}|you may also like|read also|lire aussi|à lire aussi|sur le même sujet"
    r"|auch interessant|lesen sie auch|mehr zum thema|misschien ook interessant|bekijk ook|meest gelezen|most (?:read|popular)"
    r"|populaire?|popular|beliebt\w{0,4})(?![a-z])",
    re.IGNORECASE,
)
PRICE = re.compile(r"(?:€|\$|£|(?<![A-Za-z])(?:EUR|CHF|USD)(?![A-Za-z]))\s{0,3}\d|\d\s{0,3}(?:€|EUR(?![A-Za-z]))")
ACCEPT_COOKIES = re.compile(
    r"(?<!\w)(?:accepte(?:ren|er|z|r)|akkoord|toestaan|accept|agree|allow|akzeptieren|zustimmen|einverstanden|autoriser)(?!\w)",
    re.IGNORECASE,
)
