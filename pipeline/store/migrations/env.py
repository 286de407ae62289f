"""Called by Alembic; the connection and its transaction are the caller's (pipeline.store.migrate)."""

from alembic import context

from pipeline.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
