"""Every error is data first, and reads as one sentence with what to do."""

from __future__ import annotations

import inspect

import pytest

from pipeline import errors
from pipeline.errors import (
    AddressRefusedError,
    ConfigError,
    FetchError,
    GazetError,
    Problem,
    PublishError,
    ReadError,
    SiteLockedError,
    TemplateFault,
    UsageError,
)

MADE = [
    ConfigError([Problem("gazet.toml: site.url", "is missing", "add a line url = …")]),
    UsageError('There is no feed "po".', fix="Feeds: vo."),
    SiteLockedError("pid 7"),
    FetchError("https://example.org/", "no connection"),
    AddressRefusedError("http://intranet/", "intranet", "10.0.0.1"),
    ReadError("https://example.org/", "is no feed", fix="Name the page of the news."),
    TemplateFault("templates/digest.txt.j2", "unexpected end", line=3),
    PublishError("var/public/po.rss", "No space left on device"),
]


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_an_error_is_one_line_that_ends_with_the_fix(error: GazetError) -> None:
    assert len(str(error).splitlines()) == 1
    assert str(error).endswith(error.fix)
    assert error.exit_code in (1, 2)


def test_what_was_typed_or_set_wrongly_is_exit_2_and_all_else_exit_1() -> None:
    codes = {type(error): error.exit_code for error in MADE}
    assert {kind for kind, code in codes.items() if code == 2} == {ConfigError, UsageError}


def test_settings_errors_keep_one_line_for_each_mistake() -> None:
    error = ConfigError([Problem("a.toml: x", "is wrong"), Problem("b.toml: y", "is missing", "add it")])
    assert str(error).splitlines() == ["a.toml: x: is wrong", "b.toml: y: is missing (add it)"]


def test_the_line_of_a_template_is_named_where_it_is_known() -> None:
    assert str(TemplateFault("a.j2", "is wrong", line=3)).startswith("a.j2:3: ")
    assert str(TemplateFault("a.j2", "is wrong")).startswith("a.j2: ")


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GazetError)]
    assert errors.__doc__ is not None
    assert [kind.__name__ for kind in kinds if kind.__name__ not in errors.__doc__] == []
