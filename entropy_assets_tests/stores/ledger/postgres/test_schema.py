"""The schema: step by step or at once, it ends alike, and rows of an earlier one are kept."""

import pytest
import sqlalchemy as sa

from entropy_assets.stores.ledger.postgres.schema import bring_up_to_date, newest_version, version_of

COLUMNS = """
SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns
WHERE table_schema = current_schema() ORDER BY 1, 2
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint
JOIN pg_namespace ON pg_namespace.oid = connamespace WHERE nspname = current_schema() ORDER BY 1, 2
"""
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, tgtype FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal ORDER BY 1, 2
"""
INDEXES = "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1, 2"


def shape(connection: sa.Connection) -> list[list[tuple[object, ...]]]:
    """Return all that makes two schemas alike."""
    asked = (COLUMNS, CONSTRAINTS, TRIGGERS, INDEXES)
    return [[tuple(row) for row in connection.execute(sa.text(query))] for query in asked]


def test_a_fresh_schema_and_one_that_grew_are_the_same_and_rows_stay(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        assert version_of(connection) == 0
        bring_up_to_date(connection)
        assert version_of(connection) == newest_version()
        fresh = shape(connection)
        connection.rollback()
        for version in range(1, newest_version() + 1):
            bring_up_to_date(connection, through=version)
            assert version_of(connection) == version
            if version == 1:
                connection.execute(
                    sa.text(
                        "INSERT INTO batches (seq, batch_key, chain_head, run_id, published_at_us, ledger_link)"
                        " VALUES (1, 'batch', 'head', 'run', 1, 'link')"
                    )
                )
            connection.commit()
        assert shape(connection) == fresh
        assert all(fresh), "there is something of each kind"
        assert connection.scalar(sa.text("SELECT batch_key FROM batches")) == "batch"
        bring_up_to_date(connection)
        connection.commit()
        assert shape(connection) == fresh, "nothing is left to do"
    engine.dispose()


def test_steps_that_are_not_committed_leave_nothing(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        bring_up_to_date(connection)
        connection.rollback()
        assert version_of(connection) == 0
    engine.dispose()


def test_the_guards_are_there_from_the_first_version(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        bring_up_to_date(connection, through=1)
        tables = {str(row[0]) for row in connection.execute(sa.text(TRIGGERS))}
        assert tables == {"image_claims", "batches", "blocks", "bindings", "losses", "epochs"}
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            connection.execute(sa.text("DELETE FROM epochs"))
    engine.dispose()
