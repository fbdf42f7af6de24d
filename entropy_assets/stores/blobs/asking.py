"""Questions to an object store: repeated a bounded number of times, and what each answer means for who creates.

A create is one single PUT under the condition that nothing is there (``If-None-Match: *``). It is never sent in parts:
there are servers whose last part goes over what is there, whatever the condition.
"""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeVar

from entropy_assets.errors import brought_by
from entropy_assets.stores.blobs.refusals import StoreDenied, StoreError, StoreUnavailable, StoreUnsafe
from entropy_assets.stores.file_names import printable

with brought_by("objects"):
    import obstore
    from obstore import exceptions

TRIES: Final = 6
"""How often one question is asked. With the pauses between, a store may be away for some 3 s."""
FIRST_PAUSE_S: Final = 0.1
_NAME: Final = re.compile(r'[Pp]ath:? "(.*?)"[: ]', re.DOTALL)
_STATUS: Final = re.compile(r"status code: (\d{3})")
_WORTH_ANOTHER_TRY: Final = frozenset(("408", "409", "425", "429"))
_TAKEN: Final = (exceptions.AlreadyExistsError, exceptions.PreconditionError)
_DENIED: Final = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
T = TypeVar("T")
Store = Any
"""A client of obstore; its own type can't be named while a program runs."""


def asked(question: Callable[[], T], url: str) -> T:
    """Return the answer to `question`, which may be asked several times.

    Raises
    ------
    FileNotFoundError
        If the store has no such name.
    StoreDenied, StoreUnavailable, StoreError
        If there is no answer.
    """
    failure = ""
    for _ in _tries():
        try:
            return question()
        except FileNotFoundError:
            raise
        except (exceptions.BaseError, TimeoutError, OSError) as error:
            failure = refused_or_failed(error, url)
    _give_up(url, failure)


def created(store: Store, name: str, data: bytes, url: str) -> bool:
    """Create `name` unless it is there, and return whether this call did, whichever of its tries.

    A try that was not answered may have been carried out. So where a later one finds the name taken, what is there is
    read back: the own bytes are the own success.
    """
    unanswered = False
    failure = ""
    for _ in _tries():
        try:
            obstore.put(store, name, data, mode="create", use_multipart=False)
        except _TAKEN:
            # S3 answers so (409) too while another one is creating it, who may yet fail.
            failure = "the name is taken, and nothing is there"
            with suppress(FileNotFoundError):
                if unanswered:
                    return read(store, name, url) == data
                asked(lambda: obstore.head(store, name), url)
                return False
        except exceptions.NotSupportedError:
            raise StoreUnsafe(f"the object store {url} knows no create-once; use another one", url=url) from None
        except FileNotFoundError:
            raise no_bucket(url) from None
        except (exceptions.BaseError, TimeoutError, OSError) as error:
            failure = refused_or_failed(error, url)
            unanswered = True
        else:
            return True
    _give_up(url, failure)


def replaced(store: Store, name: str, data: bytes, url: str) -> None:
    """Put `data` under `name`, in one PUT."""
    try:
        asked(lambda: obstore.put(store, name, data, mode="overwrite", use_multipart=False), url)
    except FileNotFoundError:
        raise no_bucket(url) from None


def read(store: Store, name: str, url: str) -> bytes:
    """Return what is under `name`; raises as `asked` does."""
    return asked(lambda: obstore.get(store, name).bytes().to_bytes(), url)


def deleted(store: Store, name: str, url: str) -> None:
    """Let nothing be under `name`; some stores tell that nothing was."""
    with suppress(FileNotFoundError):
        asked(lambda: obstore.delete(store, name), url)


def refused_or_failed(error: Exception, url: str) -> str:
    """Return in few words why a try failed, if another one may help.

    Raises
    ------
    StoreDenied
        If the store does not know who asks, does not let him, or has no such bucket.
    StoreError
        If it refuses the question as such.
    """
    if isinstance(error, exceptions.InvalidPathError):
        name = _NAME.search(str(error))
        raise StoreError(
            f"the object store {url} holds an object under a name that can't be used: it has an empty part, a part that"
            f" leads elsewhere, or control characters; remove {printable(name[1]) if name else 'it'}",
            url=url,
        ) from None
    status = _STATUS.search(str(error))
    if isinstance(error, (*_DENIED, PermissionError)) or (status and status[1] in ("401", "403")):
        raise StoreDenied(
            f"the object store {url} refuses these credentials; see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what"
            " its policy lets them do: get, put, list and delete",
            url=url,
        ) from None
    if status and status[1] == "404":
        raise no_bucket(url) from None
    if status and status[1].startswith("4") and status[1] not in _WORTH_ANOTHER_TRY:
        raise StoreError(f"the object store {url} refuses a request: HTTP {status[1]}", url=url) from None
    # the words of the client hold the server's answer, which may repeat who asked
    return f"HTTP {status[1]}" if status else type(error).__name__


def no_bucket(url: str) -> StoreDenied:
    """Return what to raise where no name can be, since the bucket is not there."""
    return StoreDenied(f"the object store {url} has no such bucket; make it first", url=url)


def _tries() -> Iterator[int]:
    """Yield the numbers of the tries, with a pause before each but the first."""
    for number in range(TRIES):
        if number:
            # many machines that were refused together don't come back together; nothing of this is secret
            time.sleep(FIRST_PAUSE_S * 2 ** (number - 1) * random.uniform(0.5, 1.0))  # noqa: S311
        yield number


def _give_up(url: str, failure: str) -> NoReturn:
    raise StoreUnavailable(
        f"the object store {url} gave no answer in {TRIES} tries ({failure}); is AWS_ENDPOINT_URL right, and its server"
        " running?",
        url=url,
        failure=failure,
    )
