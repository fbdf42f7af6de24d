"""The ``entropy-assets`` command: one file for each group of commands, and `shell` for what all of them share.

Exit codes: 0 done; 1 this project's error, in one sentence with what to do next; 2 wrong usage; 3 ``process``
made no block, ``assess`` found nothing of worth, ``test --exit-code`` bits that fail; 4 the service or pool has too few
bytes; 130 interrupted.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from entropy_assets.errors import ExtraMissing, require_extra

main: Callable[..., Any]
try:
    require_extra("cli", "click", "pydantic_settings", "rich")
except ExtraMissing as missing:
    # The console script imports this module, so what is raised here would be a traceback and no sentence.
    main = partial(sys.exit, f"error: {missing.message}, or 'entropy-assets[all]' for all commands")
else:
    from entropy_assets.cli import commands

    main = commands.main
