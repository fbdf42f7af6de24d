"""The module that Dagster loads."""

from entropy_assets.defs.build import build_defs
from entropy_assets.settings import Settings

defs = build_defs(Settings())
