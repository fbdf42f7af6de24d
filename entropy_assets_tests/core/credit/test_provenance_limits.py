"""What statistics can't do: they see no difference between noise and the output of a good enough generator.

Each pixel of the frame here is the sum of four bytes of SHA-256 of 0, 1, 2, ... (single bytes have a flat histogram,
which no sensor has). Whoever knows that knows every pixel: there is no entropy in it. Yet a test that told these sums
from those of random bytes, given only the frame, would be a break of SHA-256.
So all estimates of SP 800-90B are high, the blocks pass every test, and neither is a defect of the estimates or of the
tests. The only thing that can refuse credit is where the frame comes from. That is why each source has a claim, which
caps the estimates (H_submitter of SP 800-90B 3.1.3), and why a frame that no source claims gets nothing.
"""

import hashlib

import numpy as np
import pytest

from entropy_assets.core.conditioning.hasher import EntropyHasher
from entropy_assets.core.credit.assessment import assess, assess_image, credit_of
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD
from entropy_assets.stages.extraction import noise_input_of
from entropy_assets_tests.core.frames import frame

SIDE = 512
NONCE = bytes(32)


def hashed_counter() -> np.ndarray:
    """Give pixels that are sums of four bytes of SHA-256 of a counter, on a level of 1000 ADU."""
    stream = b"".join(hashlib.sha256(n.to_bytes(8, "big")).digest() for n in range(SIDE * SIDE // 8))
    return 1000 + np.frombuffer(stream, np.uint8).reshape(SIDE, SIDE, 4).sum(axis=2, dtype=np.int64)


def assessed(source: str):
    seen = frame(hashed_counter(), source=source)
    return assess(NoiseExtractor(STANDARD).extract(seen, NONCE), seen, STANDARD)


def test_the_blocks_of_a_hashed_counter_pass_all_four_tests():
    """Had a source claimed it, every block would be released: the tests see defects of the making, not the origin."""
    image = assess_image(frame(hashed_counter(), source="drop"), NONCE, STANDARD)
    blocks, records = EntropyHasher(STANDARD).derive_blocks([noise_input_of(image)], "00" * 32, 0)
    verdicts = EntropyValidator().validate_blocks(blocks)
    assert len(records) >= 3
    assert verdicts.passed.all()
    assert min(column.min() for column in verdicts.p_values.values()) > 1e-4


def test_every_estimate_takes_a_hashed_counter_for_noise():
    """No estimator is wrong here: the symbols are as even and as unpredictable as the best noise."""
    found = assessed("drop")
    assert found.symbol_bits == 8
    assert min(found.estimates.values()) > max(claim for _, claim in STANDARD.claims)
    assert not found.health_failed


def test_a_hashed_counter_that_no_source_claims_gets_no_credit():
    """Without a source the claim is 0 bits per sample, and the frame is refused for it."""
    found = assessed("")
    assert (found.credit_bits, found.min_entropy, found.limited_by) == (0, 0.0, "claim")
    with pytest.raises(ImageRejected) as refusal:
        assess_image(frame(hashed_counter(), source=""), NONCE, STANDARD)
    assert refusal.value.reason is RejectionReason.NOT_ENOUGH_CREDIT


@pytest.mark.parametrize("source", [*dict(STANDARD.claims), "somebody-elses-telescope"])
def test_a_source_gets_no_more_than_it_claims(source):
    """Whoever lists a source vouches for its claim; the estimates can only lower it."""
    found = assessed(source)
    claim = STANDARD.claim_of(source)
    assert found.min_entropy == claim
    assert found.credit_bits <= credit_of(claim, found.samples, STANDARD)
    assert found.credit_bits > 0
