"""A second implementation of every hash, which shares no code with the package, and the vectors that it gives.

``python -m entropy_assets_tests.core.second_hashing > entropy_assets_tests/vectors/hashing.json`` prints them. From
``pixel_digest`` on they were printed for commit c932263. Its functions gave the same values, before the layout of what
they hash was moved to ``core/encoding.py``.
"""

import hashlib
import json
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
from blake3 import blake3

from entropy_assets.core.conditioning.conditioner import NoiseInput
from entropy_assets.recipe import Recipe

VECTORS = Path(__file__).parents[1] / "vectors" / "hashing.json"
MANIFEST = "ab" * 32
NOON = 1_700_000_000_000_000


def field(value):
    return struct.pack(">Q", len(value)) + value


def number(value):
    return field(struct.pack(">Q", value))


def sha(domain, *parts):
    return hashlib.sha256(field(domain.encode()) + b"".join(parts)).digest()


def second_mix(recipe, parts, previous, timestamp_us, rounds):
    listed = number(len(parts)) + b"".join(map(field, parts))
    seal = blake3(field(b"entropy-assets/mix-seal/1") + listed).digest()
    digest = b""
    for turn in range(rounds):
        head = field(recipe.encode()) + field(previous) + number(timestamp_us) + number(turn) + field(digest)
        digest = sha("entropy-assets/mix/1", head, field(seal), listed)
    return digest


def second_block(recipe, previous, timestamp_us, manifest, index, slices, nonce=None):
    """Make a block of `slices`: tuples of image hash, noise hash, first region, end region, raw bytes."""
    context = field(recipe.encode()) + field(bytes.fromhex(previous)) + number(timestamp_us)
    context += field(bytes.fromhex(manifest)) + number(index) + (field(nonce) if nonce else b"")
    listed = number(len(slices)) + b"".join(field(raw) for *_, raw in slices)
    seals = blake3(field(b"entropy-assets/seals/1") + context + listed).digest(length=32 * len(slices))
    return context, b"".join(
        sha(
            "entropy-assets/digest/1",
            context,
            *(field(bytes.fromhex(name)) for name in (image, noise)),
            *map(number, (j, first, end)),
            field(seals[32 * j : 32 * j + 32]),
            field(raw),
        )
        for j, (image, noise, first, end, raw) in enumerate(slices)
    )


def second_link(context, block, credit_bits, shortest, images, table):
    named = b"".join(field(bytes.fromhex(name)) for pair in images for name in pair)
    return sha(
        "entropy-assets/link/1",
        context,
        field(hashlib.sha256(block).digest()),
        number(credit_bits) + number(shortest) + number(len(images)) + named,
        field(b"".join(struct.pack(">3Q", *row) for row in table)),
    ).hex()


def second_block_id(block_sha256):
    digits = list(sha("entropy-assets/block-id/1", field(bytes.fromhex(block_sha256)))[:16].hex())
    digits[12], digits[16] = "8", "89ab"[int(digits[16], 16) & 3]
    text = "".join(digits)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


SMALL = Recipe(name="vector-1", block_len=128)
WITH_NONCES = Recipe(name="vector-2", block_len=128, block_nonces=True)
WITH_LINES = Recipe(name="vector-3", block_len=128, block_nonces=True, region_size=8, line_slices=True)
SEED = hashlib.sha256(b"the system's bytes").digest()
LENGTHS = (1, 31, 32, 33, 55, 56, 63, 64, 65, 119, 120, 1023, 1024, 1025, 2048, 2049, 16385)


def pattern(name, size):
    return hashlib.shake_256(name.encode()).digest(size)


def noise_of(name, regions, row_len, credit_bits):
    samples = np.frombuffer(pattern(name, regions * row_len), np.uint8).reshape(regions, row_len)
    hashes = [hashlib.sha256(f"{kind} of {name}".encode()).hexdigest() for kind in ("image", "noise")]
    return NoiseInput(*hashes, samples, credit_bits)


def second_block_nonce(seed, manifest, index):
    return sha("entropy-assets/block-nonce/1", field(seed), field(bytes.fromhex(manifest)), number(index))


def second_slice(samples, first, end, lines):
    """Take the lines from first to end - 1: whole rows, and of cut ones pairs and Laplacian of their own lines."""
    whole_plane = lines * lines // 2 + (lines - 2) ** 2 + lines * lines
    taken = b""
    for region in range(first // lines, (end - 1) // lines + 1):
        row = samples[region].tobytes()
        mine = [line for line in range(lines) if first <= region * lines + line < end]
        if len(mine) == lines:
            taken += row
            continue
        for plane in range(0, len(row), whole_plane):
            pairs, bends = plane, plane + lines * lines // 2
            for line in mine:
                taken += row[pairs + line * (lines // 2) : pairs + (line + 1) * (lines // 2)]
            for line in mine:
                if line + 1 in mine and line + 2 in mine:
                    taken += row[bends + line * (lines - 2) : bends + (line + 1) * (lines - 2)]
    return taken


def second_batch(inputs, recipe, manifest, timestamp_us, seed=None):
    """Make the batch of `inputs` with exact fractions for the order and plain slicing for the bytes."""
    order = []
    lines = recipe.region_size if recipe.line_slices else 1

    def raw_slice(noise, first, end):
        if recipe.line_slices:
            return second_slice(noise.samples, first, end, lines)
        return noise.samples[first:end].tobytes()

    for at, noise in enumerate(inputs):
        n = len(noise.samples) * lines
        size = next(r for r in range(1, n + 1) if noise.credit_bits * r // n >= recipe.slice_credit_bits)
        count = n // size
        order += [(Fraction(2 * i + 1, 2 * count), at, i * size, (i + 1) * size) for i in range(count)]
    order.sort()
    per_block = recipe.block_len // 32
    link = sha("entropy-assets/genesis/1", field(recipe.name.encode()), field(bytes.fromhex(manifest))).hex()
    made = []
    for index in range(len(order) // per_block):
        part = [row[1:] for row in order[index * per_block : (index + 1) * per_block]]
        slices = [
            (inputs[at].image_sha256, inputs[at].noise_sha256, a, b, raw_slice(inputs[at], a, b)) for at, a, b in part
        ]
        nonce = None if seed is None else second_block_nonce(seed, manifest, index)
        context, block = second_block(recipe.name, link, timestamp_us, manifest, index, slices, nonce)
        used = sorted({at for at, _, _ in part})
        credit = sum(inputs[at].credit_bits * (b - a) // (lines * len(inputs[at].samples)) for at, a, b in part)
        images = [(inputs[at].image_sha256, inputs[at].noise_sha256) for at in used]
        table = [(used.index(at), a, b) for at, a, b in part]
        link = second_link(context, block, credit, min(len(row[-1]) for row in slices), images, table)
        made.append((block, link))
    return made


def batch_inputs():
    return [noise_of("one", 60, 37, 60 * 170), noise_of("two", 31, 64, 31 * 330), noise_of("three", 9, 200, 9 * 100)]


def line_inputs():
    """Give noise of one plane whose slices are 27 lines, of two planes (54), and of one with 15 lines a slice."""
    return [
        noise_of("lined one", 50, 132, 50 * 96),
        noise_of("lined two", 40, 264, 40 * 48),
        noise_of("lined three", 9, 132, 9 * 180),
    ]


# ---------------------------------------------------------------------------- inputs without a length before each part


def second_pixel_digest(planes, usable, step):
    """Hash planes of integers (lists of rows) as the measurement that they are."""
    if all(plane == planes[0] for plane in planes):
        planes = planes[:1]
    codes = []
    for plane in planes:
        pairs = [pair for row, flags in zip(plane, usable, strict=True) for pair in zip(row, flags, strict=True)]
        lowest = min(value for value, good in pairs if good)
        codes += [(value - lowest) // step if good else 0 for value, good in pairs]
    width = next(width for width in (1, 2, 4, 8) if max(codes) < 256**width)
    shape = struct.pack(">4Q", len(planes), len(planes[0]), len(planes[0][0]), width)
    content = b"".join(code.to_bytes(width, "big") for code in codes)
    return hashlib.sha256(b"entropy_assets pixel digest 1\0" + shape + content).hexdigest()


def second_random_nonce(image_sha256, time_ns, os_bytes):
    parts = bytes.fromhex(image_sha256) + struct.pack(">QQ", 0, time_ns) + struct.pack(">Q", len(os_bytes)) + os_bytes
    return hashlib.sha256(b"entropy_assets sampling nonce 1\0random\0" + parts).hexdigest()


def second_deterministic_nonce(image_sha256):
    message = b"entropy_assets sampling nonce 1\0deterministic\0" + bytes.fromhex(image_sha256)
    return hashlib.sha256(message).hexdigest()


def second_draw_order(nonce, count):
    stream = hashlib.shake_256(b"entropy_assets draw order 1\0" + nonce).digest(8 * count)
    return sorted(range(count), key=lambda region: stream[8 * region : 8 * region + 8])


def second_noise_digest(rows):
    message = b"entropy_assets noise array 1\0" + struct.pack(">QQ", len(rows), len(rows[0])) + b"".join(rows)
    return hashlib.sha256(message).hexdigest()


# ------------------------------------------------------------------------------------------------ ledger, JSON, tests


def second_ledger_link(*facts):
    named = ("entropy-assets/ledger/1", *facts)
    return hashlib.sha256(b"".join(field(str(fact).encode()) for fact in named)).hexdigest()


def second_canonical_json(value):
    """Write lists, strings, integers, flags and nothing (no objects) as the canonical JSON that is hashed."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return str(value)
        case str():
            points = struct.unpack(f">{len(value.encode('utf-16-be')) // 2}H", value.encode("utf-16-be"))
            plain = {point: chr(point) for point in range(32, 127)} | {10: "\\n", 34: '\\"', 92: "\\\\"}
            return '"' + "".join(plain.get(point) or f"\\u{point:04x}" for point in points) + '"'
        case _:
            return "[" + ",".join(map(second_canonical_json, value)) + "]"


def second_uniforms(block):
    digest = hashlib.sha256(block).digest()
    return [(float(word >> 11) + 0.5) / 2**53 for word in struct.unpack(">4Q", digest)]


# ---------------------------------------------------------------------------------------------------------- the vectors

PIXEL_CASES = {
    "8 bits": ((1, 5, 7), 1, 0, 1, False),
    "16 bits, step 16": ((1, 4, 6), 2, -32768, 16, False),
    "colour": ((3, 4, 5), 1, 7, 1, False),
    "32 bits, masked": ((1, 6, 5), 4, -1000, 1, True),
    "52 bits, colour, masked": ((2, 3, 4), 6, 5, 3, True),
}
"""Shape, bytes of a code, offset, step, and whether every third pixel is masked."""
TIME_NS = 1_790_000_000_123_456_789
OS_BYTES_LENGTHS = (16, 32, 33)
ORDERS = (1, 8, 20)
NOISE_SHAPES = ((4, 6), (6, 4), (1, 580))
BLOCK_LENGTHS = (128, 256, 4096)


def codes_of(name):
    """Return the planes of a case of `PIXEL_CASES` as lists, and its mask."""
    (channels, ny, nx), width, offset, step, masked = PIXEL_CASES[name]
    raw = pattern(name, channels * ny * nx * width)
    values = [int.from_bytes(raw[at : at + width], "big") * step + offset for at in range(0, len(raw), width)]
    rows = [values[at : at + nx] for at in range(0, len(values), nx)]
    usable = [[not masked or (y * nx + x) % 3 > 0 for x in range(nx)] for y in range(ny)]
    return [rows[channel * ny : (channel + 1) * ny] for channel in range(channels)], usable


def image_hash(name):
    return hashlib.sha256(name.encode()).hexdigest()


CLAIMS = (
    (image_hash("first"), image_hash("its pixels"), "drop-20260101T000000Z-0badcafe", NOON),
    (image_hash("second"), None, "drop-20260101T000001Z-0badcafe", NOON + 1),
    (image_hash("third"), image_hash("other pixels"), "\u2605", 0),
)
"""Image, pixels, batch and time of image claims in their order."""
PUBLICATIONS = (
    ("drop-20260101T000000Z-0badcafe", image_hash("head"), "run", NOON, 3),
    ("drop-20260101T000001Z-0badcafe", image_hash("another head"), "", NOON + 1, 0),
    ("\u2605", image_hash("a third head"), "run 3", 0, 12),
)
"""Batch, chain head, run, time and number of blocks of publications in their order."""
MANIFEST_ROWS = [
    [image_hash("first"), True, image_hash("its pixels"), "raw-ccd"],
    [image_hash("second"), False, None, "drop"],
    [image_hash("third"), True, image_hash("other pixels"), 'quote " back \\ \u00e9 \u2605 \U0001f6f0 \n'],
]


def published_blocks(batch, count):
    """Return id, position, hash and link of the blocks of a publication."""
    return [
        (second_block_id(image_hash(f"{batch} {at}")), at, image_hash(f"{batch} {at}"), image_hash(f"link {at}"))
        for at in range(count)
    ]


def second_ledger():
    """Return the links of `CLAIMS` and of `PUBLICATIONS`, each chain from its start."""
    claims, publications = ["00" * 32], ["00" * 32]
    for image, pixels, batch, time_us in CLAIMS:
        claims.append(second_ledger_link("claim", claims[-1], image, pixels or "", batch, time_us))
    for batch, head, run, time_us, count in PUBLICATIONS:
        blocks = [fact for block in published_blocks(batch, count) for fact in block]
        publications.append(
            second_ledger_link("publication", publications[-1], batch, head, run, time_us, count, *blocks)
        )
    return {"claims": claims[1:], "publications": publications[1:]}


def noise_rows(shape):
    raw = pattern("noise", shape[0] * shape[1])
    return [raw[at : at + shape[1]] for at in range(0, len(raw), shape[1])]


def second_samplings():
    """Return the vectors of what is hashed between the file and the noise array."""
    image = image_hash("first")
    return {
        "pixel_digest": {
            name: second_pixel_digest(*codes_of(name), step) for name, (*_, step, _) in PIXEL_CASES.items()
        },
        "random_nonce": {
            str(length): second_random_nonce(image, TIME_NS, pattern("os", length)) for length in OS_BYTES_LENGTHS
        },
        "deterministic_nonce": second_deterministic_nonce(image),
        "draw_order": {str(count): second_draw_order(bytes.fromhex(image), count) for count in ORDERS},
        "noise_digest": {f"{shape[0]}x{shape[1]}": second_noise_digest(noise_rows(shape)) for shape in NOISE_SHAPES},
    }


def kept_vectors():
    """Return the vectors as they were recorded."""
    return json.loads(VECTORS.read_text())


def second_vectors():
    """Return every vector as JSON-able values."""
    mixes = [
        {"length": length, "previous": size, "rounds": rounds, "parts": parts}
        for length, size, rounds, parts in [(length, 32, 1, 1) for length in LENGTHS]
        + [(64, 0, 1, 1), (64, 1, 1, 1), (64, 65, 1, 1), (64, 32, 2, 1), (64, 32, 3, 1), (64, 32, 1, 2), (65, 0, 2, 5)]
    ]
    for case in mixes:
        parts = [pattern(f"part {i}", case["length"]) for i in range(case["parts"])]
        digest = second_mix("ea-2026-1", parts, pattern("previous", case["previous"]), NOON, case["rounds"])
        case["digest"] = digest.hex()
    batch = second_batch(batch_inputs(), SMALL, MANIFEST, NOON)
    return {
        "provenance": "python -m entropy_assets_tests.core.second_hashing: an implementation that shares no code with"
        " the package; noise is SHAKE-256 of the names in it",
        "mix": mixes,
        "block_id": {name: second_block_id(name) for name in (MANIFEST, "00" * 32, "ff" * 32)},
        "batch": [{"block_sha256": hashlib.sha256(block).hexdigest(), "link": link} for block, link in batch],
        "batch_with_nonces": [
            {"block_sha256": hashlib.sha256(block).hexdigest(), "link": link}
            for block, link in second_batch(batch_inputs(), WITH_NONCES, MANIFEST, NOON, SEED)
        ],
        "batch_with_lines": [
            {"block_sha256": hashlib.sha256(block).hexdigest(), "link": link}
            for block, link in second_batch(line_inputs(), WITH_LINES, MANIFEST, NOON, SEED)
        ],
        **second_samplings(),
        "ledger": second_ledger(),
        "manifest": hashlib.sha256(second_canonical_json(MANIFEST_ROWS).encode()).hexdigest(),
        "uniforms": {str(length): second_uniforms(pattern("block", length)) for length in BLOCK_LENGTHS},
    }


if __name__ == "__main__":
    print(json.dumps(second_vectors(), indent=1))
