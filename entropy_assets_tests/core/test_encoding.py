"""What is hashed is what the page says, and nothing can be read in two ways."""

import ast
import hashlib
import re
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core import encoding
from entropy_assets.core.conditioning.records import chain_genesis
from entropy_assets.errors import InputRefused
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.core.second_hashing import MANIFEST_ROWS, kept_vectors, second_vectors


def test_the_worked_example_of_the_page_is_true():
    """The hex on the page hashes to the value beside it, and that is the genesis link of the package."""
    page = encoding.__doc__ or ""
    example, value = re.search(r"``ab``::\n(.*)\n    SHA-256 = (\w{64})", page, re.DOTALL).groups()
    assert hashlib.sha256(bytes.fromhex(example)).hexdigest() == value
    assert chain_genesis("ab" * 32, recipe_named("ea-2026-1")) == value


def test_the_vectors_are_what_the_second_implementation_gives():
    """The file of vectors was not edited by hand."""
    assert kept_vectors() == second_vectors()


def test_canonical_json_gives_the_vector():
    """Flags, nothing, and characters that JSON escapes: the rows of a manifest have one encoding."""
    assert encoding.sha256_of_json(MANIFEST_ROWS) == kept_vectors()["manifest"]


def domains() -> list[bytes]:
    """Return every domain of the page, as it stands at the head of what is hashed."""
    constants = [value for name, value in vars(encoding).items() if name.isupper()]
    older = [value for value in constants if isinstance(value, bytes)]
    return older + [encoding.text(value) for value in constants if isinstance(value, str)]


def test_the_page_names_every_domain():
    """No kind of hash input is missing from the tables of the page."""
    names = {re.search(rb"entropy.*\d", domain)[0].decode() for domain in domains()}
    assert len(names) == 13
    assert all(f"``{name}``" in (encoding.__doc__ or "") for name in names)


def test_no_domain_begins_another_one():
    """So no input of one kind is an input of another kind, whatever follows the domain."""
    assert not [(one, other) for one, other in permutations(domains(), 2) if other.startswith(one)]


HASHED_ELSEWHERE = {
    "cli/assessing/samples.py": "says which file of samples was assessed",
    "cli/statistics/sequences.py": "says which bits were tested",
    "provenance/image_folder.py": "finds image files by their plain hash",
    "provenance/outsider.py": "checks an image file against its plain hash",
    "provenance/refetching.py": "tells whether an image that is fetched again is the same file",
    "sources/feeds/turns.py": "names an image file by its plain hash",
    "sources/feeds/periods.py": "marks an entry of a listing in a few characters",
    "sources/feeds/journal.py": "marks a candidate in a few characters, however long its URL is",
    "serving/access/gate.py": "looks up API keys by their hash",
    "serving/access/keys.py": "looks up API keys by their hash",
    "serving/answers/hot_path.py": "knows a request that comes again by its hash, where it holds a key",
    "serving/http/documents.py": "tells the browser whether a page changed",
    "stages/reports/stream.py": "checks a block against its plain hash",
    "stages/pipeline.py": "finds the note of an image file by its plain hash",
    "stores/api_keys.py": "keeps the hash of a key instead of the key",
    "stores/images.py": "names an image file by its plain hash",
    "stores/batches.py": "tells whether a document of a batch was written anew",
    "stores/buckets.py": "finds the shard of a subject's limits",
    "stores/file_names.py": "shortens file names that are too long",
    "stores/pool/awaited.py": "names a block by its plain hash",
    "stores/pool/blocks.py": "checks a block against its plain hash, in portions",
    "stores/pool/configuration.py": "writes passwords as the server wants them",
    "supervisor/configuration.py": "tells a dagster.yaml that an older release laid down",
}
"""Modules outside of core that hash, and why: all of it plain, without a domain, and none of it decides a block."""
HASH_LIBRARIES = {"hashlib", "blake3"}


def imports(module: Path) -> set[str]:
    """Return the top-level packages that a module imports."""
    nodes = list(ast.walk(ast.parse(module.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names = plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_only_this_page_writes_what_is_hashed():
    """In core no other module hashes at all; outside, those that are listed, each for its own small purpose."""
    package = Path(encoding.__file__).parents[1]
    hashing = [path for path in package.rglob("*.py") if imports(path) & HASH_LIBRARIES]
    names = {path.relative_to(package).as_posix() for path in hashing}
    assert names - {"core/encoding.py"} == set(HASHED_ELSEWHERE)


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


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_a_list_is_its_number_and_its_fields(values):
    """Without copying, the pieces are what the page says."""
    expected = encoding.integer(len(values)) + b"".join(map(encoding.field, values))
    assert b"".join(encoding.listed(values)) == expected


def test_parts_of_a_fixed_length_have_it():
    """The older inputs hold no lengths: an image hash or a nonce of another length is refused."""
    for image in ("ab" * 31, "ab" * 33, "AB" * 32, ""):
        with pytest.raises(InputRefused):
            encoding.fixed_nonce(image)
        with pytest.raises(InputRefused):
            encoding.random_nonce(image, 1, bytes(32))
    for length in (0, 31, 33):
        with pytest.raises(InputRefused):
            encoding.order_keys(bytes(length), 4)


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 3), max_size=5))
def test_a_table_is_one_field_of_all_its_integers(rows):
    """A table is the plain concatenation of its integers behind one length."""
    assert encoding.table(rows) == encoding.field(b"".join(v.to_bytes(8, "big") for row in rows for v in row))
