"""The live-area map of a frame of several parts: each is judged by itself, as the frame that it is.

Planes of a cube, groups of a ramp, pages of a TIFF file or amplifiers of a mosaic have levels, gains and limits of
their own, and what repeats from one to the next is no tile: `credit.shared_parts` takes it off.
"""

from dataclasses import replace

import numpy as np

from entropy_assets.core.extraction.artefacts import repeated_share
from entropy_assets.core.extraction.squares import Verdict, steps_of
from entropy_assets.core.extraction.survey import Survey, survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import Recipe


def survey_of(frame: Frame, recipe: Recipe) -> Survey:
    """Return the live-area map of `frame`, of which no square reaches over two parts.

    Raises
    ------
    ImageRejected
        ``TOO_SMALL`` if not one square fits into a part.
    """
    if frame.parts == 1:
        return survey_frame(frame, recipe)
    survey = _below_each_other([survey_frame(part, recipe) for part in frame.split()])
    for channel in range(frame.channels):
        copied = repeated_share(steps_of(frame, channel), survey.live, survey.square_size)
        survey.verdict[survey.live & (copied > recipe.max_copied_share)] = Verdict.REPEATED
    return survey


def _below_each_other(surveys: list[Survey]) -> Survey:
    """Return one map of all parts; of what is said of a whole frame, the worst of any."""
    dead = [survey for survey in surveys if not survey.live.any()]
    return replace(
        surveys[0],
        verdict=np.concatenate([survey.verdict for survey in surveys]),
        sigma=np.concatenate([survey.sigma for survey in surveys]),
        correlation_x=np.concatenate([survey.correlation_x for survey in surveys]),
        correlation_y=np.concatenate([survey.correlation_y for survey in surveys]),
        repeat_correlation=max(survey.repeat_correlation for survey in surveys),
        blocking=max(survey.blocking for survey in surveys),
        comb_share=max(survey.comb_share for survey in surveys),
        dithered_share=max(survey.dithered_share for survey in surveys),
        empty_spectrum=max(survey.empty_spectrum for survey in surveys),
        linear_complexity=min(survey.linear_complexity for survey in surveys),
        clipped_at_black=2 * sum(survey.clipped_at_black for survey in surveys) > len(surveys),
        advice=next((survey.advice for survey in dead if survey.advice), ""),
    )
