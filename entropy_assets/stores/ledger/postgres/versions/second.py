"""The working memory beside the record: the sketches of spent frames, of which the oldest are dropped."""

from typing import Final

from alembic import op

revision: Final = "2"
down_revision: Final = "1"


def upgrade() -> None:
    """Make the tables of the memory."""
    op.execute(
        'CREATE TABLE sketches (seq bigint PRIMARY KEY, image_sha256 text COLLATE "C" NOT NULL UNIQUE,'
        ' sensor text COLLATE "C" NOT NULL, live_pixels bigint NOT NULL, lookup bytea NOT NULL,'
        " is_restored boolean NOT NULL)"
    )
    op.execute("CREATE TABLE folds (seq bigint PRIMARY KEY, folds bytea NOT NULL)")
