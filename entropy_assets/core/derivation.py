"""Frame -> noise -> credit: what the assets run, and what the audit repeats."""

from dataclasses import dataclass

from entropy_assets.core.conditioning import NoiseInput
from entropy_assets.core.frame import Frame
from entropy_assets.core.min_entropy import Assessment, assess
from entropy_assets.core.noise import ImagePreprocessor, NoiseArray
from entropy_assets.core.survey import Survey
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import Recipe


@dataclass(frozen=True, slots=True)
class AssessedImage:
    """The noise of one image and what it is worth."""

    noise: NoiseArray
    assessment: Assessment

    def as_input(self) -> NoiseInput:
        """Return what conditioning needs to know of the image."""
        return NoiseInput(
            image_sha256=self.noise.image_sha256,
            noise_sha256=self.noise.noise_sha256,
            samples=self.noise.samples,
            credit_bits=self.assessment.credit_bits,
        )


def assess_image(
    frame: Frame, nonce: bytes, recipe: Recipe, survey: Survey | None = None, submitter: str | None = None
) -> AssessedImage:
    """Extract the noise of `frame` in the order that `nonce` gives, and assess it.

    Parameters
    ----------
    survey
        The live-area map of `frame`, if it was made already.
    submitter
        Source that was declared for the file; by default the frame's own.

    Raises
    ------
    ImageRejected
        If the recipe refuses the container, the frame has no live area, a health test fails, or the noise is not
        worth the recipe's least credit.
    """
    noise = ImagePreprocessor(recipe).extract(frame, nonce, survey)
    assessment = assess(noise, frame, recipe, submitter)
    if assessment.health_failed:
        raise ImageRejected(
            RejectionReason.HEALTH_TEST_FAILED,
            f"the health tests of SP 800-90B 4.4 failed on the raw noise: {assessment.limited_by}",
            assessment=assessment.to_row(),
            live_fraction=noise.survey.live_fraction,
        )
    if assessment.credit_bits < recipe.min_credit_bits:
        raise ImageRejected(
            RejectionReason.NOT_ENOUGH_CREDIT,
            f"credit of {assessment.credit_bits} bits is under the {recipe.min_credit_bits} bits of one digest"
            f" (limited by {assessment.limited_by})",
            assessment=assessment.to_row(),
            live_fraction=noise.survey.live_fraction,
        )
    return AssessedImage(noise, assessment)
