"""An address can be shown: it holds bucket and prefix, and an error repeats none that may hold more."""

import pytest

from entropy_assets.stores.blobs.address import require_address
from entropy_assets.stores.blobs.refusals import StoreAddressInvalid

GOOD = [
    "s3://bucket",
    "s3://bucket/a/b",
    "gs://bucket/prefix",
    "az://container/prefix",
    "abfss://container@account.dfs.core.windows.net/prefix",
    "https://account.blob.core.windows.net/container/prefix",
]
WITH_SECRETS = [
    "s3://key:hidden@bucket/prefix",
    "s3://hidden@bucket/prefix",
    "s3://bucket/prefix?secret_access_key=hidden",
    "https://account.blob.core.windows.net/container?sig=hidden",
    "abfss://container:hidden@account.dfs.core.windows.net/prefix",
    "s3://bucket/prefix#hidden",
]
NONE = [
    "",
    "bucket/prefix",
    "s3://",
    "s3:///prefix",
    "ftp://hidden/a",
    "http://127.0.0.1:9000/hidden",
    "file:///hidden",
]
LEADING_ELSEWHERE = ["s3://bucket/hidden/../b", "s3://bucket//hidden", "s3://bucket/."]


@pytest.mark.parametrize("url", GOOD)
def test_buckets_of_the_three_kinds_are_addresses(url: str) -> None:
    assert require_address(f"{url}/") == require_address(url) == url


@pytest.mark.parametrize("url", [*WITH_SECRETS, *NONE, *LEADING_ELSEWHERE, "s3://[hidden"])
def test_what_is_none_or_holds_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StoreAddressInvalid) as refused:
        require_address(url)
    assert "hidden" not in str(refused.value)
    assert "hidden" not in str(refused.value.data)
