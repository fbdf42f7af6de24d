"""What carries the steps of a run, by name. What carries the runs, their launcher, stands in ``dagster.yaml``."""

from importlib import import_module
from typing import Any, Final

import dagster as dg

from entropy_assets.errors import StartFailed


def _fixed(executor: dg.ExecutorDefinition, name: str, **config: Any) -> dg.ExecutorDefinition:
    """Return `executor` without its config, by which a run could go on behind a step that failed."""
    return executor.configured(lambda _: config, config_schema={}, name=name)


IN_PROCESS: Final = "in_process"
"""A run is one batch and takes seconds; starting a process for each step takes longer than the step."""
BY_NAME: Final = {
    IN_PROCESS: _fixed(dg.in_process_executor, IN_PROCESS),
    "multiprocess": _fixed(dg.multiprocess_executor, "multiprocess"),
}


def executor_named(name: str) -> dg.ExecutorDefinition:
    """Return one of `BY_NAME`, or another one by where it is defined, as ``dagster_celery:celery_executor``.

    Raises
    ------
    StartFailed
        If there is no such executor.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise StartFailed(f"no executor {name!r}: {error}", name=name) from error
    if not isinstance(found, dg.ExecutorDefinition):
        raise StartFailed(f"{name!r} is no executor of Dagster's", name=name)
    return found
