"""Where a ledger is: an address that holds a password is shown to nobody."""

from entropy_assets.stores.ledger.storage import LedgerServer


def test_a_server_does_not_show_its_address() -> None:
    server = LedgerServer("postgresql+psycopg://user:secret@host/db")
    assert "secret" not in repr(server)
    assert "secret" not in str(server)
