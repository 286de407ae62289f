"""What was read of published files, kept in memory up to a number of bytes; what was asked for longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic

from pipeline.web.files import PublishedFile

MOST_BYTES = 64_000_000
_OVERHEAD = 4_096
"""Bytes that an entry costs beside what it holds, its headers above all."""
_LOOK_AGAIN_SECONDS = 1.0


class Shelf:
    """Published files by path. For one thread: that of the web server's loop."""

    def __init__(self) -> None:
        self.bytes = 0
        self._files: OrderedDict[str, tuple[PublishedFile, float]] = OrderedDict()

    def get(self, path: str) -> PublishedFile | None:
        """The file, where what is kept is still what lies there.

        The file is looked at each time; its siblings, each of which is a whole copy for ever, once a second: whether more came.
        """
        found = self._files.get(path)
        if found is None:
            return None
        file, look_again = found
        now = monotonic()
        if not file.is_current or (now > look_again and not file.has_all_siblings):
            self._drop(path)
            return None
        if now > look_again:
            self._files[path] = (file, now + _LOOK_AGAIN_SECONDS)
            self._files.move_to_end(path)
        return file

    def put(self, path: str, file: PublishedFile) -> None:
        """Keep a file that was just read, in the place of others."""
        self._drop(path)
        self._files[path] = (file, monotonic() + _LOOK_AGAIN_SECONDS)
        self.bytes += _cost(path, file)
        while self.bytes > MOST_BYTES and len(self._files) > 1:
            self._drop(next(iter(self._files)))

    def clear(self) -> None:
        """Forget all."""
        self._files.clear()
        self.bytes = 0

    def _drop(self, path: str) -> None:
        if (found := self._files.pop(path, None)) is not None:
            self.bytes -= _cost(path, found[0])


def _cost(path: str, file: PublishedFile) -> int:
    return _OVERHEAD + len(path) + file.kept
