"""The database: rows in, rows out, one file of named queries per noun.

Every query takes a ``Tx`` (an open transaction) first; ``Store.read()`` and ``Store.write()`` give one. Nothing outside
this package knows SQLAlchemy: values that leave it are those of ``pipeline.models`` or small frozen classes beside the
query that returns them.
"""

from pipeline.store.database import Store, Tx, bring_up_to_date, open_store
from pipeline.store.schema import new_id

__all__ = ["Store", "Tx", "bring_up_to_date", "new_id", "open_store"]
