"""What is hashed is what the page says, and nothing can be read in two ways."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core import encoding
from entropy_assets.core.conditioning.records import chain_genesis
from entropy_assets.errors import InputRefused
from entropy_assets.recipe import STANDARD
from entropy_assets.stores.batches import sha256_of_json
from entropy_assets_tests.core.second_hashing import MANIFEST_ROWS, kept_vectors, second_vectors


def test_the_worked_example_of_the_page_is_true():
    """The hex on the page hashes to the value beside it, and that is the genesis link of the package."""
    page = encoding.__doc__ or ""
    example, value = re.search(r"``ab``::\n(.*)\n    SHA-256 = (\w{64})", page, re.DOTALL).groups()
    assert hashlib.sha256(bytes.fromhex(example)).hexdigest() == value
    assert chain_genesis("ab" * 32, STANDARD) == value


def test_the_vectors_are_what_the_second_implementation_gives():
    """The file of vectors was not edited by hand."""
    assert kept_vectors() == second_vectors()


def test_canonical_json_gives_the_vector():
    """Flags, nothing, and characters that JSON escapes: the rows of a manifest have one encoding."""
    assert sha256_of_json(MANIFEST_ROWS) == kept_vectors()["manifest"]


def test_the_page_names_every_domain():
    """No kind of hash input is missing from the table of the page."""
    domains = [value for value in vars(encoding).values() if str(value).startswith("entropy-assets/")]
    assert len(domains) == len(set(domains)) == 7
    assert all(f"``{domain}``" in (encoding.__doc__ or "") for domain in domains)


fields = st.lists(st.binary(max_size=20), max_size=6)


@given(fields, fields)
def test_two_sequences_of_fields_never_share_an_encoding(left, right):
    """Bytes moved from one field to the next always change the input."""
    encoded = [b"".join(map(encoding.field, values)) for values in (left, right)]
    assert (encoded[0] == encoded[1]) == (left == right)


@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_integers_are_eight_bytes_or_refused(value):
    """No integer wraps around."""
    if 0 <= value < 2**64:
        assert encoding.integer(value) == encoding.field(value.to_bytes(8, "big"))
    else:
        with pytest.raises(InputRefused):
            encoding.integer(value)


@pytest.mark.parametrize("spelling", ["AB" * 32, "ab" * 31, "ab" * 33, "zz" * 32, " " + "ab" * 32, "ab " * 32, ""])
def test_a_hash_has_one_spelling(spelling):
    """Upper case, blanks and other lengths are refused, though `bytes.fromhex` takes some of them."""
    with pytest.raises(InputRefused):
        encoding.named_hash(spelling)


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 3), max_size=5))
def test_a_table_is_one_field_of_all_its_integers(rows):
    """A table is the plain concatenation of its integers behind one length."""
    assert encoding.table(rows) == encoding.field(b"".join(v.to_bytes(8, "big") for row in rows for v in row))
