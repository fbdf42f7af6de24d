"""What the deployment guide says is that of the artefacts, the alerts and its own arithmetic."""

import re
import shlex
import subprocess

import pytest
import yaml

from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.deploy.commands import refuse_unparsed
from entropy_assets_tests.deploy.pins import pins_of
from entropy_assets_tests.docs.pages import blocks, table_rows, text_of

GUIDE = PROJECT / "docs" / "deploy.md"
LOCKS = PROJECT / "deploy" / "locks"
BATCH_S, FRAME_S = 7.4, 0.144
OURS = ("entropy-assets", "dagster", "dagster-daemon")
AS_ROLE = "deploy/systemd/as-role"


def typed() -> list[str]:
    """Return what a reader types where no test does."""
    lines = [line for _, text in blocks("console", GUIDE) for line in text.splitlines()]
    return [re.sub(r"\s+# .*$", "", line[2:]) for line in lines if line.startswith(("$ ", "# "))]


def test_its_alerts_are_those_of_the_rules_in_their_order_with_their_kind() -> None:
    groups = yaml.safe_load((PROJECT / "monitoring" / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    told = [(name, kind) for name, kind, *_ in table_rows(GUIDE, "alert")]
    assert told == [(rule["alert"], rule["labels"]["severity"]) for rule in rules]


def test_each_disaster_has_its_loss_and_its_remedy() -> None:
    rows = table_rows(GUIDE, "what happened")
    assert len(rows) >= 15
    assert all(len(row) == 3 and all(row) for row in rows)
    assert len({what for what, *_ in rows}) == len(rows)


def test_its_sizes_follow_from_what_a_batch_and_a_frame_cost() -> None:
    text = text_of(GUIDE)
    assert f"| a batch | {BATCH_S} s of a core" in text
    assert f"| a frame of 512 x 512 in it | {str(FRAME_S).lstrip('0')} s more" in text
    rows = table_rows(GUIDE, "frames a second")
    told = [[float(cell) for cell in row] for row in rows]
    assert told == [
        [rate, *(round(rate * (BATCH_S + size * FRAME_S) / size, 1) for size in (1, 16, 64, 1000))]
        for rate in (1.0, 10.0, 100.0)
    ]


def test_the_draws_of_a_worker_are_those_that_were_measured() -> None:
    measured = (PROJECT / "benchmarks" / "SERVING.md").read_text()
    found = re.search(r"^\| full lane \| ([\d,]+) \|", measured, re.MULTILINE)
    assert found
    thousands = int(found[1].replace(",", "")) // 1000
    assert f"some {thousands},000 draws of 1 KiB" in text_of(GUIDE)


@pytest.mark.slow
def test_the_commands_that_nobody_runs_are_understood_by_their_programs() -> None:
    commands = [shlex.split(line) for line in typed()]
    assert len(commands) > 15
    for command in commands:
        words = [word for word in command if not re.match(r"^[A-Z_]+=", word)]
        if words[:2] == ["sh", AS_ROLE]:
            words = words[3:]
        if words[0] in OURS:
            refuse_unparsed(words)


def test_the_files_that_its_commands_name_exist() -> None:
    named = {word for line in typed() for word in re.findall(r"\b(?:deploy|requirements)[\w./-]*", line)}
    named = {word for word in named if "/" in word or word.endswith(".lock")}
    assert len(named) > 5
    assert {word for word in named if not (PROJECT / word).exists()} == set()


def test_its_nginx_without_containers_names_nothing_of_theirs() -> None:
    [line] = [line for line in typed() if "deploy/nginx/nginx.conf" in line]
    written = line.partition(" > ")[0]
    done = subprocess.run(shlex.split(written), cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not re.search(r"/run/secrets|/dev/stderr|/tmp/nginx.pid|\bservice:|\bwebserver:", done.stdout)
    named = set(re.findall(r"/etc/entropy-assets/(\w+)(?:\.pem)?;|server (127\.0\.0\.1:\d+);", done.stdout))
    assert named == {
        *(("tls_certificate", ""), ("tls_key", ""), ("htpasswd", "")),
        *(("", "127.0.0.1:8000"), ("", "127.0.0.1:3000")),
    }


def test_what_it_installs_by_a_lock_is_not_resolved() -> None:
    """Debian's pip refuses a lock with an extra in it, unless it is told to resolve nothing; the lock is complete."""
    installs = [line for line in typed() if "pip install" in line]
    assert len(installs) >= 4
    assert [line for line in installs if "--no-deps" not in line] == []


@pytest.mark.parametrize("title", ["One machine, in containers", "Kubernetes"])
def test_a_way_that_nobody_went_says_so(title: str) -> None:
    """No Docker and no cluster runs where the tests do: their commands are parsed, and no more."""
    section = text_of(GUIDE).partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert "```console" in section
    assert "**Not tried here**: " in section


def test_every_artefact_of_the_folder_is_in_it() -> None:
    text = text_of(GUIDE)
    kept = subprocess.run(["git", "ls-files", "deploy"], cwd=PROJECT, capture_output=True, text=True, check=True)
    units = {name.split("/")[-1].removesuffix(".service") for name in kept.stdout.split() if name.endswith(".service")}
    assert units
    assert {unit for unit in units if unit not in text} == set()


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.lock")), ids=lambda lock: lock.stem)
def test_an_image_installs_a_part_of_what_is_locked(lock) -> None:  # type: ignore[no-untyped-def]
    whole = pins_of(PROJECT / "requirements-deploy.lock")
    part = pins_of(lock)
    assert part
    assert part.items() <= whole.items()


def test_the_lock_of_the_service_holds_nothing_that_makes_blocks() -> None:
    held = set(pins_of(LOCKS / "serve.lock"))
    assert held.isdisjoint({"dagster", "pillow", "astropy", "pandas", "numba", "celery", "kubernetes", "boto3"})
    assert {"fastapi", "redis", "obstore", "psycopg"} <= held
