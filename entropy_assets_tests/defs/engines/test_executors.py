"""What carries the steps of a run is chosen by a setting."""

import dagster as dg
import pytest
from pydantic import ValidationError

from entropy_assets.defs.build import build_defs
from entropy_assets.defs.engines.executors import BY_NAME, executor_named
from entropy_assets.errors import StartFailed
from entropy_assets.settings import Settings


@pytest.mark.parametrize("name", BY_NAME)
def test_a_setting_chooses_the_executor_and_no_run_config_changes_it(name: str) -> None:
    """By its config a run could go on behind a step that failed."""
    executor = build_defs(Settings(executor=name)).executor
    assert isinstance(executor, dg.ExecutorDefinition)
    assert executor.name == name
    assert executor.config_schema.config_type.fields == {}


def test_a_run_goes_on_in_one_process_unless_somebody_chose_otherwise() -> None:
    assert build_defs(Settings()).executor is BY_NAME["in_process"]


def test_another_executor_is_named_by_where_it_is_defined() -> None:
    assert executor_named("dagster_celery:celery_executor").name == "celery"


@pytest.mark.parametrize("name", ["threads", "nowhere.at:all", "dagster:asset", "dagster:nothing"])
def test_what_is_no_executor_is_refused_where_the_definitions_are_loaded(name: str) -> None:
    with pytest.raises(StartFailed, match=name):
        build_defs(Settings(executor=name))


def test_a_name_that_is_neither_is_refused_by_the_settings() -> None:
    with pytest.raises(ValidationError):
        Settings(executor="a b")
