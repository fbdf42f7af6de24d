"""What a header says of stacking, simulation and processing is heard; what raw frames say is no such statement."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core.frame import Statement
from entropy_assets.images.decode import decode
from entropy_assets.images.statements import CARDS, camera_noise_of_cards, statements_of_cards
from entropy_assets_tests.images.image_files import NOISE, fits, header, picture

RAW = np.random.default_rng(6).normal(1000, 9, (40, 56)).astype(np.uint16)


def with_card(card: str) -> bytes:
    """Return a file whose first card after BITPIX is `card`."""
    data = fits(NOISE)
    return data[:160] + f"{card:80}".encode() + data[160:2800] + data[2880:]


def said(**cards: Any) -> list[tuple[str, str]]:
    return [tuple(each) for each in decode(fits(NOISE, **cards)).statements]


@pytest.mark.parametrize(
    "keyword, value, kind, words",
    [
        ("SIMULATE", "T", "simulated", "SIMULATE = T"),
        ("INSTRUME", "'CCD Simulator'", "simulator", "INSTRUME = CCD Simulator"),
        ("INSTRUME", "'ASCOM Camera V2 simulator'", "simulator", "INSTRUME = ASCOM Camera V2 simulator"),
        ("NCOMBINE", "400", "stacked", "NCOMBINE = 400"),
        ("NCOMBINE", "2.0", "stacked", "NCOMBINE = 2.0"),
        ("STACKCNT", "12", "stacked", "STACKCNT = 12"),
        ("SNAPSHOT", "5", "stacked", "SNAPSHOT = 5"),
        ("IMCMB001", "'dark_001.fits'", "stacked", "IMCMB001 = dark_001.fits"),
        ("IMAGETYP", "'MASTER DARK'", "stacked", "IMAGETYP = MASTER DARK"),
        ("IMAGETYP", "'Master Flat Field'", "stacked", "IMAGETYP = Master Flat Field"),
        ("FRAME", "'stacked'", "stacked", "FRAME = stacked"),
        ("NDRIZIM", "4", "resampled", "NDRIZIM = 4"),
        ("DRIZCORR", "'COMPLETE'", "resampled", "DRIZCORR = COMPLETE"),
        ("RESAMPT1", "'LANCZOS3'", "resampled", "RESAMPT1 = LANCZOS3"),
        ("CALSTAT", "'BDF'", "calibrated", "CALSTAT = BDF"),
        ("FLATCOR", "'Mar  3 12:00 Flat is F.fits'", "calibrated", "FLATCOR = Mar  3 12:00 Flat is F.fits"),
        ("DARKCORR", "'COMPLETE'", "calibrated", "DARKCORR = COMPLETE"),
        ("INSTRUME", "'CCD Simulation'", "simulator", "INSTRUME = CCD Simulation"),
        ("SIMULATE", "1", "simulator", "SIMULATE = 1"),
        ("IMAGETYP", "'Mean Dark'", "stacked", "IMAGETYP = Mean Dark"),
        ("IMAGETYP", "'Integration'", "stacked", "IMAGETYP = Integration"),
        ("STACKED", "T", "stacked", "STACKED = T"),
        ("PROCTYPE", "'Stacked'", "stacked", "PROCTYPE = Stacked"),
        ("PROCTYPE", "'Resampled'", "resampled", "PROCTYPE = Resampled"),
        ("PROCTYPE", "'InstCal'", "calibrated", "PROCTYPE = InstCal"),
        ("RESAMPLE", "'LANCZOS3'", "resampled", "RESAMPLE = LANCZOS3"),
        ("DRIZZLE", "T", "resampled", "DRIZZLE = T"),
        ("PIXFRAC", "0.8", "resampled", "PIXFRAC = 0.8"),
        ("RLEVEL", "91", "calibrated", "RLEVEL = 91"),
        ("BUNIT", "'ELECTRONS'", "calibrated", "BUNIT = ELECTRONS"),
        ("BUNIT", "'electron/s'", "calibrated", "BUNIT = electron/s"),
        ("SWCREATE", "'PixInsight 1.8.9'", "developed", "SWCREATE = PixInsight 1.8.9"),
    ],
)
def test_a_card_that_speaks_is_heard(keyword: str, value: str, kind: str, words: str) -> None:
    assert said(**{keyword: value}) == [(kind, words)]


@pytest.mark.parametrize(
    "keyword, value",
    [
        ("SIMULATE", "F"), ("INSTRUME", "'Apogee Alta'"), ("INSTRUME", "'SIMULATED'"), ("NCOMBINE", "1"),
        ("NCOMBINE", "0"), ("NCOMBINE", "1.0"), ("NCOMBINE", "'many'"), ("STACKCNT", "1"), ("IMAGETYP", "'LIGHT'"),
        ("IMAGETYP", "'Bias Frame'"), ("IMAGETYP", "'DARK'"), ("OBSTYPE", "'object'"), ("CALSTAT", "''"),
        ("DRIZCORR", "'OMIT'"), ("DRIZCORR", "'PERFORM'"), ("FLATCORR", "'PERFORM'"), ("FLATCOR", "''"),
        ("TELESCOP", "'Telescope Simulator'"), ("NDRIZIM", "0"), ("PROCTYPE", "'RAW'"), ("RLEVEL", "0"),
        ("BUNIT", "'ADU'"), ("BUNIT", "'e'"), ("STACKED", "F"), ("STACKED", "1"), ("SIMULATE", "0"),
        ("SWCREATE", "'N.I.N.A. 2.1'"), ("SWCREATE", "'MaxIm DL Version 6'"), ("RESAMPLE", "F"),
    ],
)  # fmt: skip
def test_what_a_raw_frame_says_is_no_statement(keyword: str, value: str) -> None:
    """A simulated mount, for one, says nothing about the camera on it."""
    assert said(**{keyword: value}) == []


def test_a_keyword_with_an_underscore_is_heard() -> None:
    assert [*statements_of_cards({"LIGH_CNT": 20})] == [Statement("stacked", "LIGH_CNT = 20")]
    assert [*statements_of_cards({"LIGH_CNT": 1})] == []
    assert [*statements_of_cards({"S_FLAT": "COMPLETE"})] == [Statement("calibrated", "S_FLAT = COMPLETE")]
    assert [*statements_of_cards({"S_FLAT": "SKIPPED"})] == []


@pytest.mark.parametrize(
    "card, said",
    [
        ("HIERARCH ESO PRO CATG = 'MASTER_DARK' / Category", ("stacked", "ESO PRO CATG = MASTER_DARK")),
        ("HIERARCH ESO PRO DATANCOM =           12 / Number of combined frames", ("stacked", "ESO PRO DATANCOM = 12")),
        ("HIERARCH ESO DET NDIT = 10", ("stacked", "ESO DET NDIT = 10")),
        ("HIERARCH ESO DET NDIT = 1", None),
        ("HIERARCH ESO PRO CATG = 'DARK'", None),
        ("HISTORY ImageIntegration.numberOfImages: 30", ("stacked", "HISTORY = ImageIntegration.numberOfImages: 30")),
        (
            "HISTORY mean stacking with winsorized rejection",
            ("stacked", "HISTORY = mean stacking with winsorized rejection"),
        ),
        ("HISTORY the telescope was collimated", None),
        ("HISTORY a mount on a haystack", None),
    ],
)
def test_what_a_header_says_at_length_is_heard(card: str, said: tuple[str, str] | None) -> None:
    """ESO's keywords of several words, and the lines of HISTORY, each by itself."""
    assert [tuple(each) for each in decode(with_card(card)).statements] == ([] if said is None else [said])


def test_a_keyword_of_several_words_is_none_of_the_standard() -> None:
    """A reader that drops HIERARCH would let it say how large the image is."""
    plain = decode(fits(NOISE))
    for card in ("HIERARCH NAXIS1 = 2", "HIERARCH BITPIX = 8", "HIERARCH = 1", "HIERARCH ESO NAXIS1 = 2"):
        assert np.array_equal(decode(with_card(card)).pixels, plain.pixels)


def test_every_card_of_the_list_says_who_writes_it_and_no_two_are_alike() -> None:
    assert all(card.written_by for card in CARDS)
    assert len({(card.keyword, card.value) for card in CARDS}) == len(CARDS)


def test_a_card_in_front_of_the_image_speaks_for_it() -> None:
    """Pipelines write what they did into the primary header and the pixels into an extension."""
    primary = header(SIMPLE="T", BITPIX=8, NAXIS=0, NCOMBINE=7)
    extension = fits(NOISE, SIMPLE=None)
    data = primary + header(XTENSION="'IMAGE'", BITPIX=16, NAXIS=2, NAXIS1=56, NAXIS2=40, PCOUNT=0, GCOUNT=1)
    data += extension[2880:]
    assert decode(data).statements == (Statement("stacked", "NCOMBINE = 7"),)


def test_a_picture_tells_its_editor_and_its_colour_profile() -> None:
    assert decode(picture(RAW, "TIFF")).statements == ()
    edited = picture(RAW, "TIFF", tiffinfo={305: "Adobe Photoshop CS5 Macintosh"})
    assert decode(edited).statements == (Statement("developed", "Software = Adobe Photoshop CS5 Macintosh"),)
    assert decode(picture(RAW, "TIFF", tiffinfo={305: "tifffile.py"})).statements == ()
    managed = picture(NOISE, "PNG", icc_profile=b"\0" * 128)
    assert decode(managed).statements == (Statement("developed", "a colour profile (ICC)"),)


def test_what_a_terminal_would_obey_is_not_repeated() -> None:
    data = fits(NOISE, IMAGETYP="'MASTER \x1b[31m'")
    assert decode(data).statements == (Statement("stacked", "IMAGETYP = MASTER ?[31m"),)
    edited = picture(RAW, "TIFF", tiffinfo={305: "GIMP \u202e\x07"})
    assert decode(edited).statements[0].words.isprintable()


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=70), st.integers(), st.floats(), st.booleans())))
def test_any_header_can_be_asked(cards: dict[str, Any]) -> None:
    for each in statements_of_cards(cards):
        assert len(each.words) < 60
        assert each.words.isprintable()


def camera_noise(**cards: Any) -> tuple[int, int] | None:
    """Give what a file says of gain and read noise, thousandths; a comment follows a slash."""
    found = decode(fits(NOISE, **cards), reading=2).camera_noise
    return found and (found.gain, found.read_noise)


@pytest.mark.parametrize(
    "cards, told",
    [
        ({"EGAIN": "0.25", "RDNOISE": "1.5 / e-"}, (250, 1500)),
        ({"GAIN": "1.9 / e-/ADU", "RDNOISE": "5.0 / e-(rms) read noise"}, (1900, 5000)),
        ({"GAIN": "1.4 / gain, electrons per adu", "READNOIS": "4 / read noise (electrons)"}, (1400, 4000)),
        ({"CVF": "0.8", "RON": "3.2 / [e-] readout noise"}, (800, 3200)),
        ({"ATODGAIN": "7.12 / Analog to Digital Gain (Electrons/DN)", "ENOISE": "5 / electrons"}, (7120, 5000)),
        ({"EGAIN": "1", "RDNOISE": "3 / e-", "XBINNING": "2", "YBINNING": "2"}, (1000, 6000)),
        ({"EGAIN": "1", "GAIN": "139 / gain setting", "RDNOISE": "3 / e-"}, (1000, 3000)),
    ],
)  # fmt: skip
def test_gain_and_read_noise_are_heard_in_electrons(cards: dict[str, str], told: tuple[int, int]) -> None:
    assert camera_noise(**cards) == told


@pytest.mark.parametrize(
    "cards",
    [
        {"EGAIN": "0.25"},
        {"RDNOISE": "5 / e-"},
        {"GAIN": "139", "RDNOISE": "5 / e-"},
        {"GAIN": "120 / camera gain setting", "RDNOISE": "5 / e-"},
        {"GAIN": "0.5 / ADU/e-", "RDNOISE": "5 / e-"},
        {"GAIN": "30 / [dB] gain", "RDNOISE": "5 / e-"},
        {"EGAIN": "1.0", "RDNOISE": "5"},
        {"EGAIN": "1.0", "RDNOISE": "5 / ADU"},
        {"EGAIN": "1.0", "RDNOISE": "5 / 0.7 ADU in electrons"},
        {"EGAIN": "0.0", "RDNOISE": "5 / e-"},
        {"EGAIN": "-1.0", "RDNOISE": "5 / e-"},
        {"EGAIN": "1e300", "RDNOISE": "5 / e-"},
        {"EGAIN": "'1.0'", "RDNOISE": "5 / e-"},
        {"EGAIN": "T", "RDNOISE": "5 / e-"},
        {"EGAIN": "1.0", "RDNOISE": "5 / e-", "EMGAIN": "300"},
    ],
)  # fmt: skip
def test_a_gain_in_another_unit_or_without_a_read_noise_says_nothing(cards: dict[str, str]) -> None:
    """GAIN is the number of a setting in the files of many cameras, and EMCCDs give many codes to an electron."""
    assert camera_noise(**cards) is None


def test_the_words_of_gain_and_read_noise_are_told() -> None:
    found = camera_noise_of_cards({"EGAIN": 0.25, "RDNOISE": 3.5}, {"RDNOISE": "e-"})
    assert found is not None
    assert found.words == "EGAIN = 0.25 e-/ADU, RDNOISE = 3.5 e-"
    assert decode(fits(NOISE, EGAIN="0.25", RDNOISE="3.5 / e-"), reading=1).camera_noise is None
