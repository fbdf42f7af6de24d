"""What the rows of a damaged file of a batch may raise, as one error that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager

from entropy_assets.errors import BatchError
from entropy_assets.stores.batches import Batch


@contextmanager
def naming_damage(batch: Batch, file: str = "a file") -> Iterator[None]:
    """Turn whatever damaged rows of `file` raise into an error that names it.

    Raises
    ------
    BatchError
        If `file` is damaged; so whoever catches it knows every kind of damage.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BatchError(
            f"{file} of batch {batch.key} is damaged ({type(error).__name__}: {error})", batch=batch.key, file=file
        ) from error
