"""Addresses of object stores: URLs that hold no credential, so that they can be shown."""

import re
from typing import Final
from urllib.parse import urlsplit

from entropy_assets.stores.blobs.refusals import StoreAddressInvalid

SCHEMES: Final = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")
"""Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""
_AZURE_HOSTS: Final = (".blob.core.windows.net", ".dfs.core.windows.net")


def require_address(url: str) -> str:
    """Return the URL of an object store without a slash at its end.

    Raises
    ------
    StoreAddressInvalid
        If it is none, or holds a credential. The address is not repeated.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise StoreAddressInvalid(
            "the address of the object store is no URL; it looks like s3://bucket/prefix"
        ) from error
    container = parts.scheme in ("abfs", "abfss")  # abfss://container@account.dfs.core.windows.net/prefix
    if parts.query or parts.fragment or parts.password is not None or (parts.username is not None and not container):
        raise StoreAddressInvalid(
            "the address of the object store holds more than bucket and prefix; credentials go into the environment:"
            " AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the like"
        )
    is_azure = parts.scheme == "https" and host.endswith(_AZURE_HOSTS)
    if not parts.netloc or (parts.scheme not in SCHEMES and not is_azure):
        raise StoreAddressInvalid(
            "the address of an object store is s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; the"
            " host of an S3 server of one's own goes into AWS_ENDPOINT_URL"
        )
    if re.search(r"//|/\.{1,2}(/|$)", parts.path):
        raise StoreAddressInvalid("the prefix of the object store has an empty part, or one that leads elsewhere")
    return url.rstrip("/")
