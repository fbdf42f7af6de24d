"""Whatever stands in a file of feeds, it is read, opened and shown, or refused with feed, key and what to do."""

import json
import math
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from entropy_assets.defs.feeds.assets import feed_assets
from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.configuration import KINDS, Configuration, SourcesRefused, parsed
from entropy_assets.sources.feeds.roster import opened_feeds, terms_of
from entropy_assets.sources.feeds.web.hosts import rules_of
from entropy_assets.sources.feeds.web.urls import WebUrl

NEEDED = {
    "public-bucket": 'base = "https://a.example.org/"\nclaim = "drop"\nprefix = "x/"\n',
    "nasa-images": 'query = "sun"\n',
    "http-directory": 'url = "https://a.example.org/"\nclaim = "drop"\n',
    "object-store": 'url = "s3://bucket/x"\nclaim = "drop"\n',
    "folder": 'path = "/frames"\nclaim = "drop"\n',
    "command": 'command = ["grab"]\nframes = "raw"\nclaim = "drop"\n',
}
"""What a table of each kind needs, beyond the kind."""
HUGE = "1" + "0" * 5000
PLACES = [(kind, key) for kind, table in KINDS.items() for key in (*table.model_fields, "strange")]


def text_of(kind: str, key: str, value: str) -> str:
    """Return the file of one feed that says `value` at `key`, and else what its kind needs."""
    needed = [f'kind = "{kind}"', *NEEDED.get(kind, "").splitlines()]
    kept = [line for line in needed if not line.startswith(f"{key} =")]
    return "\n".join(["[feed.mine]", *kept, f"{key} = {value}"]) + "\n"


def used(text: str) -> Configuration | None:
    """Return what is read, once it was opened and shown as the pipeline does; None if it is refused as files are."""
    try:
        read = parsed(text.encode(), STANDARD)
    except SourcesRefused as error:
        return None if error.data["problems"] else pytest.fail("it does not say what is wrong")
    opened_feeds(read, list(read.feeds), dict.fromkeys(read.variables, "x"))
    assert len(feed_assets(read)) == len(read.enabled)
    assert all(math.isfinite(terms_of(table).cadence_s) for table in read.feeds.values())
    return read


def refused(text: str) -> str:
    with pytest.raises(SourcesRefused) as error:
        parsed(text.encode(), STANDARD)
    [problem] = error.value.data["problems"]
    return str(problem)


hosts = st.one_of(
    st.from_regex(r"(\*\.)?[a-z0-9.:*\[\]_-]{1,12}(:[0-9]{1,6})?", fullmatch=True), st.ip_addresses().map(str)
)
words = st.one_of(
    st.text(max_size=12),
    st.text(string.printable + "{}~*\0ä", max_size=12),
    hosts,
    st.builds("{}://{}/{}".format, st.sampled_from(("https", "http", "s3", "gs", "abfs")), hosts, st.text(max_size=5)),
    st.sampled_from(("~", "~nobody-of-that-name/x", "/a\0b", "{year}", "{year", "https://[", "https://[::1]/")),
)
numbers = st.one_of(st.integers(), st.sampled_from((2**31, 2**63, 10**19, 10**400, -(10**400))))
leaves = st.one_of(
    words.map(lambda word: json.dumps(word, ensure_ascii=True).replace("\x7f", "\\u007f")),
    numbers.map(str),
    st.integers(1000, 8000).map(lambda digits: "0x" + "f" * digits),
    st.floats().map(repr),
    st.sampled_from(("true", "false", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", HUGE, "1e999", "-inf", "nan")),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        inner.map(lambda part: f"{{a = {part}}}"),
    ),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(place=st.sampled_from(PLACES), value=values)
@example(("folder", "max_age_seconds"), str(10**19))
@example(("folder", "path"), '"~nobody-of-that-name/x"')
@example(("folder", "path"), '"/a\\u0000b"')
@example(("folder", "settle_seconds"), "0x" + "f" * 8000)
@example(("folder", "strange"), HUGE)
@example(("folder", "kind"), "0x" + "f" * 8000)
@example(("http-directory", "hosts"), '["*.com"]')
@example(("http-directory", "url"), '"https://a.example.org:abc/"')
def test_any_value_at_any_key_is_used_or_refused(place: tuple[str, str], value: str) -> None:
    used(text_of(*place, value))


@pytest.mark.parametrize("value", ["[" * 3000 + "]" * 3000, "{a = " * 3000 + "1" + "}" * 3000, '"' + "x" * 10**6 + '"'])
@pytest.mark.parametrize("key", ["path", "strange"])
def test_what_is_deep_or_long_is_refused(key: str, value: str) -> None:
    assert used(text_of("folder", key, value)) is None
    assert used(f"feed.mine.{key} = {value}\n") is None
    assert used(f"{'a.' * 3000}b = 1\n") is None


@pytest.mark.parametrize(
    "value", [HUGE, "0x" + "f" * 8000, str(10**19), "inf", "nan", "-1", "1979-05-27", '"5"', "{a = 1}", "[1]"]
)
def test_a_number_that_none_can_be_is_refused_at_every_key(value: str) -> None:
    for kind, table in KINDS.items():
        for key, field in table.model_fields.items():
            if any(word in str(field.annotation) for word in ("int", "float")):
                assert f"feed mine, {key}" in refused(text_of(kind, key, value))


def test_a_home_of_nobody_is_told_with_its_key() -> None:
    told = refused(text_of("folder", "path", '"~nobody-of-that-name/x"'))
    assert told.startswith("line 4: feed mine, path: ")
    assert "an absolute path" in told
    assert "nobody-of-that-name" not in told


def test_a_number_without_end_is_told_with_what_to_do() -> None:
    for number in (HUGE, "0x" + "f" * 8000):
        told = refused(text_of("folder", "max_age_seconds", number))
        assert told == "line 5: feed mine, max_age_seconds has too many digits; write a shorter number"
        told = refused(f"# a note\n[feed.mine]\nhosts = [\n1,\n{number}]\n")
        assert told == "line 5: feed mine: a number has too many digits; write a shorter number"
        assert refused(f"a = {number}\n") == "line 1: a number has too many digits; write a shorter number"


@pytest.mark.parametrize(
    "key, value",
    [
        ("hosts", '["*.com"]'),
        ("hosts", '["a..b"]'),
        ("hosts", '["h:99999"]'),
        ("hosts", '["h:0"]'),
        ("hosts", '["1.2.3.999"]'),
        ("hosts", '["127.1"]'),
        ("hosts", '["[1::2::3]"]'),
        ("url", '"https://a.example.org:99999/"'),
        ("url", '"https://a.example.org:0/"'),
        ("url", '"https://a.example.org:abc/"'),
        ("url", '"https://sternw\u00e4rte.example.org/"'),
        ("url", '"https://exa mple.org/"'),
        ("url", '"https://-a.example.org/"'),
        ("url", '"https://{year}.example.org/"'),
        ("url", '"https://a.example.org\\\\raw/"'),
        ("url", '"https://a.example.org/\\u0000/"'),
    ],
)
def test_a_host_or_port_that_none_can_have_is_refused_and_not_repeated(key: str, value: str) -> None:
    told = refused(text_of("http-directory", key, value))
    line = 5 if key == "hosts" else 4
    assert told.startswith(
        f"line {line}: feed mine, {key} has a host, port or letter that can't be asked: write a name"
    )
    assert not any(word in told for word in ("exa mple", "999", "abc", "a..b", "::2::", "sternw"))


@pytest.mark.parametrize("value", ['"../other"', '"a//b"', '"a/./b"', '"a\\u0000b"', f'"{"ab/" * 500}"'])
def test_a_folder_of_an_object_store_that_none_can_be_is_refused(value: str) -> None:
    assert "feed mine, folder" in refused(text_of("object-store", "folder", value))


@pytest.mark.parametrize("own, hosts", [(True, "[]"), (True, '["[::1]"]'), (False, '["[2001:db8::1]:8443"]')])
def test_an_address_of_version_6_is_a_host_in_brackets(own: bool, hosts: str) -> None:
    scheme = "http" if own else "https"
    text = text_of("http-directory", "url", f'"{scheme}://[0:0::1]:8799/raw/"')
    read = used(f"{text}own_network = {str(own).lower()}\nhosts = {hosts}\n")
    assert read is not None
    rules = rules_of(read.feeds["mine"])  # type: ignore[arg-type]
    assert rules.allows(WebUrl.read(f"{scheme}://[::1]:8799/raw/"))
    assert rules.is_local("::1") == own
