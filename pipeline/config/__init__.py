"""Settings from ``gazet.toml``, ``feeds/*.toml`` and the environment, checked as a whole.

``load(folder)`` returns one frozen ``Settings`` or raises one ``ConfigError`` that lists every mistake with its file and
key. An environment variable such as ``GAZET_SITE__URL`` wins over the file (``__`` separates the levels).
"""

from pipeline.config.fields import (
    WEEKDAYS,
    clock_time,
    dkim_selector,
    language_tag,
    mail_domain,
    slugify,
    time_zone,
    valid_address,
    valid_slug,
)
from pipeline.config.load import current_files, load, names_other_store
from pipeline.config.sections import (
    OUTBOX,
    Condition,
    DigestSettings,
    DkimSettings,
    FeedbackSettings,
    FeedSettings,
    PageSettings,
    RelaySettings,
    Settings,
    SourceSettings,
    TopicSettings,
    Wanted,
)
from pipeline.config.terms import Term, composed, folded, parse_term
from pipeline.config.write import duration_text, quoted, source_lines, value_text

__all__ = [
    "OUTBOX",
    "WEEKDAYS",
    "Condition",
    "DigestSettings",
    "DkimSettings",
    "FeedSettings",
    "FeedbackSettings",
    "PageSettings",
    "RelaySettings",
    "Settings",
    "SourceSettings",
    "Term",
    "TopicSettings",
    "Wanted",
    "clock_time",
    "composed",
    "current_files",
    "dkim_selector",
    "duration_text",
    "folded",
    "language_tag",
    "load",
    "mail_domain",
    "names_other_store",
    "parse_term",
    "quoted",
    "slugify",
    "source_lines",
    "time_zone",
    "valid_address",
    "valid_slug",
    "value_text",
]
