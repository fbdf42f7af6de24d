"""API keys: their form, and both stores of what is known of them."""

import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.errors import ApiKeyUnknown, InputRefused, KeysUnreadable
from entropy_assets.stores.api_keys import (
    MOST_FILE_BYTES,
    FileKeys,
    KeyRecord,
    KeyStore,
    RedisKeys,
    base62,
    create,
    key_id_of,
    keys_of,
    new_key,
)
from entropy_assets.stores.pool.embedded import EmbeddedServer

SECOND_US = 1_000_000


@pytest.fixture(params=["file", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path, valkey_url: str, pool_prefix: str) -> Iterator[KeyStore]:
    """Give both stores, empty."""
    if request.param == "file":
        yield FileKeys(tmp_path / "keys.json")
        return
    with redis.Redis.from_url(valkey_url) as client:
        yield RedisKeys(client, prefix=pool_prefix)


def made(store: KeyStore, name: str = "somebody", **more: object) -> tuple[str, KeyRecord]:
    return create(store, name, random_bytes=os.urandom, **more)  # type: ignore[arg-type]


class TestTheForm:
    def test_a_key_is_prefix_id_secret_and_checksum(self) -> None:
        prefix, key_id, secret, checksum = new_key(os.urandom).split("_")
        assert (prefix, len(key_id), len(secret), len(checksum)) == ("eak", 8, 43, 6)

    def test_43_characters_hold_any_32_bytes(self) -> None:
        greatest = 2**256 - 1
        assert 62**42 < greatest < 62**43
        assert base62(greatest, 43) != base62(greatest - 62**42, 43)

    def test_its_bytes_come_from_the_generator_that_is_given(self) -> None:
        asked: list[int] = []

        def generator(n: int) -> bytes:
            asked.append(n)
            return bytes(n)

        assert new_key(generator).startswith(f"eak_{'0' * 8}_{'0' * 43}_")
        assert asked == [16, 32]

    @given(place=st.integers(0, 62), letter=st.sampled_from("09AZaz_ -é"))
    def test_a_mistyped_key_has_no_id(self, place: int, letter: str) -> None:
        """CRC-32 finds every error of one character."""
        key = new_key(lambda n: hashlib.sha512(b"k").digest()[:n])
        wrong = key[:place] + letter + key[place + 1 :]
        assert key_id_of(wrong) == (key.split("_")[1] if wrong == key else None)

    @given(st.text(max_size=80))
    def test_nothing_else_has_one(self, text: str) -> None:
        assert key_id_of(text) is None


class TestBothStores:
    def test_what_is_made_is_found_again(self, store: KeyStore) -> None:
        assert store.records() == ()
        first = made(store, "first", scopes=("stats", "draw"), now_us=1)[1]
        second = made(store, "second", expires_in_s=60, requests_per_s=0.5, bytes_per_s=1000, now_us=2)[1]
        assert store.records() == (first, second)
        assert first.scopes == ("draw", "stats")
        assert second.expires_us == 2 + 60 * SECOND_US

    def test_the_key_is_kept_nowhere(self, store: KeyStore, tmp_path: Path, valkey_url: str, pool_prefix: str) -> None:
        key, record = made(store)
        assert record.sha256 == hashlib.sha256(key.encode()).hexdigest()
        with redis.Redis.from_url(valkey_url) as client:
            kept = repr(client.hgetall(f"{pool_prefix}:keys"))
        kept += "".join(path.read_text() for path in tmp_path.iterdir())
        assert record.id in kept
        assert key.split("_")[2] not in kept

    def test_a_revoked_key_stays_revoked_since_the_first_time(self, store: KeyStore) -> None:
        record = made(store)[1]
        assert store.revoke(record.id, 5).revoked_us == 5
        assert store.revoke(record.id, 9).revoked_us == 5
        assert [each.state(0) for each in store.records()] == ["revoked"]

    def test_an_unknown_id_is_refused_and_not_repeated(self, store: KeyStore) -> None:
        key = new_key(os.urandom)
        with pytest.raises(ApiKeyUnknown) as refusal:
            store.revoke(key, 1)
        assert key not in str(refusal.value)
        assert key not in repr(refusal.value.data)

    def test_an_id_is_given_once(self, store: KeyStore) -> None:
        record = made(store)[1]
        with pytest.raises(KeysUnreadable):
            store.add(record)
        assert store.records() == (record,)

    def test_writers_at_once_lose_nothing(self, store: KeyStore) -> None:
        gate = threading.Barrier(4)

        def write(number: int) -> None:
            gate.wait()
            for _ in range(5):
                made(store, f"writer {number}")

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, range(4)))
        assert len(store.records()) == 20

    @pytest.mark.parametrize("name", ["", "a" * 101, "two\nlines"])
    def test_a_name_is_one_printable_line(self, store: KeyStore, name: str) -> None:
        with pytest.raises(InputRefused):
            made(store, name)

    def test_a_key_without_scope_is_refused(self, store: KeyStore) -> None:
        with pytest.raises(InputRefused):
            made(store, scopes=())

    @pytest.mark.parametrize(
        "limit",
        [
            *({"requests_per_s": number} for number in (float("nan"), float("inf"), 0.0, -1.0)),
            *(
                {"bytes_per_s": 0},
                {"expires_in_s": float("inf")},
                {"expires_in_s": float("nan")},
                {"expires_in_s": 1e15},
            ),
        ],
        ids=str,
    )
    def test_what_could_not_be_read_again_is_never_kept(self, store: KeyStore, limit: dict[str, float]) -> None:
        """One record that is refused when it is read makes every key of the store useless."""
        _, kept = made(store)
        with pytest.raises(InputRefused, match=next(iter(limit)).split("_")[0]):
            made(store, **limit)
        assert store.records() == (kept,)


def test_a_key_expires_at_its_moment() -> None:
    record = KeyRecord(id="0" * 8, sha256="0" * 64, name="x", scopes=("draw",), created_us=0, expires_us=100)
    assert (record.state(99), record.state(100)) == ("valid", "expired")


@pytest.mark.parametrize(
    "field, value",
    [
        ("scopes", ["everything"]),
        ("sha256", "ab"),
        ("expires_us", "soon"),
        ("expires_us", 2**64),
        ("created_us", -(10**18)),
        ("revoked_us", 253_402_300_800_000_000),
        ("bytes_per_s", 0),
        ("requests_per_s", float("nan")),
        ("id", "../../.."),
        ("only_on_sundays", True),
    ],
)
def test_a_record_that_can_not_be_one_is_refused(field: str, value: object, tmp_path: Path) -> None:
    """Also a field that a later version may have: it might be a restriction."""
    path = tmp_path / "keys.json"
    store = FileKeys(path)
    record = made(store)[1]
    path.write_text(json.dumps({"keys": [{**asdict(record), field: value}]}))
    with pytest.raises(KeysUnreadable):
        store.records()


class TestTheFile:
    def test_only_its_owner_can_read_it(self, tmp_path: Path) -> None:
        made(FileKeys(tmp_path / "new" / "keys.json"))
        assert stat.S_IMODE((tmp_path / "new" / "keys.json").stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o620, 0o602])
    def test_one_that_others_may_write_is_refused(self, tmp_path: Path, mode: int) -> None:
        store = FileKeys(tmp_path / "keys.json")
        made(store)
        (tmp_path / "keys.json").chmod(mode)
        with pytest.raises(KeysUnreadable, match="chmod"):
            store.records()

    @pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "loop", "nowhere", "device"])
    def test_one_that_is_no_regular_file_is_refused_at_once(self, tmp_path: Path, kind: str) -> None:
        """A pipe that nobody writes to would be waited for without end."""
        path = tmp_path / "keys.json"
        make: dict[str, Callable[[], object]] = {
            "pipe": lambda: os.mkfifo(path, 0o600),
            "socket": lambda: os.mknod(path, stat.S_IFSOCK | 0o600),
            "folder": path.mkdir,
            "loop": lambda: path.symlink_to(path),
            "nowhere": lambda: path.symlink_to(tmp_path / "absent"),
            "device": lambda: path.symlink_to("/dev/zero"),
        }
        make[kind]()
        refused: list[bool] = []

        def read() -> None:
            with pytest.raises(KeysUnreadable):
                FileKeys(path).records()
            refused.append(FileKeys(path).version() is None)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(5)
        assert refused == [True]

    def test_one_that_is_longer_than_keys_are_is_refused(self, tmp_path: Path) -> None:
        with (tmp_path / "keys.json").open("wb") as file:
            file.truncate(MOST_FILE_BYTES + 1)
        with pytest.raises(KeysUnreadable, match="longer"):
            FileKeys(tmp_path / "keys.json").records()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    @pytest.mark.parametrize("whose", ["file", "folder"])
    def test_one_that_is_somebody_elses_is_refused(self, tmp_path: Path, whose: str) -> None:
        """Its mode may say 0600: its owner can write it, or exchange it in a folder of theirs."""
        folder = tmp_path / "folder"
        made(FileKeys(folder / "keys.json"))
        os.chown(folder / "keys.json" if whose == "file" else folder, 12345, -1)
        with pytest.raises(KeysUnreadable, match="somebody else"):
            FileKeys(folder / "keys.json").records()

    @pytest.mark.parametrize("mode, refused", [(0o770, True), (0o707, True), (0o1777, False), (0o755, False)])
    def test_one_in_a_folder_where_others_may_exchange_it_is_refused(
        self, tmp_path: Path, mode: int, refused: bool
    ) -> None:
        """Also a folder further up; not one like /tmp, where everybody may touch only what is theirs."""
        store = FileKeys(tmp_path / "up" / "folder" / "keys.json")
        made(store)
        seen = store.version()
        (tmp_path / "up").chmod(mode)
        assert (store.version() == seen) is not refused
        if refused:
            with pytest.raises(KeysUnreadable, match="chmod go-w") as caught:
                store.records()
            assert str(tmp_path) not in caught.value.public_message
        else:
            assert len(store.records()) == 1

    def test_a_secret_that_is_mounted_as_links_is_read_and_followed(self, tmp_path: Path) -> None:
        """As Kubernetes does it: keys.json -> ..data/keys.json, ..data -> ..1, which is exchanged as a whole."""
        for number in (1, 2):
            made(FileKeys(tmp_path / f"..{number}" / "keys.json"))
        (tmp_path / "keys.json").symlink_to("..data/keys.json")
        (tmp_path / "..data").symlink_to("..1")
        store = FileKeys(tmp_path / "keys.json")
        seen, before = store.records(), store.version()
        assert len(seen) == 1
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        assert store.version() != before
        assert store.records() != seen
        with pytest.raises(KeysUnreadable, match="is a link"):
            made(store)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    @pytest.mark.parametrize("whose", ["link", "folder of the link", "file", "folder of the file"])
    def test_a_link_that_somebody_else_could_turn_elsewhere_is_refused(self, tmp_path: Path, whose: str) -> None:
        places = {
            "link": tmp_path / "links" / "keys.json",
            "folder of the link": tmp_path / "links",
            "file": tmp_path / "files" / "keys.json",
            "folder of the file": tmp_path / "files",
        }
        made(FileKeys(places["file"]))
        places["folder of the link"].mkdir()
        places["link"].symlink_to("../files/keys.json")
        assert len(FileKeys(places["link"]).records()) == 1
        os.chown(places[whose], 12345, -1, follow_symlinks=False)
        with pytest.raises(KeysUnreadable, match="somebody else"):
            FileKeys(places["link"]).records()

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys": [1]}', b'{"keys": 1}', b"\xff"])
    def test_one_that_is_none_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "keys.json"
        path.write_bytes(content)
        with pytest.raises(KeysUnreadable):
            FileKeys(path).records()

    def test_each_state_has_another_version(self, tmp_path: Path) -> None:
        store = FileKeys(tmp_path / "keys.json")
        seen = {store.version()}
        for _ in range(3):
            record = made(store)[1]
            seen.add(store.version())
        store.revoke(record.id, 1)
        assert len({*seen, store.version()}) == 5


def test_a_server_that_does_not_answer_is_a_typed_error() -> None:
    with EmbeddedServer() as server:
        store = keys_of(server.url)
        made(store)
    for call in (store.records, lambda: made(store), lambda: store.revoke("0" * 8, 1)):
        with pytest.raises(KeysUnreadable):
            call()


def test_a_place_is_an_address_or_a_path(tmp_path: Path, valkey_url: str) -> None:
    assert isinstance(keys_of(valkey_url), RedisKeys)
    assert isinstance(keys_of(str(tmp_path / "redis" / "keys.json")), FileKeys)
