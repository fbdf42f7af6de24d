"""The note beside a refused file."""

import json

from entropy_assets.stores.inboxes.refusals import refusal_note


def test_the_note_has_the_word_and_the_sentence_in_ascii_whatever_a_header_says() -> None:
    note = refusal_note("n\u00e4me.fits", "not_raw", "the file says IMAGETYP = \x1b]0;\u202e")
    assert note.isascii()
    assert b"\x1b" not in note
    assert json.loads(note) == {
        "name": "n\u00e4me.fits",
        "reason": "not_raw",
        "detail": "the file says IMAGETYP = \x1b]0;\u202e",
        "advice": "send the single exposures; frames of the simulated camera come by themselves",
    }
