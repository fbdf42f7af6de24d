"""What images are worth and why, without an installation; and their samples for other tools."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entropy_assets.core.advice import advice_on
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import Recipe
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.core.credit.assessment import AssessedImage
    from entropy_assets.core.frame import Frame
    from entropy_assets.images.limits import DecodeLimits

NAMED_BY: Final = 16
"""Hex digits of an image's SHA-256 in the names of its exported samples."""
NO_IMAGE: Final = {RejectionReason.UNKNOWN_FORMAT.value, RejectionReason.EMPTY_FILE.value}


def assessed_image(
    path: Path, source: str, recipe: Recipe, limits: "DecodeLimits", export: Path | None
) -> dict[str, Any]:
    """Return what the image at `path` is worth, as JSON-able values; with `export`, its samples are written there."""
    from entropy_assets.core.credit.assessment import assess_image, eight_bit_estimates
    from entropy_assets.core.extraction.noise import deterministic_nonce
    from entropy_assets.images.decode import decode

    row: dict[str, Any] = {"file": printable(path.name), "accepted": False, "reason": None, "credit_bits": 0}
    try:
        data = bytes_of(path, limits.max_file_bytes)
        frame = decode(data, source=source, limits=limits, reading=recipe.reading)
        says = [said.words for said in frame.statements]
        says += [frame.camera_noise.words] if frame.camera_noise else []
        row |= {"image_sha256": frame.image_sha256, "statements": says}
        row["selection"] = frame.selection
        image = assess_image(frame, deterministic_nonce(frame.image_sha256), recipe, submitter=source)
    except ImageRejected as rejection:
        known = rejection.data.get("assessment", {})
        told = {"reason": rejection.reason.value, "detail": rejection.message, "advice": advice_on(rejection.reason)}
        return {**known, **row, **told}
    whole = eight_bit_estimates(image.noise, recipe)
    least = min(whole, key=whole.__getitem__)
    return {
        **row,
        **image.assessment.to_row(),
        "accepted": True,
        "adc_step": frame.adc_step,
        "sigma": image.noise.survey.median_sigma,
        "live_fraction": image.noise.survey.live_fraction,
        "eight_bits": {"min_entropy": whole[least], "limited_by": least},
        "exported": exported(image, frame, export) if export else [],
    }


def bytes_of(path: Path, most: int) -> bytes:
    """Return what the file holds, one byte more than is allowed at most: the decoder says the rest."""
    with path.open("rb") as file:
        return file.read(most + 1)


def exported(image: "AssessedImage", frame: "Frame", folder: Path) -> list[dict[str, Any]]:
    """Write the samples of each channel in both orders, the assessed bits and the whole 8; return where they are.

    In either order the estimators saw the first ones, as many as the recipe says.
    """
    from entropy_assets.core.credit.estimates import raster_samples

    folder.mkdir(parents=True, exist_ok=True)
    k, files = image.assessment.symbol_bits, []
    for channel in range(frame.channels):
        drawn = image.noise.credited(channel)
        for order, samples in (("draw", drawn), ("raster", raster_samples(image.noise, channel, len(drawn)))):
            for bits in sorted({k, 8}):
                name = f"{frame.image_sha256[:NAMED_BY]}-channel{channel}-{bits}bit"
                path = folder / f"{name}{'' if order == 'draw' else '-raster'}.bin"
                path.write_bytes((samples & ((1 << bits) - 1)).tobytes())
                what = {"order": order, "bits_per_symbol": bits, "samples": len(samples)}
                files.append({"path": printable(str(path)), **what})
    return files


def lines_about_image(row: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that tell of an image."""
    if row["accepted"]:
        yield f"{row['file']}: {row['credit_bits']:,} bits of credit"
    else:
        yield f"{row['file']}: no credit, {row['reason']}: {printable(row['detail'])}"
        yield f"  what to do: {row['advice']}"
    if row["reason"] in NO_IMAGE:
        yield "  if these are raw samples, one symbol a byte, say how wide they are: --bits-per-symbol 8"
    if row.get("selection"):
        yield f"  {printable(row['selection'])}"
    for words in row.get("statements", ()):
        yield f"  the file says {printable(words)}"
    if "sigma" in row:
        yield f"  noise of {row['sigma']:.2f} ADC steps (of {row['adc_step']} ADU) in {row['live_fraction']:.0%} of it"
    if "estimates" in row:
        yield (
            f"  {row['min_entropy']:.6f} bits for each of {row['samples']:,} samples, limited by {row['limited_by']};"
            f" assessed: the low {row['symbol_bits']} bits of {row['assessed_samples']:,}"
        )
        ordered = sorted(row["estimates"].items(), key=lambda item: item[1])
        yield "  estimates: " + ", ".join(f"{name} {bits:.3f}" for name, bits in ordered)
        yield "  caps: " + ", ".join(f"{name} {most:,}" for name, most in row["caps"].items())
    if whole := row.get("eight_bits"):
        why = ": bits above the noise repeat its sign" if whole["min_entropy"] < min(row["estimates"].values()) else ""
        yield f"  of the whole 8 bits the same estimators say {whole['min_entropy']:.3f} ({whole['limited_by']}){why}"
    for file in row.get("exported", ()):
        yield f"  entropy-assets assess {file['path']} --bits-per-symbol {file['bits_per_symbol']}"
