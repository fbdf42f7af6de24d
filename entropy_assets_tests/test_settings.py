"""Settings that nobody meant are refused, and none of them in silence."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from entropy_assets.settings import Settings


@pytest.mark.parametrize(
    "given, meant",
    [
        ("ENTROPY_LIMIT_BYTE", "ENTROPY_LIMIT_BYTES"),
        ("ENTROPY_ANONYMOUS_SCOPE", "ENTROPY_ANONYMOUS_SCOPES"),
        ("ENTROPY_REDISURL", "ENTROPY_REDIS_URL"),
        ("entropy_keep_noise_day", "ENTROPY_KEEP_NOISE_DAYS"),
        ("ENTROPY_MAX_AGE", "ENTROPY_MAX_AGE_SECONDS"),
        ("ENTROPY_POOL_TTL", "ENTROPY_POOL_TTL_SECONDS"),
    ],
)
def test_a_variable_that_looks_misspelt_is_refused_and_its_value_is_not_told(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv(given, "hidden-value")
    with pytest.raises(ValidationError, match=f"{given.upper()} is no setting; {meant} is one") as refused:
        Settings()
    assert "hidden-value" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        *("ENTROPY_IMAGE", "ENTROPY_ESO_PASSWORD", "ENTROPYPOOL", "MY_ENTROPY_HOME_"),
        *("ENTROPY_SERVICE_HOST", "ENTROPY_PORT_8000_TCP_ADDR", "ENTROPY_HTTP_PORT_8000_TCP_PROTO"),
        *("ENTROPY_REDIS_PORT", "ENTROPY_POOL_PORT"),
    ],
)
def test_a_variable_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:8000")
    Settings()


@pytest.mark.parametrize("spelt", [str.upper, str.lower])
def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, spelt: Callable[[str], str]) -> None:
    """Of a host above all: to listen at no address in particular is to listen at all of them."""
    for name in (name for name in os.environ if name.upper().startswith("ENTROPY_")):
        monkeypatch.delenv(name)
    unset = Settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(spelt(f"ENTROPY_{name}"), "")
    empty = Settings()
    assert empty.http_host == "127.0.0.1"
    assert empty.anonymous == (), "here alone empty says something: nothing without a key"
    assert empty.model_copy(update={"anonymous_scopes": unset.anonymous_scopes}) == unset


@pytest.mark.parametrize("name", ["http_host", "dagster_host"])
def test_an_empty_address_that_is_given_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: ""})


def test_no_setting_looks_like_another_one_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float | str):
            monkeypatch.setenv(f"ENTROPY_{name.upper()}", str(field.default))
    Settings()


def test_the_command_says_it_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_HTTPPORT", "8001")
    ran = subprocess.run(
        [sys.executable, "-m", "entropy_assets.cli", "serve"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    told = "Error: the variable ENTROPY_HTTPPORT is no setting; ENTROPY_HTTP_PORT is one: spell it so, or rename it"
    assert ran.stderr.splitlines()[-1] == told
