"""The ledger in PostgreSQL, for publishers on several machines."""

from entropy_assets.errors import require_extra

require_extra("postgres", "sqlalchemy", "psycopg", "alembic")
