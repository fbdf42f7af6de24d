"""The limits say what the settings say; without a setting all that is of batches is kept."""

from annotated_types import Le

from entropy_assets.settings import Settings
from entropy_assets.stages.retention.limits import DAY_S, KEEP_ALL, LONGEST_LIFE_S, KeepLimits, RunLimits


def test_by_default_everything_is_kept() -> None:
    assert KeepLimits.of(Settings()) == KEEP_ALL
    assert KEEP_ALL.keep_all
    assert not KEEP_ALL.remove_batches


def test_each_setting_reaches_its_limit() -> None:
    settings = Settings(
        keep_noise_days=1, keep_batches_days=2, keep_bytes=3, keep_least_days=4, keep_inbox_days=5, pool_ttl_seconds=6
    )
    assert KeepLimits.of(settings) == KeepLimits(
        noise_days=1, batches_days=2, total_bytes=3, least_days=4, inbox_days=5, life_s=6
    )


def test_runs_of_batches_are_kept_by_default_and_others_for_a_week() -> None:
    assert RunLimits.of(Settings()) == RunLimits() == RunLimits(days=None, batchless_days=7)
    assert RunLimits.of(Settings(keep_runs_days=1, keep_batchless_runs_days=2)) == RunLimits(days=1, batchless_days=2)


def test_no_block_lives_longer_than_is_reckoned_with() -> None:
    """Older ones go without a question to the pool."""
    [most] = [each for each in Settings.model_fields["pool_ttl_seconds"].metadata if isinstance(each, Le)]
    assert most.le == LONGEST_LIFE_S == 30 * DAY_S
