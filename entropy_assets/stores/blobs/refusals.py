"""What a store of blobs refuses or fails at. No message holds a credential: an address has none."""

from entropy_assets.errors import EntropyAssetsError


class StoreError(EntropyAssetsError):
    """Root of the errors of a store of blobs; ``data`` has the address, never a credential."""

    code = "store-error"

    @property
    def public_message(self) -> str:
        """The message for strangers: without the bucket."""
        return self.message.replace(f" {self.data['url']}", "") if "url" in self.data else self.message


class StoreAddressInvalid(StoreError):
    """An address that no store can have, or one that holds a credential. It is not repeated: it may hold one."""

    code = "store-address-invalid"


class StoreUnavailable(StoreError):
    """No answer from the store after all retries; later it may give one."""

    code = "store-unavailable"


class StoreDenied(StoreError):
    """The store refuses who asks, or has no such bucket: retries don't help."""

    code = "store-denied"


class StoreUnsafe(StoreError):
    """The store lets a name be created twice: what has to be fixed once is not."""

    code = "store-unsafe"


class BlobMissing(StoreError):
    """The store has nothing under this name."""

    code = "blob-missing"
