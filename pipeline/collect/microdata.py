"""Microdata (HTML §5.2): elements with itemscope and itemtype become descriptions as JSON-LD would give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.markup import squeeze

_MAX_SCOPES = 2_000
_MAX_NODES = 5_000
_MAX_DEPTH = 3
_MAX_VALUES = 50
_MAX_TEXT = 5_000
_ALL_TEXT = 3_000_000
_TITLES = frozenset(("headline", "name"))
_THINGS = frozenset(("author", "image", "articleSection", "inLanguage", "mainEntityOfPage"))
_TEXTS = frozenset(
    (
        *("url", "description", "datePublished", "dateCreated", "dateModified", "keywords", "thumbnailUrl"),
        *("alternateName", "contentUrl", "width", "height", "caption"),
    )
)
_ADDRESSED = {
    **dict.fromkeys(("a", "area", "link"), "href"),
    **dict.fromkeys(("audio", "embed", "iframe", "img", "source", "track", "video"), "src"),
    "object": "data",
}


def described_elements(tree: LexborHTMLParser, types: frozenset[str]) -> Iterator[Mapping[str, object]]:
    """The items of these schema.org types in document order, those inside others too."""
    reader = _Reader()
    for scope in tree.css("[itemscope][itemtype]")[:_MAX_SCOPES]:
        if not types.isdisjoint(name.rpartition("/")[2] for name in _types(scope)):
            yield reader.description(scope, 0)


def _types(scope: LexborNode) -> list[str]:
    return (scope.attributes.get("itemtype") or "").split()[:10]


class _Reader:
    """Reads a page's scopes within one budget of text, because texts of nested elements hold each other's."""

    def __init__(self) -> None:
        self._room = _ALL_TEXT

    def description(self, scope: LexborNode, depth: int) -> dict[str, object]:
        """An item's properties, as far as they are of use; each is a list, since each may be said several times."""
        found: dict[str, list[object]] = {}
        lead = ""
        for node in _own_nodes(scope):
            for name in _properties(node):
                values = found.setdefault(name, [])
                if len(values) < _MAX_VALUES:
                    values.append(self._value(node, name, depth))
            lead = lead or _title_link(node)
        if lead:
            found.setdefault("url", [lead])
        return {**found, "@type": list(_types(scope)), "@id": squeeze(scope.attributes.get("itemid") or "")}

    def _value(self, node: LexborNode, name: str, depth: int) -> object:
        """The value of a property, by its element; an itemid is an address that says itself what it is about."""
        attributes = node.attributes
        if name == "mainEntityOfPage" and attributes.get("itemid"):
            return squeeze(attributes.get("itemid") or "")
        if "itemscope" in attributes:
            return self.description(node, depth + 1) if name in _THINGS and depth < _MAX_DEPTH else None
        told = attributes.get("content") or attributes.get(_ADDRESSED.get(str(node.tag), ""))
        if told is None:
            told = attributes.get({"time": "datetime", "data": "value", "meter": "value"}.get(str(node.tag), ""))
        return squeeze(told) if told is not None else self._text(node)

    def _text(self, node: LexborNode) -> str:
        if self._room <= 0:
            return ""
        text = node.text()
        self._room -= len(text)
        return squeeze(text[:_MAX_TEXT])


def _properties(node: LexborNode) -> list[str]:
    names = (node.attributes.get("itemprop") or "").split()[:10]
    return [name for name in names if name in _TITLES or name in _THINGS or name in _TEXTS]


def _own_nodes(scope: LexborNode) -> Iterator[LexborNode]:
    """Elements inside a scope but not inside a scope within it; those scopes themselves are among them."""
    waiting = list(scope.iter())[::-1]
    for _node in range(_MAX_NODES):
        if not waiting:
            return
        node = waiting.pop()
        yield node
        if "itemscope" not in node.attributes:
            waiting.extend(list(node.iter())[::-1])


def _title_link(node: LexborNode) -> str:
    """The address of a link that is a headline, is inside one, or is around one."""
    if _is_title(node) and node.parent is not None and node.parent.tag == "a":
        return squeeze(node.parent.attributes.get("href") or "")
    current: LexborNode | None = node if node.tag == "a" else None
    for _step in range(3):
        if current is None:
            return ""
        if _is_title(current):
            return squeeze(node.attributes.get("href") or "")
        current = current.parent
    return ""


def _is_title(node: LexborNode) -> bool:
    return not _TITLES.isdisjoint((node.attributes.get("itemprop") or "").split()[:10])
