"""What to do about an image that gets no credit: one sentence for each reason, wherever a reason is told.

``docs/reasons.md`` has the same sentences, with what each reason means.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from entropy_assets.errors import RejectionReason

ADVICE: Final[Mapping[RejectionReason, str]] = MappingProxyType(
    {
        RejectionReason.EMPTY_FILE: "copy it again",
        RejectionReason.NOT_A_REGULAR_FILE: "put the file itself into the inbox",
        RejectionReason.FILE_TOO_LARGE: (
            "pack it without loss (fpack, TIFF with deflate), or raise ENTROPY_MAX_FILE_BYTES"
        ),
        RejectionReason.UNKNOWN_FORMAT: "open it and look; export FITS or 16-bit TIFF",
        RejectionReason.UNSUPPORTED_CONTAINER: "make FITS of it with the program that the sentence names",
        RejectionReason.DECODE_ERROR: "copy it again from the camera",
        RejectionReason.INVALID_HEADER: "write the file anew with the program that made it",
        RejectionReason.TRUNCATED: "copy it again; write under a name with .part and rename it when it is whole",
        RejectionReason.OVER_PIXEL_BUDGET: (
            "send a plain FITS image, or raise ENTROPY_MAX_PIXELS where the sentence names it"
        ),
        RejectionReason.NO_IMAGE_DATA: "send the file that has the exposure",
        RejectionReason.UNSUPPORTED_PIXELS: (
            "send the exposure as integers; a camera's raw file needs the part raw, or convert it to FITS or 16-bit "
            "TIFF, for example with Siril; the sentence names what was found"
        ),
        RejectionReason.NOT_FINITE: "send the frame from before it was aligned",
        RejectionReason.DITHERED: "send the file from before its levels were spread; pack integers, not floats",
        RejectionReason.REPLAYED_FILE: "take a new exposure",
        RejectionReason.REPLAYED_PIXELS: "take a new exposure",
        RejectionReason.TOO_SMALL: "send the whole frame",
        RejectionReason.CONSTANT: "send a frame without noise reduction",
        RejectionReason.SATURATED: "expose for less time, or lower the gain",
        RejectionReason.CLIPPED_AT_BLACK: (
            "raise the offset (brightness, black level) of the camera until the histogram stands clear of the left edge"
        ),
        RejectionReason.QUANTISED_AWAY: "raise the gain, expose longer, and send all bits of the ADC",
        RejectionReason.CORRELATED: "send the raw frame: not demosaiced, scaled, rotated, sharpened or denoised",
        RejectionReason.UNEVEN_CODES: "send the linear frame, not the stretched one",
        RejectionReason.TILED: "send the frame that was not retouched",
        RejectionReason.COMPRESSION_ARTEFACTS: "send what the lossy file was made from",
        RejectionReason.SYNTHETIC_NOISE: "send a frame as a sensor gave it",
        RejectionReason.NO_LIVE_AREA: "send a frame with some even, well exposed sky",
        RejectionReason.NOT_RAW: "send the single exposures; frames of the simulated camera come by themselves",
        RejectionReason.LOSSY_REFUSED: "send FITS, TIFF or PNG as the camera wrote it, or use the standard recipe",
        RejectionReason.HEALTH_TEST_FAILED: (
            "look at the frame at 100 %; take another one, and see to the camera if it happens again"
        ),
        RejectionReason.NOT_ENOUGH_CREDIT: (
            "send a larger frame or another scene, and use the subfolder of the inbox for its source"
        ),
    }
)


def advice_on(reason: str | None) -> str | None:
    """Return what to do about `reason`; None where nothing is wrong, or for a reason of a newer version."""
    return ADVICE[RejectionReason(reason)] if reason in set(RejectionReason) else None


def lines_of_advice(reasons: Iterable[str | None]) -> list[str]:
    """Return one line, ``reason: what to do``, for each of `reasons` once, in their order."""
    return [f"{reason}: {advice}" for reason in dict.fromkeys(reasons) if (advice := advice_on(reason))]
