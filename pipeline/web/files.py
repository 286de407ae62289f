"""Published files over HTTP: GET and HEAD with validators (RFC 9110 §8.8, §13), and no way out of the folder."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

from pipeline.web.edge import CSP

_TYPES = {
    ".rss": "application/rss+xml; charset=utf-8",
    ".atom": "application/atom+xml; charset=utf-8",
    ".json": "application/feed+json; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".xml": "application/xml; charset=utf-8",
}
_STYLED = CSP.format(style="style-src 'unsafe-inline'; ")
"""A published page says the same of itself; its template may be the operator's."""


def find(root: Path, path: str) -> Path | None:
    """The file that ``path`` (decoded, with its slash) names below ``root``; None for anything else.

    No hidden name, nothing above, no way through a link that leads outside.
    """
    parts = path.split("/")[1:]
    if any(part.startswith(".") or not part or not part.isprintable() or "\\" in part for part in parts):
        return None
    try:
        found = root.joinpath(*parts).resolve(strict=True)
        inside = found.is_relative_to(root.resolve(strict=True))
    except (OSError, RuntimeError, ValueError):  # a loop of links is a RuntimeError
        return None
    return found if inside and found.is_file() else None


def answer(file: Path, asked: Headers) -> Response | None:
    """The file, or 304 where the reader has it already; None when it went away meanwhile."""
    try:
        with file.open("rb") as opened:
            data = opened.read()
            changed = datetime.fromtimestamp(int(os.fstat(opened.fileno()).st_mtime), UTC)
    except OSError:
        return None
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"etag": etag, "last-modified": format_datetime(changed, usegmt=True), "cache-control": "public, max-age=300"}
    if _is_known(asked, etag, changed):
        return Response(status_code=304, headers=headers)
    headers["content-security-policy"] = _STYLED
    return Response(data, headers=headers | {"content-type": _media_type(file)})


def _media_type(file: Path) -> str:
    return _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"


def _is_known(asked: Headers, etag: str, changed: datetime) -> bool:
    """If-None-Match decides alone where it is there (RFC 9110 §13.1.3)."""
    if (given := asked.get("if-none-match")) is not None:
        return given.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in given.split(",")}
    try:
        since = parsedate_to_datetime(asked.get("if-modified-since", ""))
        return changed <= (since if since.tzinfo else since.replace(tzinfo=UTC))
    except (ValueError, TypeError, OverflowError, IndexError):
        return False
