"""``entropy-assets keys``, and the settings that bring keys and limits to the service."""

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from entropy_assets.cli import main
from entropy_assets.cli.shell import keys_place
from entropy_assets.scopes import SCOPES
from entropy_assets.settings import Settings
from entropy_assets.stores.api_keys import key_id_of
from entropy_assets.supervisor.children import child_environment
from entropy_assets_tests.file_modes import open_to_others


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run ``entropy-assets keys`` in an installation of its own."""
    monkeypatch.setenv("ENTROPY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ENTROPY_KEYS", raising=False)
    return lambda *arguments: CliRunner().invoke(main, ["keys", *arguments])


def test_a_key_is_printed_once_and_alone(run, tmp_path: Path) -> None:
    """Alone on standard output, so that it can be piped to where it is needed."""
    result = run("create", "a program")
    assert result.exit_code == 0
    key = result.stdout.strip()
    assert key_id_of(key) is not None
    path = tmp_path / "home" / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_to_others(tmp_path / "home") == []
    for later in (run("list").output, run("list", "--json").output, path.read_text()):
        assert key_id_of(key) in later
        assert key.split("_")[2] not in later


@pytest.mark.parametrize("options", ["", "--json"])
@pytest.mark.parametrize("output", [">/dev/full", ">&-"])
def test_no_key_stays_valid_that_nobody_saw(run, output: str, options: str) -> None:
    command = f"exec {sys.executable} -m entropy_assets.cli keys create lost {options} {output}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    known = json.loads(run("list", "--json").stdout)
    assert done.returncode == 1
    assert [key["state"] for key in known] in ([], ["revoked"])
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(key["id"] in done.stderr for key in known)


def test_a_key_that_can_be_neither_shown_nor_revoked_is_told(run, tmp_path: Path) -> None:
    """Who reads it revokes it later."""
    program = """
import sys
from entropy_assets.cli import main
from entropy_assets.errors import KeysUnreadable
from entropy_assets.stores.api_keys import FileKeys

def full(self, key_id, now_us):
    raise KeysUnreadable("no room")

FileKeys.revoke = full
main(["keys", "create", "lost"])
"""
    with Path("/dev/full").open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    [known] = json.loads(run("list", "--json").stdout)
    assert (done.returncode, known["state"]) == (1, "valid")
    assert f"'entropy-assets keys revoke {known['id']}'" in done.stderr


def test_where_a_key_is_kept_is_told_unless_it_is_a_secret(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey_url: str
) -> None:
    """Who made a key in the wrong folder sees it."""
    path = tmp_path / "home" / "keys.json"
    assert run("list").stdout == f"no key in {path}: make one with 'entropy-assets keys create NAME'\n"
    assert f"its hash is in {path}" in run("create", "a program").stderr
    monkeypatch.setenv("ENTROPY_KEYS", valkey_url)
    assert "no key where ENTROPY_KEYS says: make one" in run("list").stdout
    assert "its hash is where ENTROPY_KEYS says" in run("create", "a program").stderr


def test_what_was_asked_for_is_what_is_kept(run) -> None:
    arguments = ["create", "a [b]", "--scope", "stats", "--scope", "draw", "--expires", "30d"]
    result = run(*arguments, "--requests-per-second", "0.5", "--bytes-per-second", "1000", "--json")
    created = json.loads(result.stdout)
    key = created.pop("key")
    assert json.loads(run("list", "--json").stdout) == [created]
    assert created["id"] == key_id_of(key)
    assert created["scopes"] == ["draw", "stats"]
    assert (created["requests_per_s"], created["bytes_per_s"], created["state"]) == (0.5, 1000, "valid")
    life = datetime.fromisoformat(created["expires"]) - datetime.now(UTC)
    assert timedelta(days=30) - timedelta(minutes=1) < life <= timedelta(days=30)
    assert "a [b]" in " ".join(run("list").output.split())


@pytest.mark.parametrize("name", [r"\[/x]", r"\[red]x", "[/]", "a :cat: [link=x]b"])
def test_a_name_that_looks_like_markup_is_a_name(run, name: str) -> None:
    """One key of such a name kept everybody from seeing any."""
    run("create", name)
    listed = run("list")
    assert (listed.exit_code, listed.stdout.rstrip().endswith(name)) == (0, True), listed.output


def test_another_installation_has_other_keys(run, tmp_path: Path) -> None:
    other = ["--home", str(tmp_path / "other")]
    created = json.loads(run("create", "theirs", "--json", *other).stdout)
    assert json.loads(run("list", "--json").stdout) == []
    assert [key["id"] for key in json.loads(run("list", "--json", *other).stdout)] == [created["id"]]
    assert run("revoke", created["id"]).exit_code == 1
    assert run("revoke", created["id"], *other).exit_code == 0
    assert run("list", "--home", str(tmp_path / "nowhere")).exit_code == 2


def test_a_revoked_key_stays_listed_as_such(run) -> None:
    created = json.loads(run("create", "x", "--json").stdout)
    assert run("revoke", created["id"]).exit_code == 0
    [listed] = json.loads(run("list", "--json").stdout)
    assert listed["state"] == "revoked"


def test_an_unknown_id_is_one_sentence_and_is_not_repeated(run) -> None:
    key = run("create", "x").stdout.strip()
    result = run("revoke", key)
    assert result.exit_code == 1
    assert "keys list" in result.stderr
    assert key not in result.output


@pytest.mark.parametrize("life", ["0d", "30", "d", "-1d", "1.5h", "30y", "99999999w", "\uff11d"])
def test_a_life_that_is_none_is_wrong_usage(run, life: str) -> None:
    assert run("create", "x", f"--expires={life}").exit_code == 2


@pytest.mark.parametrize(
    "option",
    [
        *("--requests-per-second=0", "--requests-per-second=nan", "--requests-per-second=inf"),
        *("--bytes-per-second=0", "--scope=all"),
    ],
)
def test_so_is_an_impossible_limit_or_scope(run, option: str) -> None:
    assert run("create", "x", option).exit_code == 2


def test_keys_can_live_in_redis(run, monkeypatch: pytest.MonkeyPatch, valkey_url: str) -> None:
    monkeypatch.setenv("ENTROPY_KEYS", valkey_url)
    created = json.loads(run("create", "in redis", "--json").stdout)
    listed = json.loads(run("list", "--json").stdout)
    assert created["id"] in [each["id"] for each in listed]


def test_a_store_that_does_not_answer_is_one_sentence_without_its_address(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_KEYS", "unix://hunter2@/nowhere/redis.sock")
    result = run("list")
    assert result.exit_code == 1
    assert "hunter2" not in result.output


def test_an_empty_place_is_that_of_the_installation(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_KEYS", "")
    assert f"its hash is in {tmp_path / 'home' / 'keys.json'}" in run("create", "x").stderr


@pytest.mark.parametrize(
    "place, told",
    [
        ("redis://hunter2@host:port/0", "ENTROPY_KEYS is not a valid address"),
        ("/", "ENTROPY_KEYS names no file"),
        (".", "ENTROPY_KEYS names no file"),
        ("hunter2/..", "ENTROPY_KEYS names no file"),
    ],
)
def test_a_place_that_is_none_is_one_sentence_that_names_its_variable(
    run, monkeypatch: pytest.MonkeyPatch, place: str, told: str
) -> None:
    """A secret's own words are not repeated."""
    monkeypatch.setenv("ENTROPY_KEYS", place)
    for command in (("create", "x"), ("list",)):
        refused = run(*command)
        assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1), refused.output
        assert refused.stderr.startswith(f"error: {told}")
        assert "hunter2" not in refused.output


class TestSettings:
    @pytest.mark.parametrize(
        "text, scopes",
        [
            (None, SCOPES),
            ("stats, draw", ("draw", "stats")),
            ("none", ()),
            ("", ()),
            ("draw,none", ("draw",)),
        ],
    )
    def test_anonymous_scopes_are_a_list_of_words(
        self, text: str | None, scopes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if text is not None:
            monkeypatch.setenv("ENTROPY_ANONYMOUS_SCOPES", text)
        assert Settings().anonymous == scopes

    def test_an_unknown_scope_is_refused(self) -> None:
        with pytest.raises(ValidationError):
            Settings(anonymous_scopes="draw,everything")

    def test_children_get_them_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A secret that is written as text is ten asterisks, which would be the path of a file."""
        settings = Settings(
            home=tmp_path, keys="redis://a:hunter2@h/0", anonymous_scopes="none", limit_requests=0.5, limit_bytes=7
        )
        environment = child_environment(settings, "unix:///pool", "http://127.0.0.1:1")
        for name, value in environment.items():
            if name.startswith("ENTROPY_"):
                monkeypatch.setenv(name, value)
        child = Settings()
        assert keys_place(child) == "redis://a:hunter2@h/0"
        assert (child.anonymous, child.limit_requests, child.limit_bytes) == ((), 0.5, 7)

    def test_only_the_service_learns_where_they_are(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever may write to that place lets anybody in, and Dagster's processes read images of strangers."""
        monkeypatch.setenv("ENTROPY_KEYS", "redis://a:hunter2@h/0")
        settings = Settings(home=tmp_path)
        for name in ("http", "daemon"):
            environment = child_environment(settings, "unix:///p", "http://127.0.0.1:1", keys=name == "http")
            assert ("hunter2" in str(environment)) == (name == "http")

    def test_without_a_place_the_children_agree_on_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ENTROPY_KEYS", raising=False)
        settings = Settings(home=tmp_path)
        environment = child_environment(settings, "unix:///pool", "http://127.0.0.1:1")
        assert "ENTROPY_KEYS" not in environment
        assert environment["ENTROPY_HOME"] == str(tmp_path)
        assert keys_place(settings) == str(tmp_path / "keys.json")

    def test_they_are_not_shown(self) -> None:
        assert "hunter2" not in repr(Settings(keys="redis://a:hunter2@h/0"))
