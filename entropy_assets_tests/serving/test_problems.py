"""The types of problems: each belongs to an error or to a route, and the description tells its headers."""

from collections.abc import Iterator

import pytest

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.problems import PROBLEMS, problem_codes, problem_schema

OF_ROUTES = {
    "invalid-request",
    "not-acceptable",
    "body-too-large",
    "not-json",
    "unknown-block",
    "no-thumbnail",
    "not-ready",
}
"""What a route answers without an error of ours."""


def errors_under(kind: type[EntropyAssetsError]) -> Iterator[type[EntropyAssetsError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from errors_under(each)


def test_each_type_is_the_code_of_an_error_or_a_routes_own() -> None:
    """One that is neither could never be answered."""
    codes = {error.code for error in errors_under(EntropyAssetsError)}
    assert PROBLEMS.keys() - codes == OF_ROUTES


@pytest.mark.parametrize("code", PROBLEMS)
def test_each_type_says_what_it_is_and_what_to_do(code: str) -> None:
    kind = PROBLEMS[code]
    assert 400 <= kind.status < 600
    assert kind.title
    assert kind.advice.endswith(".")


def test_a_description_gives_back_the_types_that_it_was_made_of() -> None:
    codes = ["pool-exhausted", "pool-unavailable"]
    assert problem_codes(problem_schema(*codes)) == codes


@pytest.mark.parametrize(
    "codes, header",
    [
        (("key-missing", "key-invalid"), "WWW-Authenticate"),
        (("quota-exceeded",), "Retry-After"),
        (("pool-exhausted", "too-many-streams"), "Retry-After"),
        (("invalid-request",), None),
        (("not-ready",), None),
    ],
)
def test_a_refusal_that_ends_by_itself_says_when_and_one_for_want_of_a_key_how(
    codes: tuple[str, ...], header: str | None
) -> None:
    assert list(problem_schema(*codes)["headers"]) == ([header] if header else [])
