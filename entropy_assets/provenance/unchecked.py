"""What an audit can't check, in plain words: whoever reads that a block was made again must read this beside it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

SHOWN: Final = 8
"""Images that a sentence names; it counts the others."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Something that an audit has to take on trust.

    Attributes
    ----------
    fields
        Names of what is told and stands for it.
    sentence
        What is not checked, and why.
    """

    fields: tuple[str, ...]
    sentence: str

    def to_row(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {"fields": list(self.fields), "sentence": self.sentence}


TIME: Final = Unchecked(
    ("timestamp_us",), "The time of the block is the operator's word: nobody else has signed that it existed by then."
)
SOURCE: Final = Unchecked(
    ("declared_source", "source"),
    "Where the images come from is the operator's word; it says how much credit they may have at most.",
)
_ORIGIN: Final = "Where an image was fetched, when, and whose it is, is the word of its server and of the operator"
_ONE_TRY: Final = (
    "That there was only one try is the operator's word. Nonces should come from the system's generator, once; but who"
    " makes a batch can try many of them, and other images in another order, and keep the blocks that please, such as"
    " one that begins with zeros."
)


def after_rewalk(
    has_block_nonces: bool, forgotten: Sequence[str] = (), *, of_origins: bool = False, is_bound: bool = False
) -> Iterator[Unchecked]:
    """Yield what stays open when ledger, batch and images agree.

    Parameters
    ----------
    forgotten
        SHA-256 of the images before which the sensor memory has dropped frames that it knew then.
    of_origins, is_bound
        Whether it is told where an image was fetched, and whether the ledger binds that.
    """
    yield TIME
    yield _nonces(has_block_nonces)
    yield SOURCE
    if of_origins:
        since = "the ledger binds what was told when its batch was made" if is_bound else "the ledger binds none of it"
        yield Unchecked(("origin",), f"{_ORIGIN}; {since}.")
    if forgotten:
        yield Unchecked(
            ("memory",),
            f"What earlier frames showed is the batch's word where the ledger has dropped some: {_named(forgotten)}.",
        )


def after_outsiders_check(
    *,
    has_block_nonces: bool,
    chain_is_whole: bool,
    is_last: bool,
    called_spent: Sequence[str],
    has_memory: bool,
    unseen: Sequence[str],
    refused: Iterable[str],
    not_there: Sequence[str],
    of_origins: bool,
) -> Iterator[Unchecked]:
    """Yield what stays open when what the service tells agrees with the images.

    Parameters
    ----------
    chain_is_whole
        Whether the chain was walked from the manifest on.
    is_last
        Whether the chain was walked to its end.
    called_spent
        SHA-256 of the images that have no credit here because the ledger says that they were spent before.
    has_memory, unseen
        Whether frames of earlier batches count, and SHA-256 of those that are told to show a pattern and are not here.
    refused, not_there
        SHA-256 of the files that the manifest calls unreadable, and of those among them that could not be looked at.
    of_origins
        Whether it is told where an image was fetched.
    """
    yield TIME
    if not chain_is_whole:
        yield Unchecked(
            ("previous_link",),
            "The link before is the service's word: the blocks before this one keep their nonces to themselves.",
        )
    yield _nonces(has_block_nonces)
    yield SOURCE
    yield Unchecked(
        ("reason",),
        "Whether an image was credited before, in another batch, is known to the ledger alone."
        + (f" It says so of {_named(called_spent)}, which therefore gave nothing here." if called_spent else ""),
    )
    if has_memory:
        yield Unchecked(
            ("frames",),
            "How many frames of a sensor came before, and that no other one shows more of its noise, is known to the"
            " ledger alone.",
        )
    if unseen:
        yield Unchecked(
            ("of", "together", "known_parts", "cells", "left_parts", "orientation", "shift", "made"),
            f"What earlier frames show is the service's word where their files are not here: {_named(unseen)}.",
        )
    if list(refused):
        yield Unchecked(("limits",), "The limits beyond which files are refused are the operator's choice.")
    if not_there:
        yield Unchecked(
            ("manifest",),
            "That there were these files, and that they can't be read, is the service's word, since they are not here:"
            f" {_named(not_there)}.",
        )
    of_ledger = ("batch", "lane", "run_id", "ledger_link", "published_at_us", *(() if is_last else ("chain_head",)))
    yield Unchecked(of_ledger, "The lane, and what the ledger says of the publication, are the service's word.")
    if of_origins:
        yield Unchecked(("origin",), f"{_ORIGIN}. That the ledger binds it is not seen from outside.")
    yield Unchecked(("file",), "Names of files are the service's word: no hash covers them.")


def _nonces(has_block_nonces: bool) -> Unchecked:
    return Unchecked(("sampling_nonce", *(("block_nonce",) if has_block_nonces else ())), _ONE_TRY)


def _named(hashes: Sequence[str]) -> str:
    """Return some hashes in words, the first `SHOWN` of them by name."""
    more = len(hashes) - SHOWN
    return ", ".join(hashes[:SHOWN]) + (f" and {more} more" if more > 0 else "")
