"""A simulated camera: frames for demonstrations, tests and machines without a feed.

Its noise is shaped like a sensor's and holds nothing from space. Every frame says ``SIMULATE = T`` in its header, and
the decoder gives such frames the source ``simulated``.

What it is worth
----------------
As much as the operating system's generator, and no more: unpredictable to whoever can't predict that one. Of its bytes
there are always enough. A frame is drawn in bands of `BAND_PIXELS` pixels, each by a Mersenne Twister of its own, whose
whole state of 19,937 bits is fresh system bytes. No recipe credits a band with as many, so credit never outgrows what
went in. The Mersenne Twister only shapes the noise; it hides nothing, and need not: who has a frame has its noise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.recipe import RECIPES, Recipe

BLOCK: Final = 2880
FULL_SCALE: Final = (1 << 16) - 1
UNSIGNED_ZERO: Final = 1 << 15
NAME: Final = "simulated"

STATE_WORDS: Final = 624
STATE_BYTES: Final = 4 * STATE_WORDS
STATE_BITS: Final = 19_937
"""What a Mersenne Twister's state holds: 623 words and the highest bit of another one."""


def pixel_credit(recipe: Recipe) -> Fraction:
    """Return the most credit of one simulated pixel, bits: two pixels make a sample, which has claim and factor."""
    return Fraction(recipe.claim_of(NAME)) * Fraction(*recipe.safety_factor) / 2


BAND_PIXELS: Final = 1 << (int(STATE_BITS / max(map(pixel_credit, RECIPES.values()))).bit_length() - 1)
"""Pixels that one generator draws: the largest power of two no recipe credits with `STATE_BITS`: 16 rows of 512."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A CCD and the sky above it.

    Attributes
    ----------
    gain
        Electrons per ADU.
    bias
        Level of an unexposed pixel, ADU.
    read_noise
        Standard deviation of one read-out, electrons.
    dark
        Dark signal of one exposure, electrons per pixel.
    sky
        Sky background of one exposure, electrons per pixel.
    stars
        Expected number of stars in a frame.
    brightest
        Charge of the brightest star, electrons; the fluxes follow a power law below it.
    psf_sigma
        Standard deviation of a star's Gaussian image, pixels.
    """

    gain: float = 1.5
    bias: float = 1000.0
    read_noise: float = 6.0
    dark: float = 20.0
    sky: float = 250.0
    stars: float = 60.0
    brightest: float = 200_000.0
    psf_sigma: float = 1.3


def fresh_generator(system_bytes: Callable[[int], bytes]) -> np.random.Generator:
    """Return a Mersenne Twister whose whole state is the next `STATE_BYTES` of `system_bytes`."""
    words = np.frombuffer(system_bytes(STATE_BYTES), dtype="<u4").astype(np.uint32)
    twister = np.random.MT19937(0)
    # At the last position the first draw makes all words anew: none of the bytes is given out as it came.
    twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": STATE_WORDS}}
    return np.random.Generator(twister)


def _present() -> datetime:
    return datetime.now(UTC)


class SimulatedCamera:
    """A camera that delivers one new FITS frame whenever it is asked.

    Parameters
    ----------
    system_bytes
        Gives as many fresh bytes as it is asked for: ``os.urandom``, or a function of a seed to repeat a frame. A
        frame takes `STATE_BYTES` for its stars and as many for each band.
    shape
        Height and width, pixels.
    sensor
        Its characteristics.
    clock
        Tells the time of exposure to `collect`, in UTC.
    """

    name = NAME

    def __init__(
        self,
        system_bytes: Callable[[int], bytes],
        shape: tuple[int, int] = (512, 512),
        sensor: Sensor | None = None,
        clock: Callable[[], datetime] = _present,
    ) -> None:
        self.system_bytes = system_bytes
        self.shape = shape
        self.sensor = sensor or Sensor()
        self.clock = clock

    def collect(self) -> list[tuple[str, bytes]]:
        """Return one new frame under a name with the time of its exposure."""
        captured_at = self.clock().astimezone(UTC)
        return [(f"simulated-{captured_at:%Y%m%dT%H%M%S%f}.fits", self.expose(captured_at))]

    def expose(self, captured_at: datetime) -> bytes:
        """Return a FITS file of unsigned 16-bit integers, exposed at `captured_at` (with a time zone)."""
        counts = self._read_out(self._charge())
        ny, nx = self.shape
        header = _header(
            {
                "SIMPLE": "T",
                "BITPIX": "16",
                "NAXIS": "2",
                "NAXIS1": str(nx),
                "NAXIS2": str(ny),
                "BSCALE": "1",
                "BZERO": str(UNSIGNED_ZERO),
                "SIMULATE": "T",
                "INSTRUME": "'SIMULATED'",
                "DATE-OBS": f"'{captured_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}'",
                "GAIN": f"{self.sensor.gain:.6G}",
                "RDNOISE": f"{self.sensor.read_noise:.6G}",
            }
        )
        return header + _padded((counts - UNSIGNED_ZERO).astype(">i2").tobytes(), b"\0")

    def _charge(self) -> npt.NDArray[np.float64]:
        """Return the expected charge of every pixel, electrons."""
        charge = np.full(self.shape, self.sensor.sky + self.sensor.dark)
        rng = fresh_generator(self.system_bytes)
        number = rng.poisson(self.sensor.stars)
        fluxes = self.sensor.brightest * (1.0 + rng.pareto(1.0, number)) ** -1.0
        centres = rng.uniform(0.0, self.shape, (number, 2))
        for flux, (y, x) in zip(fluxes, centres, strict=True):
            self._add_star(charge, flux, y, x)
        return charge

    def _add_star(self, charge: npt.NDArray[np.float64], flux: float, y: float, x: float) -> None:
        reach = int(np.ceil(6 * self.sensor.psf_sigma))
        rows, columns = (slice(max(0, int(c) - reach), int(c) + reach + 1) for c in (y, x))
        stamp = charge[rows, columns]
        ys, xs = np.ogrid[rows.start : rows.start + stamp.shape[0], columns.start : columns.start + stamp.shape[1]]
        variance = self.sensor.psf_sigma**2
        stamp += flux / (2 * np.pi * variance) * np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (2 * variance))

    def _read_out(self, charge: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        """Return ADU: shot noise, read noise, gain, bias, rounding and the ADC's ends."""
        expected = charge.ravel()
        bands = [self._expose_band(expected[at : at + BAND_PIXELS]) for at in range(0, expected.size, BAND_PIXELS)]
        electrons = np.concatenate(bands).reshape(self.shape)
        counts = np.rint(electrons / self.sensor.gain + self.sensor.bias)
        return np.clip(counts, 0, FULL_SCALE).astype(np.int32)

    def _expose_band(self, expected: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the electrons that are read out of successive pixels with `expected` ones, from one generator."""
        rng = fresh_generator(self.system_bytes)
        return rng.poisson(expected) + rng.normal(0.0, self.sensor.read_noise, expected.size)


def _header(values: Mapping[str, str]) -> bytes:
    """Return FITS cards in fixed format: strings from column 11, anything else right-justified to column 30."""
    cards = [f"{key:<8}= {value if value.startswith(chr(39)) else value.rjust(20)}" for key, value in values.items()]
    return _padded("".join(f"{card:<80}" for card in [*cards, "END"]).encode("ascii"), b" ")


def _padded(data: bytes, fill: bytes) -> bytes:
    return data + fill * (-len(data) % BLOCK)
