"""Answers in JSON, read into the few fields that are needed; what else is in them is passed over."""

from typing import Any, Final, TypeVar

from entropy_assets.errors import brought_by

with brought_by("settings"):
    from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

LONGEST_FIELD: Final = 4000
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
    try:
        return form.validate_json(data)
    except ValidationError as error:
        fault: Any = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise ValueError(f"{place}: {fault['msg']}" if place else fault["msg"]) from None
