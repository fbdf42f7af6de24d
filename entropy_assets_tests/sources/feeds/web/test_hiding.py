"""A key is in no text, and goes to its own host alone."""

import html
import json
import logging
import string
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.sources.feeds.interface import FeedDenied, FeedError
from entropy_assets.sources.feeds.web.faults import Fault
from entropy_assets.sources.feeds.web.hiding import LEAST_IN_DOCUMENT, LONGEST_LINE, LONGEST_WORDS, STARS, Secrets
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.urls import WebUrl
from entropy_assets_tests.sources.feeds.fault_server import FaultServer, answer, redirect
from entropy_assets_tests.sources.feeds.web.conftest import Web, failure

URL = "https://feed.test/a"
KEY = "k3y+Of/Mine=="
QUOTED = "k3y%2BOf%2FMine%3D%3D"
OTHERWISE = "k3y%2bOf%2fMine%3d%3d"
FITS = b"SIMPLE  =                    T".ljust(2880)
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


# --- on the way ---------------------------------------------------------------------------------------------------


def shown_of(error: FeedError) -> str:
    return "".join(traceback.format_exception(error)) + repr(error.data) + repr(error)


def test_a_key_goes_where_it_should(web: Web) -> None:
    web.server.give("/a", answer(b"fine"))
    told = web.reader().document(URL + "?x=1", secret={"api_key": KEY, "header:Authorization": "Bearer abc123"})
    [asked] = web.server.asked
    assert asked.target == f"/a?x=1&api_key={QUOTED}"
    assert asked.header("authorization") == "Bearer abc123"
    assert told.url == URL + "?x=1"


def test_a_key_is_never_sent_on_to_another_host(web: Web) -> None:
    """Nor to another port, but to the same host again after a redirect; and again after the way through another."""
    secret = {"api_key": KEY, "header:X-Key": KEY}
    web.server.give("/a", redirect("/b?page=2"))
    web.server.give("/b", redirect("https://other.test/c"))
    web.server.give("/c", redirect("https://feed.test:8443/d"))
    web.server.give("/d", redirect("https://feed.test/e"))
    web.server.give("/e", answer(FITS))
    told = web.reader().image(URL, secret=secret)
    assert told is not None
    assert told.url == "https://feed.test/e"
    assert [(asked.path, asked.query.get("api_key"), asked.header("x-key")) for asked in web.server.asked] == [
        ("/a", KEY, KEY),
        ("/b", KEY, KEY),
        ("/c", None, None),
        ("/d", None, None),
        ("/e", KEY, KEY),
    ]


@pytest.mark.parametrize(
    "to",
    [
        "https://other.test/{}",
        "https://other.test/?q={}",
        "https://feed.test/{}/b",
        "https://feed.test/?key={}",
        "https://{}.assets.test/",
    ],
)
@pytest.mark.parametrize("form", [KEY, QUOTED, OTHERWISE])
def test_where_a_server_writes_the_key_into_a_url_it_is_not_followed(web: Web, to: str, form: str) -> None:
    web.server.give("/a", redirect(to.format(form)))
    error = failure(web.reader().document, URL, secret={"api_key": KEY})
    assert error.data["fault"] in (Fault.KEY_SHOWN, Fault.MISLED)
    assert len(web.server.asked) == 1
    assert not any(written in shown_of(error) for written in (KEY, QUOTED, OTHERWISE))


def test_where_a_server_repeats_the_query_the_key_is_taken_out(web: Web) -> None:
    """As servers do that add a slash: to the same host it goes again, to another one it does not."""
    web.server.give("/a", redirect(f"/a/?x=1&api_key={QUOTED}"))
    web.server.give("/a/", redirect(f"https://other.test/b?api_key={QUOTED}&y=2"))
    web.server.give("/b", answer(b"fine"))
    assert web.reader().document(URL, secret={"api_key": KEY}).url == "https://other.test/b?y=2"
    assert [asked.target for asked in web.server.asked] == [
        f"/a?api_key={QUOTED}",
        f"/a/?x=1&api_key={QUOTED}",
        "/b?y=2",
    ]


def test_a_key_in_a_url_that_a_feed_has_is_not_shown(web: Web) -> None:
    """Under its name it is taken out; anywhere else it is refused."""
    web.server.give("/a", answer(b"fine"))
    assert web.reader().document(f"{URL}?api_key={QUOTED}", secret={"api_key": KEY}).url == URL
    error = failure(web.reader().document, f"{URL}/{KEY}", secret={"api_key": KEY})
    assert error.data["fault"] == Fault.KEY_SHOWN
    assert KEY not in shown_of(error)


def test_what_a_server_says_of_a_key_is_shown_without_it(web: Web) -> None:
    """In its words, its types, its ETag, its reasons; and its listings have stars, which lead on with the key."""
    secret = {"api_key": KEY, "header:Authorization": "Bearer abc12345"}
    reader = web.reader()
    for body in (*(f"no such key: {written}" for written in (KEY, QUOTED, OTHERWISE, "abc12345")),):
        web.server.give("/a", answer(body.encode(), 403))
        error = failure(reader.document, URL, secret=secret)
        assert type(error) is FeedDenied
        assert error.message.startswith("feed.test answers 403: no such key: ***;")
        assert not {KEY, QUOTED, "abc12345"} & set(shown_of(error).replace('"', " ").replace("'", " ").split())
    link = f'{{"next": "{URL}?page=2&api_key={QUOTED}"}}'
    web.server.give("/a", answer(link.encode(), headers={"ETag": f'"{KEY}"', "Content-Type": "text/abc12345"}))
    told = reader.document(URL, secret=secret)
    assert told.data == f'{{"next": "{URL}?page=2&api_key=***"}}'.encode()
    assert (told.etag, told.content_type) == ('"***"', "text/***")
    assert reader.document(f"{URL}?page=2&api_key=***", secret=secret).url == URL + "?page=2"
    assert web.server.asked[-1].target == f"/a?page=2&api_key={QUOTED}"


@pytest.mark.parametrize(
    "said",
    [
        f"HTTP/1.1 {KEY} \x1b[2J\r\n\r\n".encode(),
        answer(b"fine", headers={"Content-Encoding": KEY}),
        answer(b"fine", 206, headers={"Content-Range": KEY}),
        redirect(f"https://{'x' * 64}.assets.test/{KEY}"),
    ],
)
def test_what_a_server_sends_in_the_wrong_place_is_shown_without_a_key(web: Web, said: bytes) -> None:
    """Where an error repeats it: a line that is no HTTP, a packing, a range."""
    web.server.give("/a", said)
    error = failure(web.reader().image, URL, secret={"api_key": KEY})
    assert error.message.isprintable()
    assert KEY.lower() not in shown_of(error).lower()


def test_no_key_is_logged(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """Not by us, and not by what we stand on, whatever is logged; only the names of hosts are."""
    caplog.set_level(logging.DEBUG)
    web.server.give("/a", redirect("/b"), answer(b"", 503), answer(b"no", 403))
    web.server.give("/b", answer(b"fine"))
    reader = web.reader()
    reader.document(URL, secret={"api_key": KEY, "header:X-Key": KEY})
    failure(reader.document, URL, secret={"api_key": KEY})
    assert len(web.server.asked) == 4
    assert KEY not in caplog.text
    assert QUOTED not in caplog.text
    assert "/a" not in caplog.text


@pytest.mark.parametrize(
    "secret",
    [
        {"header:Authorization": "abc\r\nX-Evil: 1"},
        {"header:Authorization": "schlüssel"},
        {"header:Authorization": " abc"},
        {"header:Host": "evil.test"},
        {"header:Content-Length": "0"},
        {"header:transfer-encoding": "chunked"},
        {"header:": "abc"},
        {"header:X Y": "abc"},
        {"api_key": "\udc80"},
    ],
)
def test_a_key_that_cannot_be_sent_is_not(web: Web, secret: dict[str, str]) -> None:
    """A line end in a header would be a request of somebody else's making."""
    error = failure(web.reader().document, URL, secret=secret)
    assert type(error) is FeedDenied
    assert not any(value in shown_of(error) for value in secret.values() if len(value) > 3)
    assert web.looked_up == []


def test_a_key_is_not_sent_by_plain_http_over_the_internet(web: Web) -> None:
    """To a host of ones own network it is."""
    with FaultServer() as plain:
        web.server, trusted = plain, web.server
        plain.give("/a", answer(b"fine"))
        hosts, url = [f"telescope.lan:{plain.port}"], f"http://telescope.lan:{plain.port}/a"
        error = failure(web.reader(HostRules(hosts, plain=["telescope.lan"])).document, url, secret={"key": KEY})
        assert (error.data["fault"], plain.connections) == (Fault.KEY_SHOWN, 0)
        own = HostRules(hosts, plain=["telescope.lan"], local=["telescope.lan"])
        assert web.reader(own).document(url, secret={"key": KEY}).data == b"fine"
        assert plain.asked[0].query == {"key": KEY}
        web.server = trusted
