"""NumPy's generators, seeded by a draw."""

from typing import Any

import numpy as np
import pytest

from entropy_assets.client import RandomClient
from entropy_assets.errors import ClientMisused
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good
from entropy_assets_tests.serving.running import RunningService


@pytest.mark.parametrize("name", ["PCG64DXSM", "PCG64", "Philox", "SFC64", "MT19937"])
def test_it_is_numpys_and_seeded_by_one_draw(name, service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        first, second = client.generator(name), client.generator(name)
    assert type(first.bit_generator).__name__ == name
    assert not np.array_equal(first.random(8), second.random(8))
    assert service.client.get("/stats").json()["service"]["answers"]["private"] == 2


def test_all_of_the_seed_counts_and_what_is_written_down_repeats_the_run() -> None:
    seeds = [bytes(31 * [7]) + bytes([last]) for last in (1, 2)]
    numbers = []
    for seed in seeds:
        with ScriptedServer(answering(good(32, seed))) as server, RandomClient([server.url], mix=False) as client:
            generator = client.generator()
        sequence: Any = generator.bit_generator.seed_seq
        assert 32 * sequence.pool_size == 8 * len(seed)
        assert b"".join(word.to_bytes(4, "little") for word in sequence.entropy) == seed
        again = np.random.SeedSequence(sequence.entropy, pool_size=sequence.pool_size)
        expected = np.random.Generator(np.random.PCG64DXSM(again)).random(8)
        numbers.append(generator.random(8))
        assert np.array_equal(numbers[-1], expected)
    assert not np.array_equal(*numbers)


def test_another_name_is_refused(service: RunningService) -> None:
    with RandomClient([service.url]) as client, pytest.raises(ClientMisused, match="PCG64DXSM"):
        client.generator("default_rng")  # type: ignore[arg-type]
