"""Answers in JSON, read into the few fields that are needed; what else is in them is passed over."""

from typing import Any, Final, TypeVar

from entropy_assets.errors import brought_by

with brought_by("settings"):
    from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

LONGEST_FIELD: Final = 4000
MOST_NESTED: Final = 200_000
"""Objects and lists of one answer: each takes some 700 bytes of memory for 2 of the answer, before any is judged."""
MOST_VALUES: Final = 1_000_000
"""Values of one answer."""
Told = TypeVar("Told")


class AnswerFields(BaseModel):
    """Root of what is read of an answer."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, str_max_length=LONGEST_FIELD)


def read_json(form: "TypeAdapter[Told]", data: bytes) -> Told:
    """Return what an answer tells.

    Raises
    ------
    ValueError
        If it is no JSON, or not of this form. What stands in it is not repeated.
    """
    if data.count(b"{") + data.count(b"[") > MOST_NESTED or data.count(b",") > MOST_VALUES:
        raise ValueError("it has more values than any listing needs")
    try:
        return form.validate_json(data)
    except ValidationError as error:
        fault: Any = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise ValueError(f"{place}: {fault['msg']}" if place else fault["msg"]) from None
