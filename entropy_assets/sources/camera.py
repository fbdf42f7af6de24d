"""A simulated camera: frames for demonstrations, tests and machines without a feed.

Its noise comes from a pseudo-random generator. It is shaped like a sensor's, and it is worth exactly as much as the
seed: every frame says ``SIMULATE = T`` in its header, and the decoder gives such frames the source ``simulated``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

BLOCK: Final = 2880
FULL_SCALE: Final = (1 << 16) - 1
UNSIGNED_ZERO: Final = 1 << 15


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


def _present() -> datetime:
    return datetime.now(UTC)


class SimulatedCamera:
    """A camera that delivers one new FITS frame whenever it is asked.

    Parameters
    ----------
    rng
        The generator of its noise; give ``numpy.random.default_rng()`` for one that is seeded by the operating
        system, or a seeded one to repeat a frame.
    shape
        Height and width, pixels.
    sensor
        Its characteristics.
    clock
        Tells the time of exposure to `collect`, in UTC.
    """

    name = "simulated"

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int] = (512, 512),
        sensor: Sensor | None = None,
        clock: Callable[[], datetime] = _present,
    ) -> None:
        self.rng = rng
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
        number = self.rng.poisson(self.sensor.stars)
        fluxes = self.sensor.brightest * (1.0 + self.rng.pareto(1.0, number)) ** -1.0
        centres = self.rng.uniform(0.0, self.shape, (number, 2))
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
        electrons = self.rng.poisson(charge) + self.rng.normal(0.0, self.sensor.read_noise, self.shape)
        counts = np.rint(electrons / self.sensor.gain + self.sensor.bias)
        return np.clip(counts, 0, FULL_SCALE).astype(np.int32)


def _header(values: Mapping[str, str]) -> bytes:
    """Return FITS cards in fixed format: strings from column 11, anything else right-justified to column 30."""
    cards = [f"{key:<8}= {value if value.startswith(chr(39)) else value.rjust(20)}" for key, value in values.items()]
    return _padded("".join(f"{card:<80}" for card in [*cards, "END"]).encode("ascii"), b" ")


def _padded(data: bytes, fill: bytes) -> bytes:
    return data + fill * (-len(data) % BLOCK)
