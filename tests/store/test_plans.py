"""How the databases find the next delivery: by the partial index made for it, never over what was sent before."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event, text

from pipeline.store import Store, deliveries
from tests.store.builders import NOW, NewEdition, an_edition


def _plans(store: Store, edition: NewEdition, *, found: bool) -> list[str]:
    """How the statements of a claim are carried out, one text each: queued ones first, then those deferred until now."""
    said: list[tuple[str, Any]] = []
    event.listen(store.engine, "before_cursor_execute", lambda *seen: said.append((seen[2], seen[3])))
    with store.write() as tx:
        taken = deliveries.claim(tx, edition.id, relay="r", lease="one", now=NOW)
    assert (taken is not None) is found
    how = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
    claims = [(statement, values) for statement, values in said if statement.startswith("UPDATE deliveries")]
    with store.read() as tx:
        return ["\n".join(str(row) for row in tx.exec_driver_sql(how + statement, values)) for statement, values in claims]


@pytest.mark.parametrize("share", ["all are open", "most were sent"])
def test_a_claim_walks_the_partial_index_and_sorts_nothing(store: Store, share: str) -> None:
    """With every delivery still queued PostgreSQL once walked the primary key: 17 ms a claim among 100,000."""
    edition = an_edition(store, people=3_000)
    open_ones = "id % 2 = 0" if share == "all are open" else "id % 100 = 0"
    with store.write() as tx:
        tx.execute(text("UPDATE deliveries SET status = 'accepted'"))
        tx.execute(text(f"UPDATE deliveries SET status = 'deferred', next_at = changed_at WHERE {open_ones}"))
        late = "'2099-01-01 00:00:00.000000'"
        tx.execute(text(f"UPDATE deliveries SET next_at = {late} WHERE status = 'deferred'"))
        if not store.is_sqlite:
            tx.execute(text("ANALYZE"))
    plans = _plans(store, edition, found=False)
    for plan, index in zip(plans, ("ix_deliveries_queued", "ix_deliveries_deferred"), strict=True):
        assert index in plan, plan
        assert not re.search(r"(?i)sort|temp b-tree|seq scan on deliveries|scan deliveries", plan), plan


def test_a_claim_from_an_edition_that_is_all_queued_walks_the_partial_index(store: Store) -> None:
    edition = an_edition(store, people=3_000)
    if not store.is_sqlite:
        with store.write() as tx:
            tx.execute(text("ANALYZE"))
    [plan] = _plans(store, edition, found=True)
    assert "ix_deliveries_queued" in plan, plan
    assert not re.search(r"(?i)sort|temp b-tree|seq scan on deliveries", plan), plan
