"""What is sent, and where: to which host, with which key, under which condition; and what is shown of it."""

from dataclasses import replace

import pytest

from entropy_assets.sources.feeds.interface import FeedLies, FeedUnavailable, Reader
from entropy_assets.sources.feeds.web.faults import Fault
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.reader import USER_AGENT
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets_tests.sources.feeds.fault_server import Asked, FaultServer, answer, redirect
from entropy_assets_tests.sources.feeds.web.conftest import Web, failure

URL = "https://feed.test/a"
FITS = b"SIMPLE  =                    T".ljust(2880)
ORIGIN = Origin(feed="mine", url=URL, fetched_at="2026-11-29T08:33:00Z")


def test_a_reader_is_what_feeds_ask_by(web: Web) -> None:
    reader: Reader = web.reader()
    web.server.give("/a", answer(FITS, headers={"Content-Type": "Image/FITS; charset=x", "ETag": 'W/"1"'}))
    told = reader.image(URL)
    assert told is not None
    assert (told.url, told.data, told.content_type, told.etag) == (URL, FITS, "image/fits", 'W/"1"')
    assert (told.last_modified, told.skew_s) == (None, None)


def test_nothing_is_sent_that_tells_who_asks(web: Web) -> None:
    """The same few headers for everybody, whatever the environment of this process is."""
    web.server.give("/a", answer(FITS, headers={"Set-Cookie": "who=me; Path=/"}))
    reader = web.reader()
    for _ in range(2):
        reader.image(URL)
    assert {asked.headers for asked in web.server.asked} == {
        (
            ("host", "feed.test"),
            ("user-agent", USER_AGENT),
            ("accept", "*/*"),
            ("accept-encoding", "identity"),
            ("connection", "close"),
        )
    }


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "https_proxy"])
def test_no_proxy_of_the_environment_is_heeded(web: Web, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://192.0.2.1:3128")
    web.server.give("/a", answer(b"fine"))
    assert web.reader().document(URL).data == b"fine"


# --- URLs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, target",
    [
        ("https://feed.test/PIA07081 Saturn~orig.jpg", "/PIA07081%20Saturn~orig.jpg"),
        ("https://feed.test/é/%C3%A9?q=a b&r=%zz", "/%C3%A9/%C3%A9?q=a%20b&r=%25zz"),
        ("https://FEED.test./a/../b/%2e%2e//c#part", "//c"),
        ("https://feed.test:443", "/"),
        ("http://feed.test/a?b", "/a?b"),
    ],
)
def test_urls_are_asked_for_quoted_and_by_https(web: Web, url: str, target: str) -> None:
    """What listings hold: spaces, letters beyond ASCII, plain http."""
    web.server.give(Asked("GET", target, ()).path, answer(b"fine"))
    assert web.reader().document(url).url == f"https://feed.test{target}"
    assert [asked.target for asked in web.server.asked] == [target]


@pytest.mark.parametrize(
    "url, fault",
    [
        ("https://me:s3cret@feed.test/a", Fault.BAD_URL),
        ("https://feed.test\\@evil.test/a", Fault.BAD_URL),
        ("https://feed.test/a\r\nX: y", Fault.BAD_URL),
        ("https://feed.test/a\0", Fault.BAD_URL),
        ("ftp://feed.test/a", Fault.BAD_URL),
        ("https:feed.test/a", Fault.BAD_URL),
        ("/a", Fault.BAD_URL),
        ("", Fault.BAD_URL),
        ("https://fe\u2100d.test/a", Fault.BAD_URL),
        ("https://\uff46eed.test/a", Fault.BAD_URL),
        ("https://feed\u3002test/a", Fault.BAD_URL),
        ("https://[fe80::1%25eth0]/a", Fault.BAD_URL),
        ("https://2130706433/a", Fault.BAD_URL),
        ("https://0x7f.1/a", Fault.BAD_URL),
        ("https://127.0.0.1/a", Fault.HOST_NOT_ALLOWED),
        ("https://[::1]/a", Fault.HOST_NOT_ALLOWED),
        ("https://feed.test:444/a", Fault.HOST_NOT_ALLOWED),
        ("http://feed.test:8443/a", Fault.HOST_NOT_ALLOWED),
        ("https://assets.test/a", Fault.HOST_NOT_ALLOWED),
        ("https://feed.test.evil.test/a", Fault.HOST_NOT_ALLOWED),
        ("https://notfeed.test/a", Fault.HOST_NOT_ALLOWED),
    ],
)
def test_what_a_feed_may_not_ask_is_not_even_looked_up(web: Web, url: str, fault: Fault) -> None:
    error = failure(web.reader().document, url)
    assert (type(error), error.data["fault"], error.data["host"]) == (FeedLies, fault, "")
    assert "s3cret" not in str(error.data) + error.message
    assert (web.looked_up, web.server.asked) == ([], [])


def test_a_query_is_added_and_shown(web: Web) -> None:
    web.server.give("/a", answer(b"fine"))
    told = web.reader().document(URL + "?x=1", query={"list-type": "2", "prefix": "a/b c&d", "empty": ""})
    assert told.url == URL + "?x=1&list-type=2&prefix=a%2Fb%20c%26d&empty="
    assert web.server.asked[0].query == {"x": "1", "list-type": "2", "prefix": "a/b c&d", "empty": ""}


def test_a_form_is_posted_once_it_is_one(web: Web) -> None:
    """A redirect makes it a GET, or takes it along to the same host; never to another one."""
    form = {"request": '{"service": "Mast"}'}
    reader = web.reader()
    for status, methods in ((302, ["POST", "GET"]), (303, ["POST", "GET"]), (307, ["POST"] * 2), (308, ["POST"] * 2)):
        web.server.asked.clear()
        web.server.give("/a", redirect("/b", status))
        web.server.give("/b", answer(b"{}"))
        assert reader.document(URL, form=form).data == b"{}"
        assert [asked.method for asked in web.server.asked] == methods
        body = b"request=%7B%22service%22%3A+%22Mast%22%7D"
        assert [asked.body for asked in web.server.asked] == [body if method == "POST" else b"" for method in methods]
        types = ["application/x-www-form-urlencoded" if method == "POST" else None for method in methods]
        assert [asked.header("content-type") for asked in web.server.asked] == types
    web.server.give("/a", redirect("https://other.test/b", 307))
    web.server.asked.clear()
    error = failure(reader.document, URL, form=form)
    assert (error.data["fault"], len(web.server.asked)) == (Fault.MISLED, 1)


# --- redirects -----------------------------------------------------------------------------------------------------


def test_redirects_are_followed_to_hosts_that_are_allowed(web: Web) -> None:
    """The answer says where it came from in the end."""
    web.server.give("/a", redirect("//other.test/b c?d"))
    web.server.give("/b%20c", redirect("http://x.assets.test/e/./f", 301))
    web.server.give("/e/f", answer(FITS))
    told = web.reader().image(URL)
    assert told is not None
    assert told.url == "https://x.assets.test/e/f"
    assert [asked.server_name for asked in web.server.asked] == ["feed.test", "other.test", "x.assets.test"]


def test_redirects_end(web: Web) -> None:
    for number in range(9):
        web.server.give(f"/{number}", redirect(f"/{number + 1}"))
    error = failure(web.reader().document, "https://feed.test/0")
    assert (type(error), error.data["fault"], error.data["url"]) == (FeedLies, Fault.MISLED, "https://feed.test/5")
    assert len(web.server.asked) == 6
    failure(web.reader(redirects=0).document, "https://feed.test/0")
    assert len(web.server.asked) == 7


def test_a_redirect_to_a_name_with_a_private_address_is_not_followed(web: Web) -> None:
    web.names["evil.assets.test"] = [["10.0.0.7"]]
    web.server.give("/a", redirect("https://evil.assets.test/b"))
    error = failure(web.reader().document, URL)
    assert (type(error), error.data["fault"]) == (FeedLies, Fault.PRIVATE_ADDRESS)
    assert error.data["host"] == "evil.assets.test"
    assert len(web.connected) == 1


def test_a_redirect_never_leads_down_to_plain_http(web: Web) -> None:
    """Not even to a host that may be asked by it."""
    with FaultServer() as plain:
        rules = HostRules(["feed.test", f"telescope.lan:{plain.port}"], plain=["telescope.lan"])
        web.server.give("/a", redirect(f"http://telescope.lan:{plain.port}/b"))
        error = failure(web.reader(rules).document, URL)
        assert (type(error), error.data["fault"]) == (FeedLies, Fault.MISLED)
        assert plain.connections == 0


# --- what is known already -----------------------------------------------------------------------------------------

MONDAY = "Mon, 23 Nov 2026 08:00:00 GMT"


def test_what_is_known_is_asked_for_only_if_it_has_changed(web: Web) -> None:
    web.server.give("/a", answer(b"", 304, length=None), answer(FITS, headers={"ETag": '"2"'}))
    known = replace(ORIGIN, etag='"1"', last_modified=MONDAY)
    reader = web.reader()
    assert reader.image(URL, known=known) is None
    told = reader.image(URL, known=known)
    assert told is not None
    assert told.etag == '"2"'
    assert {(asked.header("if-none-match"), asked.header("if-modified-since")) for asked in web.server.asked} == {
        ('"1"', MONDAY)
    }


@pytest.mark.parametrize(
    "etag, last_modified",
    [(None, None), ("1", "yesterday"), ('"a\r\nX: y"', "Mon, 23 Nov 2026 08:00:00 GMT\r\nX: y"), ('"é"', ""), ("", "")],
)
def test_what_is_no_version_is_not_sent(web: Web, etag: str | None, last_modified: str | None) -> None:
    web.server.give("/a", answer(FITS))
    known = replace(ORIGIN, etag=etag, last_modified=last_modified)
    assert web.reader().image(URL, known=known) is not None
    assert {name for name, _ in web.server.asked[0].headers}.isdisjoint({"if-none-match", "if-modified-since", "x"})


def test_what_is_known_of_another_url_is_asked_for_there_alone(web: Web) -> None:
    """A fixed name that leads to a dated one: its ETag says nothing of what the fixed name leads to."""
    web.server.give("/latest", redirect("/a"), redirect("/b"), answer(b"", 304, length=None))
    web.server.give("/a", answer(b"", 304, length=None))
    web.server.give("/b", answer(FITS))
    known, reader = replace(ORIGIN, etag='"1"'), web.reader()
    assert reader.image("https://feed.test/latest", known=known) is None
    assert reader.image("https://feed.test/latest", known=known) is not None
    assert failure(reader.image, "https://feed.test/latest", known=known).data["fault"] == Fault.MALFORMED
    assert [(asked.path, asked.header("if-none-match")) for asked in web.server.asked] == [
        ("/latest", None),
        ("/a", '"1"'),
        ("/latest", None),
        ("/b", None),
        ("/latest", None),
    ]


@pytest.mark.parametrize(
    "headers, skew",
    [
        ({}, None),
        ({"Date": "Sun, 29 Nov 2026 23:06:40 GMT"}, 0),
        ({"Date": "Sun, 29 Nov 2026 23:06:30 GMT", "Age": "10"}, 0),
        ({"Date": "Mon, 29 Nov 2027 23:06:40 GMT"}, 365 * 86_400),
        ({"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, -1_795_993_600),
        ({"Date": "soon"}, None),
    ],
)
def test_a_clock_that_goes_wrong_is_told(web: Web, headers: dict[str, str], skew: int | None) -> None:
    """And trusted in nothing but what it says of itself: a wait that ends by it is as long as it means."""
    until = {"Retry-After": "Mon, 29 Nov 2027 23:07:40 GMT", "Date": "Mon, 29 Nov 2027 23:06:40 GMT"}
    web.server.give("/a", answer(b"fine", headers=headers))
    assert web.reader().document(URL).skew_s == skew
    web.server.give("/a", answer(b"", 429, until))
    assert failure(web.reader().document, URL).data["retry_after_s"] == 60


# --- how often -----------------------------------------------------------------------------------------------------


def test_requests_are_spread_before_a_limit_is_hit(web: Web) -> None:
    """As api.nasa.gov counts them: by the rolling hour."""
    left = [31, 30, 2, 1, 0]
    headers = [{"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": str(number)} for number in left]
    web.server.give("/a", *(answer(b"fine", headers=told) for told in headers))
    reader = web.reader()
    for _ in left:
        reader.document(URL)
    assert web.clock.slept == [1, 12, 12, 12]
    error = failure(reader.document, URL)
    assert (type(error), error.data["fault"], error.data["retry_after_s"]) == (FeedUnavailable, Fault.RESTING, 360)


def test_each_host_has_its_rests(web: Web) -> None:
    """A second between two requests to one, and none between two hosts."""
    web.server.give("/a", answer(b"fine"))
    reader = web.reader(least_interval_s=5)
    reader.document(URL)
    reader.document("https://other.test/a")
    assert web.clock.slept == []
    reader.document(URL)
    assert web.clock.slept == [5]
