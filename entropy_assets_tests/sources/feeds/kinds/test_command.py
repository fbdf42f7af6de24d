"""A camera by command: no shell, no environment, a bounded time and length, and bare pixels become FITS."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.images.decode import decode
from entropy_assets.sources.feeds.interface import FeedError, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.kinds.command import MOST_WORDS, CommandFeed
from entropy_assets_tests.pids import alive
from entropy_assets_tests.sources.feeds.replaying import clock, fits, table_of


def feed_of(*command: str, variables=None, **fields) -> CommandFeed:
    table = table_of("command", command=list(command), **({"frames": "raw", "claim": "raw-ccd"} | fields))
    return CommandFeed("mine", table, variables, clock)


def python(script: str, *arguments: str, **fields) -> CommandFeed:
    return feed_of(sys.executable, "-c", script, *arguments, **fields)


def taken(feed: CommandFeed):
    fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    return fetched


def test_each_look_has_as_many_frames_as_it_may_fetch_and_none_twice() -> None:
    found = feed_of("/bin/sh", max_files=3).discover("")
    assert [candidate.url for candidate in found.candidates] == [
        f"camera:mine/sh/20261129T083305000000Z-{n}" for n in range(3)
    ]


def test_a_file_on_standard_output_is_taken_as_it_is(tmp_path) -> None:
    (tmp_path / "frame").write_bytes(fits())
    image = taken(feed_of("cat", str(tmp_path / "frame"), instrument="all-sky camera"))
    assert (image.data, image.name) == (fits(), "mine-20261129T083305000000Z-0.fits")
    assert image.origin.instrument == "all-sky camera"
    assert image.origin.dated_at == "2026-11-29T08:33:05Z"


def test_a_file_that_a_program_writes_is_taken_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = "import sys; open(sys.argv[1], 'wb').write(b'SIMPLE'); print(sys.argv[1])"
    image = taken(python(script, "{file}", ending=".cr2"))
    assert (image.data, image.name.endswith(".cr2")) == (b"SIMPLE", True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bits, kind", [(8, "u1"), (16, "<u2")])
def test_bare_pixels_become_fits_with_the_very_same_values(bits, kind, tmp_path) -> None:
    pixels = np.random.default_rng(1).integers(0, 1 << bits, (48, 64)).astype(kind)
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    image = taken(feed_of("cat", str(tmp_path / "pixels"), output="pixels", width=64, height=48, bits=bits))
    assert image.name.endswith(".fits")
    frame = decode(image.data, source="raw-ccd")
    np.testing.assert_array_equal(frame.pixels[0], pixels)


def test_pixels_of_another_length_are_a_lie() -> None:
    with pytest.raises(FeedLies, match="2 x 2 pixels have 8 bytes, and it wrote 3"):
        taken(python("print('ab')", output="pixels", width=2, height=2))


def test_arguments_reach_no_shell() -> None:
    image = taken(python("import sys; print(sys.argv[1:])", "$(id)", "`id`; *", "a b"))
    assert image.data == b"['$(id)', '`id`; *', 'a b']\n"


def test_a_program_sees_no_variable_but_those_it_is_given(monkeypatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    script = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), os.environ['CAMERA_PIN'])"
    image = taken(python(script, variables={"CAMERA_PIN": "1234"}, variables_env=["CAMERA_PIN"]))
    assert image.data == b"['CAMERA_PIN', 'HOME', 'PATH'] 1234\n"


def test_a_failing_program_is_told_with_its_words_and_without_a_secret() -> None:
    script = "import os, sys; sys.exit(f'no camera \\x1b[31m at {os.environ[\"CAMERA_PIN\"]}' + 'x' * 10**5)"
    with pytest.raises(FeedUnavailable, match=r"failed \(1\): no camera \\x1b\[31m at \*\*\*x") as failed:
        taken(python(script, variables={"CAMERA_PIN": "1234"}, variables_env=["CAMERA_PIN"]))
    assert len(failed.value.message) < 5000
    assert failed.value.data == {"feed": "mine", "host": "here:mine"}


@pytest.mark.parametrize("key", ["abcdefghij" * 4, "abc\u200bdefghij"])
def test_no_part_of_a_secret_is_told_where_words_end_or_are_escaped(key) -> None:
    script = f"import os, sys; sys.stderr.write('-' * {MOST_WORDS - 9} + os.environ['KEY'] * 3); sys.exit(1)"
    feed = feed_of(sys.executable, "-c", script, variables={"KEY": key}, variables_env=["KEY"])
    with pytest.raises(FeedUnavailable) as caught:
        taken(feed)
    assert "abc" not in caught.value.message


@pytest.mark.parametrize(
    "user, password",
    [
        pytest.param("cam", "cam-S3cret-7731", id="one begins another"),
        pytest.param("cam", "S3cret-7731\n", id="as a mounted file holds it"),
        pytest.param("cam", "S3c\n", id="a short one from a file"),
        pytest.param("cam", "S3cret\udcff-7731", id="no UTF-8"),
    ],
)
def test_no_secret_is_told_in_whatever_form_a_program_repeats_it(user, password) -> None:
    script = "import os; os.write(2, b'login as ' + os.environb[b'WHO'] + b':' + os.environb[b'KEY'].strip()); exit(1)"
    feed = feed_of(sys.executable, "-c", script, variables={"WHO": user, "KEY": password}, variables_env=["WHO", "KEY"])
    with pytest.raises(FeedUnavailable, match=r"login as \*\*\*:\*\*\*$"):
        taken(feed)


def test_a_program_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    """At the first look already: ``sources check --connect`` asks for no more, and must not say that it answers."""
    with pytest.raises(FeedError, match=r"can't be started: it is not there, or no program; give its whole path"):
        feed_of("no-such-program-here").discover("")
    (program := tmp_path / "camera").symlink_to("/bin/true")
    feed = feed_of(str(program))
    candidate = feed.discover("").candidates[0]
    program.unlink()
    with pytest.raises(FeedError, match=r"can't be started: it is not there, or no program; give its whole path"):
        feed.fetch(candidate)


@pytest.mark.parametrize("words", ["", "1"])
def test_a_program_that_writes_nothing_is_a_lie(words) -> None:
    with pytest.raises(FeedLies, match=r"wrote nothing|wrote no file"):
        taken(feed_of("true") if not words else feed_of("true", "{file}"))


def test_a_link_is_no_file_that_it_wrote() -> None:
    with pytest.raises(FeedLies, match="wrote no file"):
        taken(python("import os, sys; os.symlink('/etc/hostname', sys.argv[1])", "{file}"))


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path) -> None:
    """It ignores the first signal, and started a child that would live on."""
    script = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '60']); open(sys.argv[1], 'w').write(str(child.pid)); time.sleep(60)"
    )
    with pytest.raises(FeedUnavailable, match="did not end within 3 s and was ended"):
        taken(python(script, str(tmp_path / "pid"), timeout_seconds=3.0))
    assert _is_gone(int((tmp_path / "pid").read_text()))


def test_a_child_that_a_program_leaves_behind_is_ended_too(tmp_path) -> None:
    script = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL)\n"
        "open(sys.argv[1], 'w').write(str(child.pid)); print('frame')"
    )
    assert taken(python(script, str(tmp_path / "pid"))).data == b"frame\n"
    assert _is_gone(int((tmp_path / "pid").read_text()))


HIDING = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        open(sys.argv[1], 'w').write(str(os.getpid()))\n"
    "        os.execve('/bin/sleep', ['sleep', '60'], {})\n"
    "    os._exit(0)\n"
    "while not (os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1])): time.sleep(0.01)\n"
)
"""Leaves a grandchild behind in a session of its own, with another name, no parent and no environment."""


@pytest.mark.skipif(sys.platform != "linux", reason="a subreaper is Linux's; docs/feeds.md says so")
@pytest.mark.parametrize("ends", [True, False])
def test_a_grandchild_in_a_session_of_its_own_is_ended_too(ends: bool, tmp_path: Path) -> None:
    script, limit_s = HIDING + ("print('frame')" if ends else "time.sleep(60)"), 30.0 if ends else 3.0
    feed = python(script, str(tmp_path / "pid"), timeout_seconds=limit_s)
    if ends:
        assert taken(feed).data == b"frame\n"
    else:
        with pytest.raises(FeedUnavailable, match="was ended"):
            taken(feed)
    assert _is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="a subreaper is Linux's; docs/feeds.md says so")
def test_it_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    """Whoever runs the feed is killed by what nobody can catch: the camera is not left open by a program of nobody."""
    asking = (
        "import sys; from entropy_assets_tests.sources.feeds.kinds.test_command import HIDING, python, taken\n"
        "taken(python(HIDING + 'time.sleep(60)', sys.argv[1], timeout_seconds=60.0))"
    )
    owner = subprocess.Popen([sys.executable, "-c", asking, str(tmp_path / "pid")])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
        assert owner.poll() is None
    owner.kill()
    owner.wait()
    assert _is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    "script",
    [
        "while True: print('x' * 10**5)",
        "import sys\nwhile True: print('x' * 10**5, file=sys.stderr)",
        "import sys\nfile = open(sys.argv[1], 'w')\nwhile True: file.write('x' * 10**5)",
        "import sys\nfile = open('aside', 'w')\nwhile True: file.write('x' * 10**5)",
        "import os\nos.mkdir('deep')\nfile = open('deep/aside', 'w')\nwhile True: file.write('x' * 10**5)",
        "import sys; sys.stdout.write('x' * 2_000_000)",
    ],
    ids=["output", "messages", "its file", "another file", "in a folder", "and ends by itself"],
)
def test_a_program_that_writes_without_end_is_ended(script) -> None:
    with pytest.raises(FeedLies, match="wrote more than 1000000 bytes"):
        taken(python(script, "{file}" if "argv" in script else "", max_file_bytes=1_000_000, timeout_seconds=20.0))


def _is_gone(pid: int) -> bool:
    """Tell whether a process ended, or only waits to be reaped; it was told to some milliseconds ago."""
    for _ in range(1000):
        if not alive(pid):
            return True
        os.sched_yield()
        time.sleep(0.02)
    return False
