"""What to do about a refusal is told with it."""

from entropy_assets.core.advice import ADVICE, advice_on, lines_of_advice
from entropy_assets.errors import RejectionReason


def test_there_is_advice_for_every_reason_in_their_order() -> None:
    assert list(ADVICE) == list(RejectionReason)
    assert all(map(str.strip, ADVICE.values()))


def test_nothing_is_advised_where_nothing_is_wrong_or_nobody_knows() -> None:
    assert advice_on(None) is None
    assert advice_on("reason_of_a_newer_version") is None


def test_each_reason_is_told_once_and_in_the_order_in_which_they_came() -> None:
    lines = lines_of_advice(["too_small", None, "constant", "too_small", "unheard_of"])
    assert lines == ["too_small: send the whole frame", "constant: send a frame without noise reduction"]
