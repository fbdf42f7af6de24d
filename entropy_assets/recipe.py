"""Recipes: every number that changes a byte, frozen under a name.

A number here is never edited once a block was published under its name; a change gets a new name and the old
one stays in ``RECIPES``, so that an audit can repeat any block ever served.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from entropy_assets.errors import RecipeUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One named way from pixels to blocks.

    Attributes
    ----------
    name
        Identifier that enters every hash.
    region_size
        Side of a region, which is sampled as a whole, pixels. Regions lie on a grid and never overlap,
        so no pixel is credited twice.
    draw_size
        Side of a square whose regions are drawn together, pixels; a multiple of ``region_size``. Their credited samples
        follow one another line by line over the whole square, so that the tests see runs of that width.
    survey_size
        Side of the square on which liveness is judged, pixels; a multiple of ``draw_size``.
    block_len
        Length of a block, bytes.
    digest_len
        Length of one digest, bytes (SHA-256).
    line_slices
        Whether a slice may begin and end at any line of a region, a row of its pixels, and not only with a region. Then
        a slice holds hardly more than it must: at 4 bits a sample a line of 8 pixels holds 12, a region 96.
    slice_credit_bits
        Assessed min-entropy that each digest must take in, bits: 256 + 64 (SP 800-90C, full entropy).
    safety_factor
        Share of the assessed min-entropy that is credited, as a fraction (numerator, denominator).
    min_credit_bits
        Credit below which an image is rejected, bits.
    refuse_lossy
        Refuse every lossy container instead of capping it.
    min_sigma
        Least noise of a live square, ADC steps: below 0.6 most pixels repeat one code.
    min_lsb_entropy
        Least entropy of the lowest true bit in a live square, bits per pixel. ADCs whose codes are uneven, gains that
        leave gaps between codes, and noise of 0.6 ADC steps (.93 to 1) fall below .99; what they hold all the same,
        the estimators see. Below .9 the bit hangs.
    max_zero_share
        Largest share of residuals that are exactly zero in a live square. White noise of `min_sigma` has .15.
    max_clipped_share
        Largest share of pixels at a limit of the container or of the ADC in a live square.
    residual_correlation, correlation_tolerance
        Lag-1 autocorrelation of the Laplacian residual of white noise (-8/20), and how far from it, in either axis, a
        live square may lie.
    banding_share
        Largest share of the energy of a coloured square's residual that is left without the offsets of its rows, for
        these to be banding: then the square is judged by what is left. Differences along a row don't hold the offset.
        At 0 nobody looks. Of white noise .98 or more is left; of noise that banding makes coloured, some .91 or less.
    min_live_share
        Least share of live squares in an image. Of many dead squares a few pass every limit by luck, and the more the
        looser the limits are; an image that has only those is dead.
    max_repeat_correlation
        Largest autocorrelation of row or column residuals, at any lag from 4 pixels up, before an image is called
        tiled.
    repeat_outlier
        Second differences count for no more than this many times their median there, so that the borders of amplifiers,
        which lie at equal distances, are no tiles; at 0 each counts for what it is.
    remembered_frames
        Frames that the sensor memory holds, of all sensors together: the newest ones; each part of a frame is one. A
        frame is credited what none of them shows, in whatever batch they were spent and however they lie. 0 compares
        the frames of one batch alone, as they lie.
    sole_known_parts
        Share of the variance of a frame that counts as known pattern while no other frame of its sensor is remembered,
        parts of 10,000: that of a pattern three times as wide as the noise.
    sole_pattern
        Such a frame is credited no more than its noise holds beside a pattern so many times as wide, and steps of a
        coarser ADC are looked for beneath its codes (`credit.squarewise.coarse`). At 0 the share alone counts.
    transfer_errors
        Standard errors beyond which the noise of a frame is believed to grow with the square of its light: that part is
        the sensor's response or the scene, and not credited (`credit.photon_transfer`). At 0 nobody looks.
    gain_tolerance
        By how much the variance may be above what the gain and the read noise of a header allow, as a fraction; at 0
        nobody reads them.
    max_copied_share
        Largest share of a live square that may be a copy of other parts of the frame.
    max_repeated_noise
        Largest share of windows of noise that stand elsewhere in the frame too, in any orientation and sign and under
        other noise, before an image is called tiled; at 1 nobody looks. The noise of a sensor has none, film grain from
        a template nearly all. It is also called so if next to no square is left between plain copies.
    max_blocking
        Largest excess of the jumps over an 8-pixel grid, as a share of the jumps elsewhere, before an image is called
        decompressed.
    max_comb_share
        Largest share of DCT coefficients on a lattice before a lossless image is called decompressed.
    max_lattice_rise
        Largest rise of the characteristic function of transform coefficients, standard errors, before a lossless image
        is called decompressed; at 0 nobody looks. Noise stays below 4.6 in thousands of frames; decoded video and
        pictures have 7 to 150.
    max_dithered_share
        Largest share of squares whose pixels lie evenly in boxes of codes before an image is called dithered; at 1
        nobody looks, for the echoes of codes beneath dither neither. Noise has .1 at most, dithered codes .85 at least,
        while their own noise is below 0.7 code.
    max_empty_spectrum
        Largest share of frequencies without power beside their neighbours before noise is called synthetic; at 1 nobody
        looks. White noise has .01, and .02 at most; noise in a tenth of the frequencies .05 at 0.6 ADC steps, .9 at 8.
    min_linear_complexity
        Least linear complexity of bits of the frame, as a share of what noise needs; below it noise is called
        synthetic, and at 0 nobody looks. Noise has .98 at least, a generator with 64 bits of state .06 in 2,048 bits.
    low_frequencies
        Spatial frequencies up to this many cycles per region, in both axes, are taken out of the FFT view.
    symbol_rounding
        What is added to ``log2(pi * sqrt(2) * sigma)`` before it is cut to k, the low bits of a sample that are
        assessed. At 0 the exponent is floored; at .25 it is rounded up in its upper quarter, from where on one bit more
        is worth more than the others lose.
    assessment_samples
        Most samples of one channel that the estimators look at. Regions come in random order, so the first ones are a
        fair sample. A larger one narrows the bounds of noise that is what it looks like, and estimates of it rise; what
        has to be learnt first, as a long repeat or a rule of high order, is found in a larger one only, and they fall.
    prediction_samples
        Most samples that the predictors among them look at (6.3.7 to 6.3.10).
    bit_prediction_samples
        Most samples whose bits the predictors look at, out of those that are assessed; at 0 they see symbols alone.
    widest_mcw
        Widest symbols that the MultiMCW predictor looks at (6.3.7), bits.
    raster_samples
        Most samples of one channel that the same estimators look at again in raster order, pixel row by pixel row; at 0
        they see draw order alone.
    min_samples
        Samples below which nothing is credited: the start-up tests of SP 800-90B 4.3 want 1024.
    health_alpha_bits
        -log2 of the probability of a false alarm of the health tests, of each sample. The example of SP 800-90B 4.4 is
        20, which refuses one good frame of 24 million pixels in three.
    lossless_share, lossy_share
        Share of the bits of a file that may be credited, as a fraction. What a lossy coder writes down is mostly the
        picture: at 2 bits per pixel, sensor noise is the part that it throws away first.
    claims
        H_submitter of SP 800-90B 3.1.3 by source, bits: the most min-entropy per sample that an operator who declares
        the source vouches for. Names match ``[a-z0-9-]{1,32}``. Statistics can't tell noise from the output of a
        seeded generator; only somebody who knows where a file comes from can, so to be listed is to be declared.

        * 4 bits is what white noise of 4.5 ADC steps gives, the quieter of raw CCD frames. ``raw-ccd``: unprocessed,
          lossless frames of any CCD or CMOS camera; ``goes19-ccor1``: uncalibrated level 1a of that coronagraph;
          ``mast-raw``: ``_raw`` and ``_uncal`` files of Hubble and JWST; ``samples``: the bundled images, whose
          origins are written down beside them; ``simulated``: the simulated camera, each of whose generators holds
          more fresh system bytes than it can be credited.
        * 2 bits for ``jsoc-aia``: lossless, but each pixel is the mean of 4 x 4, calibrated and interpolated.
        * 0.5 bits for ``sdo-latest`` (JPEG of a scaled picture), ``epic`` (8-bit colour, processed from 12-bit bands)
          and ``mars-raw`` (mostly lossy or demosaiced): what noise there was is mostly gone.
        * 0.25 bits for ``apod`` and ``nasa-images``: edited pictures by anyone, made to be looked at.
    unlisted_claim
        The same for a source that is not listed, bits: the plain inbox (``drop``), where all that is known of a file
        is that somebody put it there. Half of a raw camera's claim, so that a declaration is what earns the rest.
        An image without any source is worth nothing.
    picture_claim
        The same for a picture of an unlisted source, bits: 8 bits or less, or in a container made for pictures (PNG,
        JPEG, JPEG 2000, WebP, BMP). Whatever it looks like, somebody may have taken it off a video or a web page; that
        is worth what ``nasa-images`` is. Two bits stay for raw frames of more than 8 bits in FITS and TIFF.
    statement_claims
        The most min-entropy per sample by what the file says of itself (`Statement.kind`), bits; 0 refuses it. Who
        stacks averages the noise away, and who resamples writes most pixels twice; a simulator's pixels are known to
        whoever has the program. ``calibrated`` is worth what ``jsoc-aia`` is, ``developed`` what ``nasa-images`` is.
        A file that says ``simulated`` without being declared so is refused wherever this is not empty.
    entropy_parts
        Min-entropy is rounded down to a multiple of one part in this of a bit before it decides bytes, so that the
        last digits of a floating-point estimate don't; 0 leaves it as it is.
    reading
        The rules by which a file becomes a frame (`images.decode.decode`). 1: the first image of a FITS file, tiles by
        RICE alone. 2: every lossless tile codec; of several images the first that an exposure can be in, without its
        overscan; grey TIFF pages of any width and sign; of a camera's raw file the raw data (LibRaw 0.22) and no
        thumbnail; of colour mosaics their phases (`extraction.phases`); of an image of more than 24 Mi pixels the rows
        in its middle (`images.limits.strip_of`). 3: of a file with several images those that have the shape and type of
        the first too, as parts of one frame; of colour mosaics the first.
    planes_of_colours
        Whether a plane is taken off each square of a colour before a mosaic is judged as the sensor lies; else a level,
        which steep light masks.
    tells_black
        Whether an image that is clipped at its lowest code is refused as ``clipped_at_black``, not as ``saturated``.
    block_nonces
        Whether a nonce of its own enters every hash of a block. Who is told one, and where the noise of the batch was
        sampled, still doesn't know the other blocks.
    """

    name: str
    region_size: int = 16
    draw_size: int = 16
    survey_size: int = 32
    block_len: int = 4096
    digest_len: int = 32
    line_slices: bool = False
    slice_credit_bits: int = 320
    safety_factor: tuple[int, int] = (3, 4)
    min_credit_bits: int = 320
    refuse_lossy: bool = False
    min_sigma: float = 0.6
    min_lsb_entropy: float = 0.99
    max_zero_share: float = 0.25
    max_clipped_share: float = 1 / 16
    residual_correlation: float = -0.4
    correlation_tolerance: float = 0.12
    banding_share: float = 0.0
    min_live_share: float = 0.02
    max_repeat_correlation: float = 0.5
    repeat_outlier: int = 0
    remembered_frames: int = 0
    sole_known_parts: int = 0
    sole_pattern: int = 0
    transfer_errors: int = 0
    gain_tolerance: tuple[int, int] = (0, 1)
    max_copied_share: float = 0.1
    max_repeated_noise: float = 1.0
    max_blocking: float = 0.2
    max_comb_share: float = 0.25
    max_lattice_rise: float = 0.0
    max_dithered_share: float = 1.0
    max_empty_spectrum: float = 1.0
    min_linear_complexity: float = 0.0
    low_frequencies: int = 2
    symbol_rounding: float = 0.0
    assessment_samples: int = 32_768
    prediction_samples: int = 8192
    bit_prediction_samples: int = 0
    widest_mcw: int = 5
    raster_samples: int = 0
    min_samples: int = 1024
    health_alpha_bits: int = 20
    lossless_share: tuple[int, int] = (1, 1)
    lossy_share: tuple[int, int] = (1, 8)
    claims: tuple[tuple[str, float], ...] = (
        ("samples", 4.0),
        ("raw-ccd", 4.0),
        ("simulated", 4.0),
        ("goes19-ccor1", 4.0),
        ("mast-raw", 4.0),
        ("jsoc-aia", 2.0),
        ("sdo-latest", 0.5),
        ("epic", 0.5),
        ("mars-raw", 0.5),
        ("apod", 0.25),
        ("nasa-images", 0.25),
    )
    unlisted_claim: float = 2.0
    picture_claim: float = 2.0
    statement_claims: tuple[tuple[str, float], ...] = ()
    entropy_parts: int = 0
    reading: int = 1
    planes_of_colours: bool = False
    tells_black: bool = False
    block_nonces: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources that an operator can declare."""
        return tuple(name for name, _ in self.claims)

    def claim_of(self, source: str, *, is_picture: bool = False) -> float:
        """Return the most min-entropy per sample that `source` vouches for, bits; 0 if there is no source."""
        unlisted = self.picture_claim if is_picture else self.unlisted_claim
        return dict(self.claims).get(source, unlisted) if source else 0.0

    @property
    def digests_per_block(self) -> int:
        """Number of digests in one block."""
        return self.block_len // self.digest_len

    @property
    def block_credit_bits(self) -> int:
        """Credit that one block takes, bits."""
        return self.digests_per_block * self.slice_credit_bits

    @property
    def lines_per_region(self) -> int:
        """Lines of a region that slices are counted in; one, the whole of it, if they are not cut at lines."""
        return self.region_size if self.line_slices else 1


DROP: Final = "drop"
"""Source of a file that nobody vouches for: the plain inbox, and ``process`` without ``--source``."""
STANDARD: Final = Recipe(
    name="ea-2026-2",
    region_size=8,
    line_slices=True,
    block_nonces=True,
    min_lsb_entropy=0.9,
    min_live_share=0.03,
    banding_share=0.95,
    picture_claim=0.25,
    statement_claims=(
        ("simulator", 0.0),
        ("stacked", 0.0),
        ("resampled", 0.0),
        ("calibrated", 2.0),
        ("developed", 0.25),
    ),
    entropy_parts=1_000_000,
    repeat_outlier=4,
    remembered_frames=10_000,
    sole_known_parts=9000,
    sole_pattern=8,
    transfer_errors=5,
    gain_tolerance=(3, 2),
    symbol_rounding=0.25,
    assessment_samples=131_072,
    prediction_samples=262_144,
    bit_prediction_samples=32_768,
    widest_mcw=8,
    raster_samples=65_536,
    health_alpha_bits=40,
    max_repeated_noise=0.005,
    max_lattice_rise=6.5,
    max_dithered_share=0.75,
    max_empty_spectrum=0.03,
    min_linear_complexity=0.75,
    reading=3,
    planes_of_colours=True,
    tells_black=True,
)
STRICT: Final = replace(STANDARD, name="ea-2026-2-strict", refuse_lossy=True)
_EARLIER: Final = (Recipe(name="ea-2026-1"), Recipe(name="ea-2026-1-strict", refuse_lossy=True))
RECIPES: Final = MappingProxyType({recipe.name: recipe for recipe in (STANDARD, STRICT, *_EARLIER)})


def recipe_named(name: str) -> Recipe:
    """Return the recipe called `name`.

    Raises
    ------
    RecipeUnknown
        If there is none; ``data["known"]`` lists the names.
    """
    try:
        return RECIPES[name]
    except KeyError:
        names = sorted(RECIPES)
        raise RecipeUnknown(f"no recipe is called {name!r}; known are {', '.join(names)}", known=names) from None
