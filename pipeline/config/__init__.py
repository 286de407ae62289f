"""Settings from ``gazet.toml``, ``feeds/*.toml`` and the environment, checked as a whole.

``load(folder)`` returns one frozen ``Settings`` or raises one ``ConfigError`` that lists every mistake with its file and
key. An environment variable such as ``GAZET_SITE__URL`` wins over the file (``__`` separates the levels).
"""

from pipeline.config.fields import WEEKDAYS, clock_time, language_tag, slugify, time_zone, valid_address, valid_slug
from pipeline.config.load import current_files, load, names_other_store
from pipeline.config.sections import (
    OUTBOX,
    DigestSettings,
    FeedSettings,
    PageSettings,
    RelaySettings,
    Settings,
    SourceSettings,
)
from pipeline.config.write import quoted

__all__ = [
    "OUTBOX",
    "WEEKDAYS",
    "DigestSettings",
    "FeedSettings",
    "PageSettings",
    "RelaySettings",
    "Settings",
    "SourceSettings",
    "clock_time",
    "current_files",
    "language_tag",
    "load",
    "names_other_store",
    "quoted",
    "slugify",
    "time_zone",
    "valid_address",
    "valid_slug",
]
