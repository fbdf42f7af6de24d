"""The credit of an image: the least of NIST SP 800-90B's estimates, capped by what is known besides.

What is assessed are the low k bits of the pair differences that `NoiseArray.credited` gives, where ``2**k`` is about
``pi * sqrt(2) * sigma``, sigma being the noise in ADC steps that the survey found; k never follows from the
estimates. docs/credit.md argues for it, for the caps, and for the quarter that ``recipe.safety_factor`` takes away.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.estimates import least_estimates, least_of, raster_estimates
from entropy_assets.core.credit.gaussian import left_beside
from entropy_assets.core.credit.photon_transfer import LIMITS, caps_of_light
from entropy_assets.core.credit.shared_parts import CreditedPart, credited_once, least_sigma, part_of_regions
from entropy_assets.core.extraction.noise import NoiseArray, NoiseExtractor
from entropy_assets.core.extraction.survey import Survey, survey_of
from entropy_assets.core.frame import Frame, StatementKind
from entropy_assets.core.sp800_90b.health_tests import HealthReport, run_health_tests
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import Recipe

Samples = npt.NDArray[np.uint8]

HARMONIC_WIDTH: Final = math.pi * math.sqrt(2)
"""Width of the assessed symbols over the noise of one pixel: pi standard deviations of a pair difference."""
CAPS_OF_SAMPLES: Final = ("claim", "statement", "photon_transfer", "header_gain", "coarse_steps")
"""Caps that hold for each sample by itself, whatever else is known."""
NOT_RAW: Final[dict[StatementKind, str]] = {
    "simulated": "its noise comes from a program; only the source 'simulated' may hand it in",
    "simulator": "its noise comes from a program, and whoever has the program has it too; use a real camera's frames",
    "stacked": "several exposures in one, which averages the noise away; send the single exposures",
    "resampled": "its pixels are mixtures of the sensor's; send the frames as the camera delivered them",
}
"""What refuses a file that says so, and what to do."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the noise of one image is worth, and why not more.

    Attributes
    ----------
    min_entropy
        Bits per sample: the smallest estimate of any channel, or the source's claim if that is less; rounded down as
        the recipe says.
    estimates
        Every estimate, bits per sample, by name; of the channels, the least. ``bits_*`` are of the bitstring, times
        the bits of a symbol; ``raster_*`` are of the samples in raster order, the others of those in draw order.
    symbol_bits
        k, low bits of each sample that were assessed; of the channels, the least.
    samples
        Credited samples of one channel: pair differences of live area.
    assessed_samples
        How many of them the estimators that need no prediction looked at, in draw order.
    credit_bits
        What the image may contribute, bits.
    caps
        What bounds the credit besides the estimates: ``claim`` and, where the file says something of itself,
        ``statement`` (bits per sample), ``container`` (bits); where parts of a frame share something, ``shared_parts``:
        the least that is left of the estimates of a part beside those before it (bits per sample); and what light and
        header allow, ``photon_transfer``, ``photon_transfer_alone`` (of the first frame of a sensor) and
        ``header_gain``, and coarse steps of the noise, ``coarse_steps`` and ``coarse_steps_alone`` (bits per sample).
    limited_by
        The estimate, cap or test that decided.
    health
        The health tests, by channel.
    of_parts
        If parts of a frame were credited, the least estimate of each by its place, bits per sample.
    """

    min_entropy: float
    estimates: dict[str, float]
    symbol_bits: int
    samples: int
    assessed_samples: int
    credit_bits: int
    caps: dict[str, float]
    limited_by: str
    health: tuple[HealthReport, ...]
    of_parts: Mapping[int, float] = field(default_factory=dict)

    @property
    def health_failed(self) -> bool:
        """Tell whether a health test failed on any channel."""
        return not all(report.passed for report in self.health)

    def to_row(self) -> dict[str, Any]:
        """Return the assessment as JSON-able values."""
        return {
            "min_entropy": self.min_entropy,
            "estimates": dict(self.estimates),
            "symbol_bits": self.symbol_bits,
            "samples": self.samples,
            "assessed_samples": self.assessed_samples,
            "credit_bits": self.credit_bits,
            "caps": dict(self.caps),
            "limited_by": self.limited_by,
            "health": [report.to_row() for report in self.health],
        }


def symbol_bits(sigma: float, recipe: Recipe) -> int:
    """Return k, the low bits of a pair difference that are assessed, for a noise of `sigma` ADC steps per pixel."""
    octaves = math.log2(max(2.0, HARMONIC_WIDTH * sigma))
    return min(8, max(1, math.floor(octaves + recipe.symbol_rounding)))


def assess(
    noise: NoiseArray,
    frame: Frame,
    recipe: Recipe,
    submitter: str | None = None,
    known_shares: Mapping[int, float] = MappingProxyType({}),
    placed: Frame | None = None,
) -> Assessment:
    """Return what `noise` is worth. Poor noise is no error: its credit is 0, and ``limited_by`` says why.

    The channels of one exposure share their light and often their pixels (demosaicing), so only one of them counts: the
    number of its samples, at the smallest estimate of any. The parts of a frame all count, at that of the worst part.

    Parameters
    ----------
    submitter
        Source that whoever handed the file in declared; by default the frame's own. A frame may say in its header that
        it is simulated, and everybody can write a header: what it says can lower the claim and not raise it.
    known_shares
        Share of the variance of each part that those before it show; none of those that are not named.
    placed
        As of `assess_image`: where it lies, the samples are counted.
    """
    near = (placed or frame).pixels
    k = symbol_bits(least_sigma(noise.survey, frame.parts), recipe)
    sequences, parts = _sequences(noise, frame, k)
    per_sequence = [least_estimates([sequence], k, recipe, near) for sequence in sequences]
    in_raster_order = raster_estimates(noise, k, recipe, near)
    estimates = least_of(per_sequence) | in_raster_order
    sources = (frame.source, submitter or frame.source)
    expected = expected_entropy(estimates, sources, recipe)
    caps = {**claims_of(frame, recipe, submitter), "container": container_cap(frame, noise, recipe)}
    caps |= caps_of_light(frame, noise.survey, recipe)
    least = min(estimates, key=estimates.__getitem__)
    limits = [(estimates[least], least), *((caps[name], name) for name in CAPS_OF_SAMPLES if name in caps)]
    of_parts: dict[int, float] = {}
    for place, each in zip(parts, per_sequence, strict=True):
        of_parts[place] = min(*each.values(), *in_raster_order.values(), of_parts.get(place, math.inf))
    if any(known_shares.values()):
        sigmas = [part.median_sigma for part in noise.survey.split(frame.parts)]
        left = [left_beside(of_parts[n], sigmas[n], k, known_shares.get(n, 0.0)) for n in of_parts]
        caps["shared_parts"] = min(left)
        limits[0] = (caps["shared_parts"], "shared_parts")
    entropy, limited_by = min(limits)
    entropy = rounded_down(entropy, recipe)
    health = tuple(
        run_health_tests(sequence, expected, alpha_bits=recipe.health_alpha_bits, binary=k == 1)
        for sequence in sequences
        if expected > 0
    )
    samples = sum(len(sequence) for sequence in sequences) // noise.channels
    credit = credit_of(entropy, samples, recipe)
    if caps["container"] < credit:
        credit, limited_by = int(caps["container"]), "container"
    if faults := _faults(frame, samples, health, recipe):
        credit, limited_by = 0, faults[0]
    return Assessment(
        min_entropy=entropy,
        estimates=estimates,
        symbol_bits=k,
        samples=samples,
        assessed_samples=min(samples, recipe.assessment_samples),
        credit_bits=credit,
        caps=caps,
        limited_by=limited_by,
        health=health,
        of_parts=of_parts if frame.parts > 1 else {},
    )


def claims_of(frame: Frame, recipe: Recipe, submitter: str | None = None) -> dict[str, float]:
    """Return the caps of what a sample of `frame` is worth, by name, bits: the claim, and what the file says."""
    sources = (frame.source, submitter or frame.source)
    caps = {"claim": min(recipe.claim_of(source, is_picture=frame.is_picture) for source in sources)}
    said = {statement.kind for statement in frame.statements}
    if claims := [claim for kind, claim in recipe.statement_claims if kind in said]:
        caps["statement"] = min(claims)
    return caps


def _sequences(noise: NoiseArray, frame: Frame, k: int) -> tuple[list[Samples], list[int]]:
    """Return the low `k` bits of what is credited, of each channel and part with live area, and which part it is."""
    part = part_of_regions(noise.regions[:: noise.drawn_across**2], frame)
    low = np.uint8((1 << k) - 1)
    places = np.unique(part).tolist()
    sequences = [
        noise.credited(channel).reshape(len(part), -1)[part == place].reshape(-1) & low
        for channel in range(noise.channels)
        for place in places
    ]
    return sequences, places * noise.channels


def _refuse_by_statement(frame: Frame, recipe: Recipe, submitter: str) -> None:
    """Raise if the file says of itself that its pixels are not one exposure of a sensor."""
    claims = dict(recipe.statement_claims)
    undeclared = {"simulated": 0.0} if claims and submitter != "simulated" else {}
    for said in frame.statements:
        if (claims | undeclared).get(said.kind) == 0:
            message = f"the file says {said.words}: {NOT_RAW[said.kind]}"
            raise ImageRejected(RejectionReason.NOT_RAW, message, kind=said.kind, words=said.words)


def eight_bit_estimates(noise: NoiseArray, recipe: Recipe) -> dict[str, float]:
    """Return each estimate of the whole 8 bits of a sample: what a tool says that is given the samples as they are.

    They are in draw order. No credit follows from it. It is mostly less than that of the low bits, which the same
    samples hold as well: the bits above the noise repeat its sign, and estimates of a bitstring take all bits for
    equally good.
    """
    return least_estimates([noise.credited(channel) for channel in range(noise.channels)], 8, recipe)


def _faults(frame: Frame, samples: int, health: tuple[HealthReport, ...], recipe: Recipe) -> list[str]:
    """Return for what the whole credit is refused, by name, the gravest first."""
    refused = ["lossy_refused"] if recipe.refuse_lossy and frame.lossy else []
    scarce = ["too_few_samples"] if samples < recipe.min_samples else []
    return refused + scarce + [f"health:{name}" for report in health for name in report.failed]


def expected_entropy(estimates: Mapping[str, float], sources: Iterable[str], recipe: Recipe) -> float:
    """Return the min-entropy that the health tests expect, bits per sample: what a source in order would give.

    What is known of the container, or said by the file, lowers the credit and not this: tests that expect next to
    nothing would pass a source that fails.

    Parameters
    ----------
    estimates
        By name, bits per sample.
    sources
        The frame's and the declared one.
    """
    return min(*estimates.values(), *(recipe.claim_of(source) for source in sources))


def rounded_down(min_entropy: float, recipe: Recipe) -> float:
    """Return the greatest multiple of the recipe's part of a bit that is not above `min_entropy`."""
    parts = recipe.entropy_parts
    return math.floor(Fraction(min_entropy) * parts) / parts if parts else min_entropy


def credit_of(min_entropy: float, samples: int, recipe: Recipe) -> int:
    """Return the credit of `samples` at `min_entropy` bits each, after the recipe's safety factor, whole bits.

    Parameters
    ----------
    min_entropy
        As `rounded_down` gives it: then what follows is arithmetic of integers.
    """
    numerator, denominator = recipe.safety_factor
    parts = recipe.entropy_parts
    assessed = round(min_entropy * parts) * samples // parts if parts else math.floor(min_entropy * samples)
    return assessed * numerator // denominator


def container_cap(frame: Frame, noise: NoiseArray, recipe: Recipe) -> int:
    """Return the most bits that the live area can hold: its share of the coded bytes, and the container's of that."""
    numerator, denominator = recipe.lossy_share if frame.lossy else recipe.lossless_share
    live, squares = int(np.count_nonzero(noise.survey.live)), noise.survey.live.size
    return 8 * frame.coded_bytes * numerator * live // (denominator * squares)


@dataclass(frozen=True, slots=True)
class AssessedImage:
    """The noise of one image and what it is worth; if it is of several parts of the frame, those that are credited."""

    noise: NoiseArray
    assessment: Assessment
    parts: tuple[CreditedPart, ...] = ()


def assess_image(
    frame: Frame,
    nonce: bytes,
    recipe: Recipe,
    survey: Survey | None = None,
    submitter: str | None = None,
    among: Collection[int] | None = None,
    placed: Frame | None = None,
) -> AssessedImage:
    """Extract the noise of `frame` in the order that `nonce` gives, and assess it.

    Parameters
    ----------
    survey
        The live-area map of `frame`, if it was made already.
    submitter
        Source that was declared for the file; by default the frame's own.
    among
        Parts of the frame that are credited; by default those that are worth most together.
    placed
        The same frame where an accelerator has its pixels (`arrays.Arrays.placed`): what it is extracted by, and what
        counts its samples.

    Raises
    ------
    ImageRejected
        If the recipe refuses the container or what the file says of itself, the frame has no live area, a health test
        fails, or the noise is not worth the recipe's least credit.
    """
    _refuse_by_statement(frame, recipe, submitter or frame.source)
    parts: tuple[CreditedPart, ...] = ()
    if frame.parts > 1:
        most = min(claims_of(frame, recipe, submitter).values())
        shared = credited_once(frame, survey or survey_of(frame, recipe), recipe, most, among)
        survey, parts = shared.survey, shared.used
    noise = NoiseExtractor(recipe).extract(placed or frame, nonce, survey)
    known_shares = {part.place: part.known_share for part in parts}
    assessment = assess(noise, frame, recipe, submitter, known_shares, placed)
    if assessment.health_failed:
        raise ImageRejected(
            RejectionReason.HEALTH_TEST_FAILED,
            f"the health tests of SP 800-90B 4.4 failed on the raw noise: {assessment.limited_by}",
            assessment=assessment.to_row(),
            live_fraction=noise.survey.live_fraction,
        )
    if assessment.credit_bits < recipe.min_credit_bits:
        why = LIMITS.get(assessment.limited_by, "")
        raise ImageRejected(
            RejectionReason.NOT_ENOUGH_CREDIT,
            f"credit of {assessment.credit_bits} bits is under the {recipe.min_credit_bits} bits of one digest"
            f" (limited by {assessment.limited_by}){why and ': '}{why}",
            assessment=assessment.to_row(),
            live_fraction=noise.survey.live_fraction,
        )
    return AssessedImage(noise, assessment, parts)
