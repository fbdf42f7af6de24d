"""A key is in no text."""

import html
import json
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.sources.feeds.web.hiding import LEAST_IN_DOCUMENT, LONGEST_LINE, LONGEST_WORDS, STARS, Secrets
from entropy_assets.sources.feeds.web.urls import WebUrl

quick = settings(max_examples=40, deadline=None)
KEYS = st.text(string.ascii_letters + string.digits + "+/=-_.~ %&é", min_size=LEAST_IN_DOCUMENT, max_size=30).map(
    lambda text: "k" + text.strip() + "y" * LEAST_IN_DOCUMENT
)
TEXTS = st.text("abc *\n<>é\x1b\u202e", max_size=300)


FORMS = (
    lambda key: key,
    lambda key: quote(key, safe=""),
    quote_plus,
    lambda key: quote(key, safe="").lower() if key.islower() else quote(key, safe="").replace("%2B", "%2b"),
    lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    lambda key: json.dumps(key)[1:-1],
    lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    html.escape,
    lambda key: "".join(f"&#{ord(letter)};" for letter in key),
    lambda key: "".join(f"&#x{ord(letter):04X};" for letter in key),
)
"""How servers write what they were sent: plainly, in a URL, in JSON (PHP escapes slashes), on a page."""


@quick
@given(KEYS, TEXTS, TEXTS, st.sampled_from(FORMS))
def test_no_text_holds_a_key_in_any_form(key: str, before: str, behind: str, form: Callable[[str], str]) -> None:
    secrets, written = Secrets({"api_key": key}), form(key)
    text = before + written + behind
    assert secrets.hidden(text) == before + STARS + behind
    assert secrets.hidden_in_document(text.encode()) == (before + STARS + behind).encode()
    assert written not in secrets.words(text)
    assert written not in secrets.shown(text)
    assert written not in repr(secrets)
    assert len(secrets.words(text)) <= LONGEST_WORDS
    assert len(secrets.shown(text * 9)) <= LONGEST_LINE
    assert secrets.shown(text).isprintable()


@quick
@given(KEYS, KEYS, st.sampled_from(["", "?a=1", "?api_key=old&a=1", "?a=1&api_key=***"]))
def test_a_key_goes_into_a_url_and_out_again(key: str, other: str, query: str) -> None:
    secrets = Secrets({"api_key": key, "token": other})
    bare = WebUrl.read("https://feed.test/a" + query)
    sent = secrets.sent_with(bare)
    assert sent.query is not None
    assert sent.query.endswith(f"api_key={quote(key, safe='')}&token={quote(other, safe='')}")
    assert sent.query.count("api_key=") == 1
    assert str(secrets.removed_from(sent)) == "https://feed.test/a" + ("?a=1" if "a=1" in query else "")
    assert secrets.sent_with(sent) == sent


def test_a_key_that_is_shorter_than_words_are_is_hidden_in_words_alone() -> None:
    """It is in every document and URL."""
    secrets = Secrets({"k": "a"})
    assert secrets.hidden("a b") == f"{STARS} b"
    assert secrets.hidden_in_document(b"a b") == b"a b"
    assert str(secrets.removed_from(WebUrl.read("https://feed.test/a?k=a"))) == "https://feed.test/a"


def test_no_key_hides_nothing() -> None:
    for told in ({}, {"k": ""}, {"header:X": ""}):
        assert not Secrets(told)
        assert Secrets(told).hidden("abc") == "abc"
    assert Secrets({"k": "a"})
