"""The hosts of a feed are those that its configuration names."""

import pytest

from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.urls import WebUrl

RULES = HostRules(
    ["Feed.TEST.", "*.assets.test", "feed.test:8443", "telescope.lan:8080", "[2001:db8::1]", "192.0.2.7"],
    plain=["telescope.lan"],
    local=["TELESCOPE.lan", "192.0.2.7"],
)


@pytest.mark.parametrize(
    "url",
    [
        *("https://feed.test/", "https://FEED.test.:8443/", "https://a.assets.test/", "https://b.a.assets.test/"),
        *(
            "https://telescope.lan:8080/",
            "http://telescope.lan:8080/",
            "https://[2001:DB8::0:1]/",
            "https://192.0.2.7/",
        ),
    ],
)
def test_these_may_be_asked(url: str) -> None:
    assert RULES.allows(WebUrl.read(url))


@pytest.mark.parametrize(
    "url",
    [
        *("http://feed.test/", "https://feed.test:80/", "https://feed.test:8444/", "https://x.feed.test/"),
        *(
            "https://assets.test/",
            "https://xassets.test/",
            "https://assets.test.evil.test/",
            "https://a.assets.test:8443/",
        ),
        *("http://telescope.lan/", "https://telescope.lan/", "http://telescope.lan:8081/", "http://[2001:db8::1]/"),
        *("https://[2001:db8::2]/", "http://192.0.2.7/", "https://192.0.2.70/"),
    ],
)
def test_these_may_not(url: str) -> None:
    assert not RULES.allows(WebUrl.read(url))


def test_a_host_is_local_or_plain_where_it_is_said() -> None:
    assert [RULES.is_local(host) for host in ("telescope.lan", "192.0.2.7", "feed.test")] == [True, True, False]
    assert [RULES.is_plain(host) for host in ("telescope.lan", "192.0.2.7", "feed.test")] == [True, False, False]


@pytest.mark.parametrize(
    "hosts, more, says",
    [
        ([], {}, "names the hosts"),
        (["*.test"], {}, "half the world"),
        (["*"], {}, "no host"),
        (["a.*.test"], {}, "no host"),
        (["https://feed.test"], {}, "no host"),
        (["feed.test/a"], {}, "no host"),
        (["feed.test:0"], {}, "no port"),
        (["feed.test:65536"], {}, "no port"),
        (["bücher.example"], {}, "xn--"),
        (["0x7f.1"], {}, "octets"),
        (["feed.test"], {"local": ["other.test"]}, "in local, and must be"),
        (["*.feed.test"], {"plain": ["feed.test"]}, "in plain, and must be"),
    ],
)
def test_what_names_no_hosts_is_refused(hosts: list[str], more: dict[str, list[str]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        HostRules(hosts, **more)


def test_rules_are_what_was_given_whatever_gave_it() -> None:
    assert HostRules(iter(["feed.test"])) == HostRules(["feed.test"])
    assert HostRules(["feed.test"]).hosts == ("feed.test",)
