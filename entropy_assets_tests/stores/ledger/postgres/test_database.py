"""The ledger's database: no password comes out of it, its lock is taken first, and every failure is the ledger's."""

import gc
import itertools
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stores.home import Home
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK, LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerServer, LedgerUnavailable, UnsafeLedgerServer, fetched
from entropy_assets_tests.postgres_server import KEYED, PostgresServer

PASSWORD = "pass/word@secret"  # with signs that mean something in an address
HEAD = "aa" * 32


@pytest.fixture
def server(postgres_url: str) -> LedgerServer:
    return LedgerServer(postgres_url, is_single=True)


@pytest.fixture
def ledger(server: LedgerServer) -> Ledger:
    return Ledger(server)


@pytest.fixture(scope="module")
def keyed(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """Give a server with a user of whom a password is asked."""
    postgres.ask(f"CREATE ROLE {KEYED} LOGIN PASSWORD '{PASSWORD}'")
    postgres.ask(f"CREATE SCHEMA of_the_keyed AUTHORIZATION {KEYED}")
    yield postgres
    postgres.ask(f"DROP OWNED BY {KEYED}")
    postgres.ask(f"DROP ROLE {KEYED}")


def keyed_url(server: PostgresServer, password: str | None) -> str:
    user = KEYED if password is None else f"{KEYED}:{quote(password, safe='')}"
    return server.url("of_the_keyed", user)


def publication(number: int, blocks: int = 3) -> tuple[str, str, list[LedgerBlock], str, int]:
    rows = [LedgerBlock(f"{number}-{place}", place, f"{number}-{place}", "link") for place in range(blocks)]
    return f"batch-{number}", HEAD, rows, "run", number


@pytest.mark.parametrize("way", ["address", "PGPASSWORD", "PGPASSFILE"])
def test_the_password_comes_from_the_address_or_from_where_libpq_looks(
    way: str, keyed: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That user is no superuser: what the ledger asks of the server, its owner may ask."""
    if way == "PGPASSWORD":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    if way == "PGPASSFILE":
        (tmp_path / "pgpass").write_text(f"*:*:*:{KEYED}:{PASSWORD}\n")
        (tmp_path / "pgpass").chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    url = keyed_url(keyed, PASSWORD if way == "address" else None)
    ledger = Ledger(LedgerServer(url, is_single=True))
    ledger.bind_batch(way, "origin")
    assert ledger.verify() == NO_LINK


def test_a_password_is_in_no_error_and_no_representation(keyed: PostgresServer) -> None:
    wrong = "wrong-secret@1"
    server = LedgerServer(keyed_url(keyed, wrong))
    ledger = Ledger(server)
    with pytest.raises(LedgerError, match="password authentication failed") as caught:
        ledger.head()
    chain: list[BaseException] = [caught.value]
    while (earlier := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(earlier)
    said = [str(error) + repr(error) for error in chain] + [str(caught.value.data), caught.value.public_message]
    said += [repr(server), repr(ledger.storage), ledger.name, repr(Home(Path("x"), server))]
    assert [text for text in said if wrong in text or quote(wrong, safe="") in text] == []
    assert str(keyed.folder) not in caught.value.public_message, "the service tells strangers no place"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://user:s3cret@host/db",
        "sqlite:///s3cret.sqlite",
        "s3cret",
        "postgresql+psycopg://user:x@host:s3cret/db",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(LedgerError, match="has no address of PostgreSQL") as caught:
        Ledger(LedgerServer(url))
    assert "s3cr" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_server_that_is_not_there_is_an_error_of_the_ledger_which_says_that_it_may_come_back(tmp_path: Path) -> None:
    ledger = Ledger(LedgerServer(f"postgresql+psycopg://u:secret@/db?host={tmp_path}"))
    with pytest.raises(LedgerUnavailable, match="can't be used") as caught:
        ledger.head()
    assert str(tmp_path) not in caught.value.public_message


def test_who_only_reads_makes_nothing_and_the_server_refuses_him_too(server: LedgerServer, postgres_url: str) -> None:
    reader = Ledger(server, readonly=True)
    assert (reader.head(), reader.exists(), reader.verify()) == (NO_LINK, False, NO_LINK)
    Ledger(server).bind_batch("batch", "origin")
    assert reader.exists()
    with pytest.raises(LedgerError, match="read-only transaction") as caught:
        fetched(reader.storage, "INSERT INTO folds (seq, folds) VALUES (1, '')")
    assert not isinstance(caught.value, LedgerUnavailable), "it answered, and would say the same again"


def test_a_server_without_a_standby_is_refused_unless_it_is_said_to_be_single(postgres_url: str) -> None:
    ledger = Ledger(LedgerServer(postgres_url))
    with pytest.raises(UnsafeLedgerServer, match="ENTROPY_LEDGER_SINGLE_SERVER=true"):
        ledger.refuse_if_unsafe()
    with pytest.raises(UnsafeLedgerServer, match="synchronous_standby_names is empty"):
        ledger.append_publication(*publication(1))
    assert not ledger.exists(), "not even tables were made"
    Ledger(LedgerServer(postgres_url, is_single=True)).refuse_if_unsafe()


@pytest.mark.parametrize("setting", ["off", "local", "remote_write"])
def test_a_connection_that_waits_for_less_than_disk_and_standby_is_refused(setting: str, server: LedgerServer) -> None:
    """The setting may come with the user, the database, or the address."""
    url = server.url.replace("-c%20", f"-c%20synchronous_commit%3D{setting}%20-c%20")
    with pytest.raises(UnsafeLedgerServer, match=f"synchronous_commit is {setting}"):
        Ledger(LedgerServer(url, is_single=True)).append_publication(*publication(1))


def test_a_writer_waits_for_another_one_a_bounded_time(server: LedgerServer, ledger: Ledger) -> None:
    with ledger.storage.transaction(), pytest.raises(LedgerUnavailable, match="lock timeout"):
        Ledger(server, busy_timeout_s=0.05).append_publication(*publication(1))
    assert Ledger(server, busy_timeout_s=0.05).append_publication(*publication(1))


def test_what_fails_in_a_transaction_is_undone(ledger: Ledger) -> None:
    ledger.append_publication(*publication(1))
    with pytest.raises(LedgerError, match="already published by batch batch-1"):
        ledger.append_publication("other", *publication(1)[1:])
    assert [row.batch_key for row in ledger.publications()] == ["batch-1"]
    assert ledger.append_publication(*publication(2))
    ledger.verify()


def test_the_server_refuses_a_fork_a_gap_and_every_change(ledger: Ledger, postgres: PostgresServer) -> None:
    """Whoever writes: the lock that our own writers take is not what keeps the chain whole."""
    for number in (1, 2):
        ledger.append_publication(*publication(number))
    schema = fetched(ledger.storage, "SELECT current_schema()")[0][0]
    insert = f"INSERT INTO {schema}.batches (seq, batch_key, chain_head, run_id, published_at_us, ledger_link)"
    for statement, refusal in (
        (f"{insert} VALUES (2, 'fork', 'h', 'r', 1, 'x')", psycopg.errors.UniqueViolation),
        (f"{insert} VALUES (9, 'gap', 'h', 'r', 1, 'x')", psycopg.errors.NotNullViolation),
        (f"{insert} VALUES (3, 'batch-1', 'h', 'r', 1, 'x')", psycopg.errors.UniqueViolation),
        (f"UPDATE {schema}.batches SET run_id = 'x' WHERE seq = 2", psycopg.errors.RaiseException),  # noqa: S608
        (f"DELETE FROM {schema}.batches WHERE seq = 2", psycopg.errors.RaiseException),  # noqa: S608
        (f"TRUNCATE {schema}.batches CASCADE", psycopg.errors.RaiseException),
    ):
        with pytest.raises(refusal):
            postgres.ask(statement)
    rows = fetched(ledger.storage, "SELECT previous_link, ledger_link FROM batches ORDER BY seq")
    assert [previous for previous, _ in rows] == [NO_LINK, rows[0][1]]


def test_a_ledger_travels_to_another_process_and_no_connection_with_it(ledger: Ledger) -> None:
    ledger.append_publication(*publication(1))
    again = pickle.loads(pickle.dumps(ledger))  # noqa: S301 - made here
    assert again.head() == ledger.head()


def test_connections_end_with_the_ledger(server: LedgerServer, postgres: PostgresServer) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'of this test'"

    def use() -> None:
        ledger = Ledger(LedgerServer(f"{server.url}&application_name=of%20this%20test", is_single=True))
        ledger.append_publication(*publication(1))
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(ledger.is_published, ["batch-1"] * 20)) == [True] * 20
        assert postgres.ask(count)[0][0] >= 1

    use()
    gc.collect()
    for _ in range(200):  # the server notices a moment later
        if postgres.ask(count) == [(0,)]:
            return
        time.sleep(0.02)
    assert postgres.ask(count) == [(0,)]


def test_a_server_that_was_restarted_is_asked_anew(ledger: Ledger, postgres: PostgresServer) -> None:
    ledger.append_publication(*publication(1))
    postgres.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'entropy-assets ledger'"
    )
    assert ledger.is_published("batch-1")


def _race(server: LedgerServer, _: int) -> int:
    ledger = Ledger(server, busy_timeout_s=60)
    return sum(ledger.append_publication(*publication(number)) for number in range(100))


@pytest.mark.slow
def test_six_publishers_of_the_same_hundred_batches_win_a_hundred_times_and_never_retry(server: LedgerServer) -> None:
    """No publisher meets an error, so none has to repeat a transaction."""
    with ProcessPoolExecutor(6, mp_context=get_context("spawn")) as workers:
        wins = list(workers.map(partial(_race, server), range(6)))
    assert sum(wins) == 100
    ledger = Ledger(server)
    assert ledger.verify() == ledger.head()
    assert [row.seq for row in ledger.publications(200)] == list(range(1, 101))


def test_publishers_of_the_same_batches_win_each_once(server: LedgerServer) -> None:
    """As above, with threads, each of which has a ledger and connections of its own; they make the tables together."""

    def publish(_: int) -> list[bool]:
        ledger = Ledger(server, busy_timeout_s=60)
        return [ledger.append_publication(*publication(number)) for number in range(8)]

    with ThreadPoolExecutor(4) as threads:
        wins = list(threads.map(publish, range(4)))
    assert [sum(column) for column in zip(*wins, strict=True)] == [1] * 8
    Ledger(server).verify()


KILLED = """
import os, signal, sys
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerServer
url, line = sys.argv[1], int(sys.argv[2])
ledger, passed = Ledger(LedgerServer(url, is_single=True)), 0
def count(frame, event, argument):
    global passed
    if event == "line" and "stores/ledger" in frame.f_code.co_filename:
        passed += 1
        if passed == line:
            os.kill(os.getpid(), signal.SIGKILL)
    return count
sys.settrace(count)
blocks = [LedgerBlock(f"k-{i}", i, f"k-{i}", "link") for i in range(20)]
print(ledger.append_publication("killed", "head", blocks, "run", 1), passed, flush=True)
"""


@pytest.mark.slow
def test_a_publisher_killed_at_any_line_leaves_a_whole_ledger_and_wins_at_most_once(postgres: PostgresServer) -> None:
    """Either the whole publication is there or nothing of it; whoever tries again wins only where it is not."""
    lines = 1000
    for at in itertools.count(1, 40):
        if at > lines:
            break
        postgres.ask("CREATE SCHEMA of_the_killed")
        url = postgres.url("of_the_killed")
        done = subprocess.run([sys.executable, "-c", KILLED, url, str(at)], capture_output=True, text=True, check=False)
        if done.stdout:
            lines = int(done.stdout.split()[1])
        ledger = Ledger(LedgerServer(url, is_single=True))
        was_there = ledger.is_published("killed")
        assert len(ledger.published_blocks("killed")) == (20 if was_there else 0), at
        rows = [LedgerBlock(f"k-{place}", place, f"k-{place}", "link") for place in range(20)]
        assert ledger.append_publication("killed", "head", rows, "run", 2) is not was_there, at
        ledger.verify()
        del ledger
        postgres.ask("DROP SCHEMA of_the_killed CASCADE")
    assert lines < 1000, "one of them came to its end"
