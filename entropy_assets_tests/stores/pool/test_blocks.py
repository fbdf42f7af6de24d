"""Blocks on their way through the pool: what does not belong together is no block."""

import json

import pytest

from entropy_assets.stores.pool.blocks import read_documents
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks


@pytest.mark.parametrize(
    "data", ["", "=", "AAAA", "AA=A", "A", "====", "not base64!", "é" * 4, "AA==" * 10, None, 7, ["AAAA"]]
)
def test_altered_text_does_not_spoil_the_blocks_beside_it(data: object) -> None:
    """All blocks of a lease are decoded in one call."""
    blocks = pool_blocks(3, length=100) + pool_blocks(3, first=3, length=101) + pool_blocks(3, first=6, length=102)
    for place in range(len(blocks)):
        entries = [(block.block_id, block.to_document()) for block in blocks]
        document = json.loads(entries[place][1]) | {"data": data}
        entries[place] = (entries[place][0], json.dumps(document).encode())
        expected = [None if at == place else block for at, block in enumerate(blocks)]
        assert read_documents(entries) == expected


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b"{}", b"\xff", b'{"data":"AAAA"}', b"[" * 5000])
def test_what_is_no_document_is_none_and_no_error(document: bytes) -> None:
    block = pool_block(1)
    assert read_documents([("x", document), (block.block_id, block.to_document())]) == [None, block]
