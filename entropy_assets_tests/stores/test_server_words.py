"""What errors say of a server that is away: what is wrong, and not where it is."""

import socket
from collections.abc import Callable

import pytest

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.stores.api_keys import keys_of
from entropy_assets.stores.buckets import Ask, SharedBuckets
from entropy_assets.stores.pool.client import PoolClient

ASK = Ask(False, "anonymous", 1, 1, 1.0, 1.0)


@pytest.fixture
def port() -> int:
    """Give a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["redis://127.0.0.1:{}", "unix:///{}", "redis+sentinel://127.0.0.1:{}/name"])
@pytest.mark.parametrize(
    "use",
    [
        lambda url: PoolClient.from_url(url, timeout_s=0.5).lease(1),
        lambda url: SharedBuckets.from_url(url, prefix="p").grant([ASK]),
        lambda url: keys_of(url).records(),
    ],
    ids=["pool", "quotas", "keys"],
)
def test_no_error_names_the_address(use: Callable[[str], object], scheme: str, port: int) -> None:
    with pytest.raises(EntropyAssetsError) as caught:
        use(scheme.format(port))
    assert str(port) not in caught.value.message
    assert "did not do as asked: no connection" in caught.value.message
