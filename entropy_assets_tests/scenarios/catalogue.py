"""All scenarios by name, in the order of the table. A name fixes every pixel: it is the seed.

No rule of the product looks at these names or makers; a rule that did would only pass its own examination.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from PIL import features

from entropy_assets_tests.scenarios import attacks, masked_copies, pictures, processing, sensors, stacks
from entropy_assets_tests.scenarios.scenario import Scenario

SEED: Final = 20_261_128
SIDE: Final = 512
"""Side of a frame, pixels."""
PARTS: Final = (
    "Sensors",
    "Known before",
    "Processed",
    "Pictures from lossy coders",
    "Copies, sparse noise, generators",
    "Several exposures in one file",
)
HONEST, KNOWN, PROCESSED, CODED, ATTACK, STACK = PARTS


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario of the catalogue.

    Attributes
    ----------
    part
        Heading of the table that it stands under, of `PARTS`.
    make
        From a seeded generator and the side of a frame, pixels.
    worth_something
        An ordinary frame of an ordinary camera: no credit at all would be a fault too.
    cannot_be_told
        A good generator whose seed is known, or steps that a known pattern hides: its pixels follow the law of honest
        ones, so credit above the bound is no fault of the measurement. `docs/credit.md` says so.
    """

    part: str
    make: Callable[[np.random.Generator, int], Scenario]
    worth_something: bool = False
    cannot_be_told: bool = False


def _sensors() -> dict[str, Entry]:
    clean = {f"clean, sigma {s:g}": Entry(HONEST, partial(sensors.clean, sigma=s), s >= 0.6) for s in CLEAN}
    clean |= {
        f"clean, sigma {s:g}, the second frame of its sensor": Entry(
            HONEST, partial(sensors.second_frame, sigma=s), True
        )
        for s in SECOND
    }
    skies = {
        f"sky of {e:g} e-, read noise {r:g} e-, {g:g} e- per code": Entry(
            HONEST, partial(sensors.sky, electrons=e, read_noise=r, gain=g), True
        )
        for e, r, g in ((4, 1.5, 0.5), (20, 1.5, 1.0), (250, 6.0, 1.5), (800, 9.0, 2.3))
    }
    flats = {
        f"flat of 15,000 e-, PRNU {p:.1%}, {name}": Entry(
            HONEST, partial(sensors.uneven_pixels, share=p, gain=g), p < 0.02
        )
        for name, g in (("16 bits", 1.0), ("8 bits", 93.7))
        for p in (0.005, 0.01, 0.04)
    }
    flats |= {
        f"flat on a slope of {r} : 1, PRNU {p:.0%}, 8 bits": Entry(
            HONEST, partial(sensors.lit_unevenly, share=p, gain=93.7, ratio=r), not p
        )
        for r, p in ((2, 0.0), (2, 0.04), (2, 0.08), (2, 0.25), (4, 0.0), (4, 0.04), (4, 0.25))
    }
    flats |= {
        "flat on a slope of 2 : 1, PRNU 25%, 8 bits, after a frame of another sensor": Entry(
            HONEST, partial(sensors.lit_unevenly, share=0.25, gain=93.7, ratio=2, strangers=1)
        ),
        "flat on a slope of 4 : 1, PRNU 1%, 16 bits": Entry(
            HONEST, partial(sensors.lit_unevenly, share=0.01, gain=1.0, ratio=4), True
        ),
    }
    flats |= {
        f"flat of 15,000 e-, PRNU {p:.0%}, 8 bits, gain in its header": Entry(
            HONEST, partial(sensors.uneven_pixels, share=p, gain=93.7, EGAIN=93.7, RDNOISE="0.0 / e-"), not p
        )
        for p in (0.0, 0.04, 0.08, 0.25)
    }
    odd = {
        "clean on a slope, sigma 0.6": Entry(HONEST, partial(sensors.slope, sigma=0.6), True),
        "clean on a slope, sigma 3": Entry(HONEST, partial(sensors.slope, sigma=3.0), True),
        "14-bit ADC, codes x 4, sigma 3": Entry(HONEST, partial(sensors.clean, sigma=3.0, scale=4), True),
        "14-bit ADC, x 65535/16383, sigma 3": Entry(
            HONEST, partial(sensors.clean, sigma=3.0, scale=65535 / 16383), True
        ),
        "dark clipped at 0, level 4, sigma 4": Entry(HONEST, partial(sensors.clipped_dark, level=4.0, sigma=4.0)),
    }
    return clean | skies | flats | odd | _uneven() | _banded() | _mosaics()


def _uneven() -> dict[str, Entry]:
    return {
        f"uneven ADC, P(odd) {odd}, sigma {s:g}": Entry(
            HONEST, partial(sensors.uneven_adc, sigma=s, odd_share=float(odd)), float(odd) > 0.4
        )
        for odd, s in ((".419", 24.0), (".45", 5.0), (".42", 1.5), (".35", 3.0), (".25", 3.0))
    }


def _banded() -> dict[str, Entry]:
    rows = {
        f"row banding of {width:g}, sigma {s:g}": Entry(HONEST, partial(sensors.banding, width=width, sigma=s), True)
        for width, s in ((20.0, 3.0), (20.0, 0.8), (1.0, 1.0), (6.0, 8.0))
    }
    waves = {
        f"row banding in waves of {p} rows, sigma 3": Entry(
            HONEST, partial(sensors.banding_in_waves, height=20.0, period=p, sigma=3.0), True
        )
        for p in (2, 8)
    }
    columns = {"column banding of 20, sigma 3": Entry(HONEST, partial(sensors.column_banding, width=20.0, sigma=3.0))}
    return rows | waves | columns


def _mosaics() -> dict[str, Entry]:
    mosaic = partial(partial, sensors.mosaic)
    made = {
        "Bayer mosaic RGGB 800/1200/900 e-": mosaic(pattern="RGGB", BAYERPAT="'RGGB'"),
        "Bayer mosaic GRBG, offsets 1 and 1, bottom up": mosaic(
            pattern="GRBG", BAYERPAT="'GBRG'", XBAYROFF=1, YBAYROFF=1, ROWORDER="'BOTTOM-UP'"
        ),
        "Bayer mosaic RGGB, nothing in the header": mosaic(pattern="RGGB"),
        "X-Trans mosaic": mosaic(pattern=sensors.X_TRANS, BAYERPAT=f"'{sensors.X_TRANS}'"),
        "X-Trans mosaic, called a Bayer one": mosaic(pattern=sensors.X_TRANS, BAYERPAT="'RGGB'"),
        "grey, called a mosaic, sigma 3": partial(sensors.called_a_mosaic, sigma=3.0),
    }
    again = partial(partial, sensors.mosaic_again)
    made |= {
        "Bayer mosaic on a slope of 1.6 : 1, second frame": again(pattern="RGGB", ratio=1.6),
        "Bayer mosaic on a slope of 5 : 1, second frame": again(pattern="RGGB", ratio=5, BAYERPAT="'RGGB'"),
        "X-Trans mosaic on a slope of 2 : 1, second frame": again(pattern=sensors.X_TRANS, ratio=2),
        **sensors.MOSAICS,
    }
    return {name: Entry(HONEST, make, True) for name, make in made.items()}


CLEAN: Final = (0.5, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 7.0, 10.0)


SECOND: Final = (0.8, 2.5, 7.0)


def _known_before() -> dict[str, Entry]:
    patterns = {
        f"known pattern {m} x, sigma {s:g}": Entry(KNOWN, partial(sensors.pattern, multiple=m, sigma=s))
        for m in (2, 4, 8)
        for s in (0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.5)
    }
    spent = {
        "known pattern 20 x, sigma 1, 3 frames spent before": Entry(
            KNOWN, partial(sensors.pattern, multiple=20, sigma=1.0, spent=3)
        ),
        "known pattern 20 x, sigma 1, 4 frames in one batch": Entry(
            KNOWN, partial(sensors.pattern_in_one_batch, multiple=20, sigma=1.0, count=4)
        ),
        "pattern 0.5 x, sigma 8, 4 frames in one batch": Entry(
            KNOWN, partial(sensors.pattern_in_one_batch, multiple=0.5, sigma=8.0, count=4), True
        ),
        "columns that drift by 7 x over a known pattern 16 x, sigma 0.5, the second": Entry(
            KNOWN, partial(sensors.drifting_columns, multiple=16, drift=7, sigma=0.5)
        ),
    }
    fresh = {
        f"earlier frame + fresh {s:g}": Entry(KNOWN, partial(sensors.on_an_earlier_frame, sigma=s))
        for s in (0.2, 0.4, 0.6)
    }
    masters = {
        "master dark: mean of 400, pattern 15, sigma 8": Entry(
            KNOWN, partial(processing.master_dark, sigma=8.0, count=400, width=15.0)
        ),
        "master dark: mean of 16, pattern 15, sigma 8": Entry(
            KNOWN, partial(processing.master_dark, sigma=8.0, count=16, width=15.0)
        ),
    }
    copies = {name: Entry(KNOWN, make) for name, make in masked_copies.CATALOGUED.items()}
    copies["spent mosaic, a bright pixel in each 32 x 32 of a colour"] = Entry(
        KNOWN, partial(sensors.spent_mosaic_with_bright_pixels, every=32)
    )
    copies["pattern 8 x, sigma 2.5, half under stars, 4 frames spent before"] = Entry(
        KNOWN, partial(masked_copies.under_stars, multiple=8, sigma=2.5, spent=4), True
    )
    coarse = {name: Entry(KNOWN, make) for name, make in sensors.COARSE.items()}
    coarse |= {name: Entry(KNOWN, make, cannot_be_told=True) for name, make in sensors.HIDDEN.items()}
    return patterns | spent | fresh | coarse | masters | copies


def _processed() -> dict[str, Entry]:
    gamma, stretch = processing.gamma_8_of_12(), processing.stretch_16_of_12()
    stacks = {
        "mean of 4, sigma 5": Entry(PROCESSED, partial(processing.mean, sigma=5.0, count=4), True),
        "mean of 16, sigma 5": Entry(PROCESSED, partial(processing.mean, sigma=5.0, count=16), True),
        "median of 5, sigma 5": Entry(PROCESSED, partial(processing.median, sigma=5.0, count=5), True),
        "binned 2 x 2, sigma 5": Entry(PROCESSED, partial(processing.binned, sigma=5.0), True),
    }
    tables = {
        "gamma table, 12 to 8 bits, sigma 20": Entry(PROCESSED, partial(processing.tabled, sigma=20.0, table=gamma)),
        "gamma table, 12 to 8 bits, sigma 60": Entry(PROCESSED, partial(processing.tabled, sigma=60.0, table=gamma)),
        "stretch, 12 to 16 bits, sigma 4": Entry(PROCESSED, partial(processing.tabled, sigma=4.0, table=stretch)),
    }
    gains = {
        f"digital gain {f:g}, sigma {s:g}": Entry(
            PROCESSED, partial(processing.tabled, sigma=s, table=processing.gain(f)), True
        )
        for f, s in ((1.37, 0.6), (1.37, 3.0), (2.6, 3.0), (0.7, 3.0))
    }
    dither = {
        f"8 to 16 bits, x {f} and dither, sigma {s:g}": Entry(
            PROCESSED, partial(processing.dithered, factor=f, sigma=s)
        )
        for f in (4, 16, 257)
        for s in (0.1, 0.3)
    }
    dither |= {
        f"8 to 16 bits, x {f} and triangular dither, sigma {s:g}": Entry(
            PROCESSED, partial(processing.dithered_twice, factor=f, sigma=s)
        )
        for f in (16, 257)
        for s in (0.1, 0.3)
    }
    dither |= {
        f"8 to 16 bits, x 257 and dither, sigma {s:g}, the second frame": Entry(
            PROCESSED, partial(processing.dithered_after_another, factor=257, sigma=s)
        )
        for s in (0.9, 1.0)
    }
    rows = {
        "every second row doubled, banding of 20": partial(processing.banded_rows, sigma=8.0, width=20.0, doubled=True),
        "every second row interpolated, banding of 20": partial(
            processing.banded_rows, sigma=8.0, width=20.0, doubled=False
        ),
    }
    mosaics = {
        "every pixel four times, called a mosaic": partial(processing.enlarged, sigma=8.0, order=0),
        "enlarged twice, bilinear, called a mosaic": partial(processing.enlarged, sigma=8.0, order=1),
        "every second row interpolated, called a mosaic": partial(processing.between_rows, sigma=8.0),
        "green of a mosaic, gaps filled, called a mosaic": partial(processing.one_colour_of_a_mosaic, sigma=8.0),
    }
    return stacks | tables | gains | dither | {name: Entry(PROCESSED, make) for name, make in (rows | mosaics).items()}


def _pictures() -> dict[str, Entry]:
    decoded = pictures.decoded
    colour = {
        f"{coder} Q {q}, colour": Entry(CODED, partial(decoded, coder=coder, quality=q))
        for coder, qualities in (("JPEG", (75, 85, 90, 95)), ("WEBP", (60, 80, 95)), ("AVIF", (60, 80, 95)))
        if coder not in MISSING_CODERS
        for q in qualities
    }
    noisy = {
        f"{coder} Q {q}, grey, sigma 12": Entry(
            CODED, partial(decoded, coder=coder, quality=q, noise=12.0, colour=False)
        )
        for coder in ("JPEG", "WEBP", "AVIF")
        if coder not in MISSING_CODERS
        for q in (70, 80, 90)
    }
    return (
        colour
        | noisy
        | {
            "JPEG Q 95, grey": Entry(CODED, partial(decoded, coder="JPEG", quality=95, colour=False)),
            "JPEG Q 90, grey, gamma 0.8": Entry(
                CODED, partial(decoded, coder="JPEG", quality=90, colour=False, gamma=True)
            ),
        }
        | {
            f"{coder} Q 85, grey, sigma {s:g}, gain {g:g}": Entry(
                CODED, partial(decoded, coder=coder, quality=85, noise=s, colour=False, gain=g)
            )
            for coder in ("JPEG", "WEBP", "AVIF")
            if coder not in MISSING_CODERS
            for s, g in ((4.0, 1.37), (12.0, 0.7))
        }
    )


MISSING_CODERS: Final = {coder for coder in ("WEBP", "AVIF") if not features.check(coder.lower())}
"""Coders that this Pillow was built without."""


def _attacks() -> dict[str, Entry]:
    copies = {
        "64 x 64 tile, plain": partial(attacks.tiles, change=attacks.same),
        "64 x 64 tile, turned and mirrored": partial(attacks.tiles, change=attacks.any_orientation),
        "64 x 64 tile, turned, with sign": partial(attacks.tiles, change=attacks.any_sign),
        "64 x 64 tile, turned, with sign, + 0.25": partial(attacks.tiles, change=attacks.any_sign, fresh=0.25),
        "64 x 64 tile, rolled + gain": partial(attacks.tiles, change=attacks.rolled_and_scaled),
        "64 x 64 tile, rolled + gain, + 0.25": partial(attacks.tiles, change=attacks.rolled_and_scaled, fresh=0.25),
        "32 x 32 tile, turned, with sign": partial(attacks.tiles, change=attacks.any_sign, shape=(32, 32)),
        "96 x 32 tile, turned by halves, with sign": partial(attacks.tiles, change=attacks.half_turned, shape=(96, 32)),
        "48 x 48 tile, rolled + gain, + 0.3, on a slope": partial(
            attacks.tiles, change=attacks.rolled_and_scaled, fresh=0.3, shape=(48, 48), slope=0.5
        ),
        "250 x 250 tile, turned, with sign, + 0.25": partial(
            attacks.tiles, change=attacks.any_sign, fresh=0.25, shape=(250, 250)
        ),
        "64 x 64 tile of sigma 1, turned, with sign, + 0.45": partial(
            attacks.tiles, change=attacks.any_sign, fresh=0.45, sigma=1.0
        ),
        "grain: 32 x 32 cuts of a template, + 0.3": partial(attacks.cuts, change=attacks.same, fresh=0.3, cut=32),
        "grain: 16 x 16 cuts of a template, turned, with sign, + 0.3": partial(
            attacks.cuts, change=attacks.any_sign, fresh=0.3, cut=16
        ),
        "8 orientations of one exposure in one batch": partial(attacks.orientations, count=8),
        "one exposure shifted by 0 to 3 pixels in one batch": partial(attacks.shifted, count=4),
    }
    sparse = {
        "noise in 3 % of the frequencies": partial(attacks.sparse_spectrum, share=0.03),
        "noise in 10 % of the frequencies": partial(attacks.sparse_spectrum, share=0.1),
    }
    seeded = {
        "16-bit LFSR, 5 bits a pixel, 128 x 128": partial(attacks.lfsr, bits=5),
        "16-bit LFSR, 6 bits a pixel, 128 x 128": partial(attacks.lfsr, bits=6),
        "20-bit LFSR, 4 bits a pixel, 64 x 64": partial(attacks.register, length=20, bits=4, most=64),
        "33-bit LFSR, 2 bits a pixel, 256 x 256": partial(attacks.register, length=33, bits=2, most=256),
        "48-bit LFSR, 7 bits a pixel, 128 x 128": partial(attacks.register, length=48, bits=7, most=128),
        "64-bit LFSR, 5 bits a pixel, 128 x 128": partial(attacks.register, length=64, bits=5, most=128),
        "xorshift32, 5 bits a pixel": attacks.xorshift,
        "CCD Simulator, 1500 + random() % 20": attacks.simulator,
    }
    entries = {name: Entry(ATTACK, make) for name, make in (copies | sparse | seeded).items()}
    return entries | {
        "one pixel in 16 real": Entry(ATTACK, partial(attacks.one_in, count=16), cannot_be_told=True),
    }


def _stacks() -> dict[str, Entry]:
    cubes = {
        f"cube, pattern {m:g} x, sigma {s:g}{', after another one' * spent}": Entry(
            STACK, partial(stacks.cube, multiple=m, sigma=s, spent=spent), m <= 2
        )
        for m, s, spent in ((0, 1.0, False), (0, 8.0, False), (0.5, 8.0, True), (2, 2.5, False), (2, 2.5, True),
                            (4, 0.8, False), (8, 1.0, False), (8, 1.0, True))
    }  # fmt: skip
    amplifiers = {
        f"8 amplifiers, pattern {m:g} x{', after another exposure' * spent}": Entry(
            STACK, partial(stacks.amplifiers, multiple=m, spent=spent), m <= 1
        )
        for m, spent in ((0, False), (4, False), (1, True), (4, True))
    }
    ramps = {
        f"ramp of 8 groups, {e:g} e- each, read noise {r:g}, reset {reset:g}{', after another one' * spent}": Entry(
            STACK, partial(stacks.ramp, read=r, electrons=e, reset=reset, spent=spent), True
        )
        for e, r, reset, spent in (
            (9, 3, 6, False),
            (9, 3, 6, True),
            (36, 10, 30, False),
            (400, 6, 20, False),
            (30, 15, 0, True),
        )
    }
    copies = {
        f"cube of one plane {name}{f', + {fresh:g}' * (fresh > 0.1)}": Entry(
            STACK, partial(stacks.copies, change=change, fresh=fresh)
        )
        for name, change in (("as it is", stacks.same), ("turned", stacks.turned), ("moved", stacks.moved))
        for fresh in (0.05, 0.5)
    }
    more = {
        "cube of 4 exposures, each followed by itself turned": partial(stacks.interleaved, count=4),
        "cube of two exposures and six sums of them": stacks.sums,
        "cube of running means": stacks.running_means,
        "a plane of a spent cube": partial(stacks.plane_again, fresh=0.05),
        "a plane of a spent cube + 0.4": partial(stacks.plane_again, fresh=0.4),
        "cube of spent frames": partial(stacks.cube_of_spent_frames, fresh=0.05),
        "cube of spent frames + 0.4": partial(stacks.cube_of_spent_frames, fresh=0.4),
        "sum of two spent frames": partial(stacks.combined, weights=(1.0, 1.0)),
        "sum of two spent frames + 0.4": partial(stacks.combined, weights=(1.0, 1.0), fresh=0.4),
        "difference of two spent frames": partial(stacks.combined, weights=(1.0, -1.0)),
        "mean of 8 spent frames": partial(stacks.combined, weights=(0.125,) * 8),
        "cube of 8, of which 4 were spent": stacks.partly_spent,
    }
    return cubes | amplifiers | ramps | copies | {name: Entry(STACK, make) for name, make in more.items()}


CATALOGUE: Final = _sensors() | _known_before() | _processed() | _pictures() | _attacks() | _stacks()


def scenario_named(name: str, side: int = SIDE) -> Scenario:
    """Return the scenario called `name`; its pixels follow from the name and the side alone."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return CATALOGUE[name].make(rng, side)
