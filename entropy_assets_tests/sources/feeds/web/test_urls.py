"""URLs mean one thing: what is quoted once stays so, and no two parsers can disagree on the host."""

from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.sources.feeds.web.urls import LONGEST_URL, WebUrl, require_host

quick = settings(max_examples=40, deadline=None)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
PATHS = st.text(st.sampled_from("abé /%.~:;@&=+$,!*'()[]{}|^`\"<>?#0Aa\u3000\U0001f52d"), max_size=40)


@quick
@given(PATHS)
def test_what_was_read_is_read_again_as_it_is(path: str) -> None:
    url = WebUrl.read(f"https://feed.test/{path}")
    assert WebUrl.read(str(url)) == url
    assert str(url).isascii()
    assert not set(str(url)) & set(' "<>\\^`{|}')
    assert url.host == urlsplit(str(url)).hostname == "feed.test"


@quick
@given(PATHS)
def test_what_is_asked_for_is_what_was_read(path: str) -> None:
    """The library between us and the wire changes nothing of it."""
    url = WebUrl.read(f"https://feed.test/{path}")
    sent = httpx.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=url.target.encode())
    assert sent.raw_path.decode() == url.target
    assert (sent.host, sent.port) == ("feed.test", None)


@quick
@given(TEXTS.filter(lambda text: not set(text) & set("%?#/\\")))
def test_a_quoted_name_means_what_was_written(name: str) -> None:
    try:
        url = WebUrl.read(f"https://feed.test/x{name}x")
    except ValueError:
        assert not name.isprintable() or len(name) > 50
        return
    assert unquote(url.path) == f"/x{name}x"


@quick
@given(st.text(max_size=60))
def test_any_text_is_a_url_or_is_refused(text: str) -> None:
    """Nothing else is raised, as it is or as where a redirect leads, and no refusal repeats what it was."""
    for read in (WebUrl.read, WebUrl.read("https://feed.test/a/b?c").led_to):
        refusal = ""
        try:
            url = read(text)
        except ValueError as error:
            refusal = str(error)
        if refusal:
            assert len(text.strip()) < 12 or text not in refusal
        else:
            assert WebUrl.read(str(url)) == url


@quick
@given(st.text("ab.-_%@:[]\\/0x1٣ⓝ。", max_size=12))
def test_hosts_are_those_that_everybody_reads_so(host: str) -> None:
    """Whatever is taken for a host, the library takes for the same."""
    try:
        url = WebUrl.read(f"https://{host}/")
    except ValueError:
        return
    assert httpx.URL(f"https://{host}/").host.lower().rstrip(".") == url.host
    assert urlsplit(f"https://{host}/").hostname.rstrip(".") == url.host  # type: ignore[union-attr]


@quick
@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4))
def test_parameters_come_out_as_they_went_in(parameters: dict[str, str]) -> None:
    bare = WebUrl.read("https://feed.test/a?first=1")
    try:
        url = bare.adding(parameters)
    except ValueError:
        assert sum(map(len, [*parameters, *parameters.values()])) * 12 > LONGEST_URL - 100
        return
    assert dict(httpx.URL(str(url)).params) == {"first": "1"} | parameters
    seen: list[tuple[str, str]] = []
    assert url.without(lambda *pair: seen.append(pair) or pair[0] in parameters or pair == ("first", "1")).query is None  # type: ignore[func-returns-value]
    assert seen == [("first", "1"), *parameters.items()]


@pytest.mark.parametrize(
    "location, to",
    [
        ("", "https://feed.test/a/b?c"),
        ("d", "https://feed.test/a/d"),
        ("?d", "https://feed.test/a/b?d"),
        ("#d", "https://feed.test/a/b?c"),
        ("../../../d e", "https://feed.test/d%20e"),
        ("//other.test", "https://other.test/"),
        ("///other.test/", "https://feed.test/other.test/"),
        ("HTTP://other.test", "http://other.test/"),
        ("./b:c", "https://feed.test/a/b:c"),
        (" /d ", "https://feed.test/d"),
        ("/a//b", "https://feed.test/a//b"),
    ],
)
def test_redirects_lead_where_rfc_3986_has_it(location: str, to: str) -> None:
    assert str(WebUrl.read("https://feed.test/a/b?c").led_to(location)) == to


@pytest.mark.parametrize(
    "location",
    [
        "\\\\evil.test",
        "/\\evil.test",
        "javascript:alert(1)",
        "https://",
        "/a\tb",
        "/a\nb",
        "/a\u2028b",
        "/" + "a" * 2000,
    ],
)
def test_redirects_to_what_is_no_url_are_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        WebUrl.read("https://feed.test/a").led_to(location)


@pytest.mark.parametrize(
    "text, host",
    [
        ("Feed.TEST.", "feed.test"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a_b.example", "a_b.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("1e100.net", "1e100.net"),
    ],
)
def test_hosts_have_one_form(text: str, host: str) -> None:
    assert require_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "a..b", "-a.test", "a-.test", "a" * 64, ".".join(["a" * 60] * 5), "a b", "bücher.example"),
        *("127.1", "0x7f.1", "0177.0.0.1", "2130706433", "1.2.3.4.5", "a.1", "1.2.3.256", "0x7f000001"),
        *("[::1", "::1", "[::1%lo]", "[1.2.3.4]", "[::ffff:1.2.3.4.]", "*.example.org", "a:80", "a@b", "a/b"),
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        require_host(text)


def test_the_plain_port_is_secured_and_no_other() -> None:
    assert str(WebUrl.read("http://feed.test:80/a").secured()) == "https://feed.test/a"
    assert str(WebUrl.read("http://feed.test:8080/a").secured()) == "http://feed.test:8080/a"
    assert str(WebUrl.read("https://[2001:db8::1]:8443/a")) == "https://[2001:db8::1]:8443/a"
