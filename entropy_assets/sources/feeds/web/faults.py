"""What can go wrong between a question and a whole answer, in one word each."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.web.headers import Headers

REST_S: Final = 60
"""How long a server is left alone that asks for it (429) and names no time, seconds."""


class Fault(StrEnum):
    """What went wrong: ``data["fault"]`` of every `FeedError` of the reader."""

    # not asked
    BAD_URL = "bad_url"
    HOST_NOT_ALLOWED = "host_not_allowed"
    RESTING = "resting"
    KEY_SHOWN = "key_shown"
    # no connection
    UNKNOWN_NAME = "unknown_name"
    PRIVATE_ADDRESS = "private_address"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    CA_FILE = "ca_file"
    # no answer
    TOO_SLOW = "too_slow"
    BROKEN_OFF = "broken_off"
    MALFORMED = "malformed"
    # another answer than asked for
    BUSY = "busy"
    SERVER_ERROR = "server_error"
    DENIED = "denied"
    MISSING = "missing"
    REFUSED = "refused"
    MISLED = "misled"
    WRONG_LENGTH = "wrong_length"
    WRONG_RANGE = "wrong_range"
    # no content that is used
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    PACKED = "packed"
    NOT_AN_IMAGE = "not_an_image"
    NOT_READ = "not_read"


ADVICE: Final[Mapping[Fault, str]] = MappingProxyType(
    {
        Fault.HOST_NOT_ALLOWED: "if it belongs there, add it to 'hosts' in the table of this feed",
        Fault.KEY_SHOWN: "ask it by https, and give the key as a secret alone",
        Fault.UNKNOWN_NAME: "see that it is spelled right, and that this machine has a network",
        Fault.UNREACHABLE: "see that the server runs, and that the port is right; it is asked again by itself",
        Fault.CERTIFICATE: "if this machine's clock is right, wait until the server's owner has a new one; for a server"
        " of your own, name the file of who signed it: ca_file, in a table of kind http-directory",
        Fault.CA_FILE: "ca_file names a file with certificates in PEM that this user can read",
        Fault.BUSY: "it is asked again by itself; if that is often so, raise cadence_seconds",
        Fault.DENIED: "look at the key of this feed, in the environment",
        Fault.MISSING: "look at that address in a browser, and correct the table of this feed if it moved",
        Fault.TOO_LARGE: "raise max_file_bytes of this feed if this machine can afford that",
    }
)
"""What an operator can do, where that is known."""


def advice_on(fault: Fault, *, has_key: bool) -> str:
    """Return what an operator can do, as the end of a sentence; nothing where that isn't known."""
    if fault is Fault.DENIED and not has_key:
        return "; this feed sends no key: see in a browser whether the server lets in who has none"
    return f"; {ADVICE[fault]}" if fault in ADVICE else ""


class Trouble(Exception):
    """A fault of one exchange, before it is known whether it is tried again; it never leaves the reader.

    Parameters
    ----------
    kind
        What it becomes.
    fault
        In one word.
    why
        The same in a few, about the server: they go on after its name.
    again
        Whether another attempt may end better.
    retry_after_s
        What the server asked to wait, seconds.
    **data
        Facts, as in `EntropyAssetsError`.
    """

    def __init__(
        self,
        kind: type[FeedError],
        fault: Fault,
        why: str,
        *,
        again: bool = False,
        retry_after_s: int | None = None,
        **data: Any,
    ) -> None:
        super().__init__(why)
        self.kind = kind
        self.fault = fault
        self.why = why
        self.again = again
        self.retry_after_s = retry_after_s
        self.data = data


def refusal(status: int, headers: Headers, words: str, longest_wait_s: float) -> Trouble:
    """Return what an answer means that brings nothing.

    Parameters
    ----------
    status
        Any but those of success and of redirects.
    headers
        Of the answer.
    words
        Its own, fit to be shown.
    longest_wait_s
        Up to this, what it asks to wait is waited; what asks for more is not tried again here.
    """
    said = f"answers {status}" + (f": {words}" if words else "")
    wait = headers.retry_after_s
    has_none_left = headers.rate_limit is not None and not headers.rate_limit.left
    if status == 429 or (status == 403 and has_none_left):
        again = wait is not None and wait <= longest_wait_s
        wait = REST_S if wait is None else wait
        return Trouble(FeedUnavailable, Fault.BUSY, said, again=again, retry_after_s=wait, status=status)
    if status >= 500 or status in (408, 425):
        again = wait is None or wait <= longest_wait_s
        fault = Fault.BUSY if status == 503 else Fault.SERVER_ERROR
        return Trouble(FeedUnavailable, fault, said, again=again, retry_after_s=wait, status=status)
    if status in (401, 403):
        return Trouble(FeedDenied, Fault.DENIED, said, status=status)
    if status in (404, 410):
        return Trouble(FeedError, Fault.MISSING, said, status=status)
    if 400 <= status < 500:
        return Trouble(FeedError, Fault.REFUSED, said, status=status)
    return Trouble(FeedLies, Fault.MALFORMED, f"{said}, which is no answer to what it was asked", status=status)
