"""Why no list of news was found on a page, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.block import HEADINGS
from pipeline.collect.markup import squeeze
from pipeline.collect.outline import Group, Outline
from pipeline.collect.phrases import ACCEPT_COOKIES

_NAME = 'If there is one after all, name its blocks: item = "…" under [source.page].'
_ELSEWHERE = "Give the address of a feed, of the site's sitemap, or of the page that the news comes from."
_SHELL = "#app, #root, #__next, #__nuxt, app-root, [data-reactroot], [ng-version]"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page was before anything was taken out of it: counted first, because reading strips scripts and buttons."""

    scripts: int
    shell: bool
    password: bool
    buttons: tuple[str, ...]


def facts_of(tree: LexborHTMLParser) -> Facts:
    """Counts them; call it before anything is taken out."""
    buttons = tuple(squeeze(node.text()[:200]) for node in tree.css("button, input[type=submit], a[role=button]")[:50])
    return Facts(
        scripts=len(tree.css("script")),
        shell=tree.css_first(_SHELL) is not None,
        password=tree.css_first("input[type=password]") is not None,
        buttons=buttons,
    )


def explain(tree: LexborHTMLParser, outline: Outline, facts: Facts, ahead: int) -> tuple[str, str]:
    """The reason in a clause ("it asks for a password"), and a fix. ``ahead``: how many blocks bear a date to come."""
    if wall := wall_of(tree, facts):
        return wall
    own = [group for group in outline.groups if not group.aside]
    text = squeeze(tree.body.text() if tree.body else "")
    if len(text) < 300 and (facts.shell or facts.scripts) and not _says_anything(outline):
        return "the page is built in the browser by scripts and holds no text of its own", _ELSEWHERE
    if _story(outline) >= 300:
        return "it looks like a single article", f"Give the address of the page that lists such articles. {_NAME}"
    if any(_headed_without_link(group) for group in own):
        return "its repeated blocks have no addresses of their own", f"An item needs a link to its own page. {_ELSEWHERE}"
    if ahead >= 2:
        return "what repeats on it is an agenda: the dates are still to come", f"Give the address of the news. {_NAME}"
    if not outline.groups:
        return "nothing on it repeats", f"Give the address of a page that lists news. {_NAME}"
    return "all that repeats on it reads like navigation", f"Give the address of a page that lists news. {_NAME}"


def wall_of(tree: LexborHTMLParser, facts: Facts) -> tuple[str, str] | None:
    """What stands before the page, a password or a question about cookies, and a fix; None where nothing does."""
    text = squeeze(tree.body.text() if tree.body else "")
    if facts.password and len(text) < 3_000:
        return "it asks visitors to log in", "Give an address that anyone can open: Gazet does not log in."
    if _is_cookie_wall(tree, text, facts):
        return "it only asks for consent to cookies", f"The news stands behind that question. {_ELSEWHERE}"
    return None


def _says_anything(outline: Outline) -> bool:
    """Whether a link or a heading stands outside navigation, footers and the like."""
    told = ("a", "h1", "h2", "h3")
    return any(node.tag in told and not outline.aside[at] for at, node in enumerate(outline.nodes))


def _is_cookie_wall(tree: LexborHTMLParser, text: str, facts: Facts) -> bool:
    links = [squeeze(node.text()[:200]) for node in tree.css("a")[:50]]
    asks = any(ACCEPT_COOKIES.search(name) for name in (*facts.buttons, *links))
    return asks and len(text) < 3_000 and len(re.findall(r"(?i)cookie", text)) >= 2


def _story(outline: Outline) -> int:
    """Letters of running text outside asides, below a main heading."""
    if not any(node.tag == "h1" and not outline.aside[at] for at, node in enumerate(outline.nodes)):
        return 0
    texts = (len(node.text()) for at, node in enumerate(outline.nodes) if node.tag == "p" and not outline.aside[at])
    return sum(length for length in texts if length >= 80)


def _headed_without_link(group: Group) -> bool:
    first = group.blocks[:20]
    bare = [block for block in first if block.tag != "a" and block.css_first("a[href]") is None]
    return 2 * sum(block.css_first(HEADINGS) is not None for block in bare) > len(first)
