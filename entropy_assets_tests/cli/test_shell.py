"""What every command has in common: the help, the version, and what completes them in a shell."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest
from pydantic import ValidationError

from entropy_assets.cli.shell import interruptibly, typed_errors
from entropy_assets.errors import InputRefused, StartFailed
from entropy_assets.settings import Settings
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.conftest import PROJECT

SLOW = {"numpy", "scipy", "PIL", "astropy", "dagster", "pydantic", "rich", "redis", "fastapi", "urllib.request"}
"""What takes longer to load than all of the commands' own words."""
RUN = "from entropy_assets.cli import main; main(prog_name='entropy-assets')"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Give the command under its own name, as an installation puts it on the path."""
    program = tmp_path / "bin" / "entropy-assets"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{RUN}" "$@"\n')
    program.chmod(0o755)
    return program


def test_the_help_lists_every_command_and_exit_code(run: Run) -> None:
    text = run("--help").stdout
    for word in (
        "up",
        "process",
        "assess",
        "serve",
        "draw",
        "stats",
        "feed",
        "audit",
        "keys",
        "completion",
        "130 interrupted",
    ):
        assert word in text
    assert "\n  Exit codes: 0 done; 1 error; 2 wrong usage; 3 'process' made no block, 'assess' found\n" in text


def test_the_version_is_that_of_the_package(program: Path) -> None:
    done = subprocess.run([program, "--version"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == f"entropy-assets, version {version('entropy-assets')}\n"


def test_help_and_completion_load_nothing_that_is_slow() -> None:
    code = "import sys, entropy_assets.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not SLOW & set(done.stdout.split())


@pytest.mark.parametrize("name", ["ENTROPY_STORE_URL", "ENTROPY_INBOX_URL"])
@pytest.mark.parametrize("url", ["s3://key:hunter2@bucket/a", "s3://bucket/a?secret=hunter2", "hunter2"])
def test_a_store_address_with_a_credential_is_refused_and_not_repeated(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, url)
    refused = run("ledger", "check", "--home", tmp_path)
    assert refused.exit_code == 2
    assert "without credentials" in refused.output
    assert "hunter2" not in refused.output
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "hunter2" not in str(caught.value), "as the log of a code server would have it"


def test_a_setting_out_of_its_range_is_named_as_it_was_given(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTROPY_KEEP_NOISE_DAYS", "0")
    refused = run("retention", "--dry-run", "--home", tmp_path)
    assert refused.exit_code == 2
    assert "ENTROPY_KEEP_NOISE_DAYS: Input should be greater than or equal to 1" in refused.output
    monkeypatch.delenv("ENTROPY_KEEP_NOISE_DAYS")
    assert "ENTROPY" not in run("up", "--home", tmp_path, "--http-port", "70000").output


@pytest.mark.parametrize("name", ["ENTROPY_HOME", "ENTROPY_SOURCES"])
def test_the_home_of_a_user_whom_nobody_knows_is_wrong_usage(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "~nosuchuser/x")
    refused = run("keys", "list")
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1] == f"Error: {name}: no user of this machine is called as in ~nosuchuser/x"


def test_so_is_a_dagster_of_such_a_user(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "~nosuchuser/x")
    refused = run("ledger", "accept", "--head", "0" * 64, "--home", tmp_path)
    assert refused.exit_code == 1
    assert refused.stderr == "error: DAGSTER_HOME: no user of this machine is called as in ~nosuchuser/x\n"


@pytest.mark.parametrize("command", ["keys list", "draw 8", "sources list", "process --help"])
def test_a_folder_that_was_removed_beneath_a_command_is_told(program: Path, tmp_path: Path, command: str) -> None:
    """The home is a folder of it unless somebody says otherwise."""
    (tmp_path / "gone").mkdir()
    gone = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", program, *command.split()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ENTROPY_")}
    done = subprocess.run(
        gone,
        cwd=tmp_path / "gone",
        env={**environment, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if "--help" not in command:
        assert done.returncode == 2
        assert "ENTROPY_HOME: the folder in which this was started is gone; name one by its whole path" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("up", "retention --dry-run", "sources add folder", "sources list", "ledger check", "ledger accept --head x"),
        "process images/live.fits --out taken/out",
        "assess images/live.fits --source raw-ccd --export taken/out",
        "assess samples --bits-per-symbol 8 --html taken/out",
    ],
)
def test_a_place_that_can_not_be_used_is_named_in_one_sentence(
    run: Run, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A file lies where the folder should be; root, as which these tests may run, may write everywhere else."""
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    (tmp_path / "samples").write_bytes(os.urandom(2048))
    monkeypatch.setenv("ENTROPY_HOME", str(taken))
    failed = run(*command.split())
    assert failed.exit_code == 1
    told = [line for line in failed.stderr.splitlines() if line.startswith("error: ")]
    assert told == [failed.stderr.splitlines()[-1]]
    assert "taken" in told[0]
    assert "or name another place" in told[0]


def test_a_full_disk_is_told_in_one_sentence_and_another_fault_of_the_system_is_not_hidden(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A write that fails names no file."""

    @typed_errors
    def command(number: int, as_json: bool) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(SystemExit) as ended:
        command(number=errno.ENOSPC, as_json=True)
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["error"], told["path"]) == ("place-unusable", None)
    assert "No space left on device" in told["message"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        command(number=errno.EBADF, as_json=True)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    "command", ["--help", "--version", "completion bash", "keys list", "keys list --json", "keys -h"]
)
def test_what_can_not_be_printed_is_told_in_one_sentence(
    program: Path, tmp_path: Path, command: str, buffered: bool
) -> None:
    """Python itself would fail at the end, where nobody can catch it, and leave with 120."""
    environment = {**os.environ, "ENTROPY_HOME": str(tmp_path), "PYTHONUNBUFFERED": "" if buffered else "1"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [program, *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=PROJECT,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error"], done.stderr
    assert "No space left on device" in done.stderr


def test_the_end_of_a_log_keeps_its_lines_and_can_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    @typed_errors
    def command() -> None:
        raise StartFailed("http ended; its log ends with:\nfirst\n\x1b[2Jlast\n")

    with pytest.raises(SystemExit):
        command()
    assert capsys.readouterr().err == "error: http ended; its log ends with:\nfirst\n\\x1b[2Jlast\n"


def test_a_command_of_a_part_that_is_not_installed_says_which_part(tmp_path: Path) -> None:
    """Of a group the group itself looks, before its command."""
    hidden = "import sys; sys.modules['httpx'] = None; from importlib import util; find = util.find_spec;"
    hidden += "util.find_spec = lambda name, *more: None if name == 'httpx' else find(name, *more);"
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden} from entropy_assets.cli import main; main(['sources', 'list'])"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "error: httpx is not installed: pip install 'entropy-assets[feeds]'\n")


class TestCompletion:
    @pytest.mark.parametrize("typed, offered", [("dr", ["draw"]), ("keys re", ["revoke"]), ("draw --ur", ["--url"])])
    def test_bash_takes_the_script_and_offers_what_fits(
        self, run: Run, program: Path, tmp_path: Path, typed: str, offered: list[str]
    ) -> None:
        script = tmp_path / "completion.bash"
        script.write_text(run("completion", "bash").stdout)
        subprocess.run(["bash", "-n", script], check=True)
        ask = f"""
source {script}
COMP_WORDS=(entropy-assets {typed}) COMP_CWORD={len(typed.split())}
_entropy_assets_completion entropy-assets
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", ask],
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == offered

    @pytest.mark.parametrize("shell, mark", [("zsh", "#compdef entropy-assets"), ("fish", "--command entropy-assets")])
    def test_the_other_shells_have_one_too(self, run: Run, shell: str, mark: str) -> None:
        assert mark in run("completion", shell).stdout

    def test_another_shell_is_wrong_usage(self, run: Run) -> None:
        assert run("completion", "ksh").exit_code == 2


def test_an_interrupt_is_heard_while_the_work_hears_nothing() -> None:
    """The work goes on, as a compiled loop would, and the command does not wait for it."""
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        end.wait()

    def interrupt() -> None:
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # A shell's job in the background ignores the signal, and so does what is begun there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    other = threading.Thread(target=interrupt)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            interruptibly(work)
        assert not end.is_set()
    finally:
        end.set()
        other.join()
        signal.signal(signal.SIGINT, before)


def test_what_the_work_returns_and_raises_is_passed_on() -> None:
    """An error of this project too, for the sentence that is made of it."""
    assert interruptibly(lambda: 7) == 7
    with pytest.raises(InputRefused):
        interruptibly(_refuse)


def _refuse() -> None:
    raise InputRefused("no")
