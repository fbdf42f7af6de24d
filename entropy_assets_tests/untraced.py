"""Processes in which no line is counted: under coverage some of them take twice as long, and show nothing new."""

import os
from collections.abc import Mapping


def untraced(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return `environment` without what starts coverage in a child."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_PROCESS_")}
