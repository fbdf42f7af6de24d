"""The record: the same chained tables as in a file of SQLite, each row naming the link before it.

A trigger fills in that link from the row before, so that no two rows follow the same one and no place is left out,
whoever writes. Others refuse every change of a row.
"""

from typing import Final

from alembic import op

revision: Final = "1"
down_revision: Final = None

_TEXT: Final = 'text COLLATE "C" NOT NULL'
_CHAIN: Final = f"seq bigint PRIMARY KEY, ledger_link {_TEXT} UNIQUE, previous_link {_TEXT} UNIQUE"
_TABLES: Final = {
    "image_claims": f'{_CHAIN}, image_sha256 {_TEXT} UNIQUE, pixel_sha256 text COLLATE "C" UNIQUE,'
    f" batch_key {_TEXT}, claimed_at_us bigint NOT NULL",
    "batches": f"{_CHAIN}, batch_key {_TEXT} UNIQUE, chain_head {_TEXT}, run_id {_TEXT},"
    " published_at_us bigint NOT NULL",
    "blocks": f"block_id {_TEXT} PRIMARY KEY, batch_key {_TEXT} REFERENCES batches (batch_key),"
    f" position integer NOT NULL, block_sha256 {_TEXT} UNIQUE, link {_TEXT}, UNIQUE (batch_key, position)",
    "bindings": f"{_CHAIN}, batch_key {_TEXT} UNIQUE, origin_sha256 {_TEXT}, bound_at_us bigint NOT NULL",
    "losses": f"{_CHAIN}, lost_link {_TEXT} UNIQUE, known_to {_TEXT}, accepted_at_us bigint NOT NULL",
    "epochs": f"{_CHAIN}, system_identifier {_TEXT}, timeline bigint NOT NULL, accepted_at_us bigint NOT NULL",
}
_STOP: Final = """
CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END $$
"""
_FOLLOW: Final = """
CREATE FUNCTION ledger_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq = 1 THEN
        NEW.previous_link := repeat('00', 32);
    ELSE
        EXECUTE format('SELECT ledger_link FROM %I.%I WHERE seq = $1', TG_TABLE_SCHEMA, TG_TABLE_NAME)
            INTO NEW.previous_link USING NEW.seq - 1;
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    """Make the tables of the record, and their guards."""
    for function in (_STOP, _FOLLOW):
        op.execute(function)
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()"
        )
        if columns.startswith(_CHAIN):
            op.execute(
                f"CREATE TRIGGER {table}_follows BEFORE INSERT ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION ledger_follows()"
            )
    op.execute("CREATE INDEX image_claims_of_batch ON image_claims (batch_key)")
