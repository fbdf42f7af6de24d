"""The names by which the guard knows its own webserver; `test_webserver` asks the real one what it lets pass."""

import pytest

from entropy_assets.supervisor.page_guard import Names

PUBLIC = "https://dagster.example"


@pytest.mark.parametrize(
    "bound, url, hosts, origin",
    [
        ("127.0.0.1", None, {"localhost", "127.0.0.1"}, None),
        ("Machine", "https://Dagster.Example:443/ui", {"localhost", "machine", "dagster.example"}, PUBLIC),
        ("::", "http://u:p@d.example:80", {"localhost", "::", "d.example"}, "http://d.example"),
        ("::1", "https://[fd00::1]:8443", {"localhost", "::1", "fd00::1"}, "https://[fd00::1]:8443"),
    ],
)
def test_its_names_are_those_of_the_settings(bound: str, url: str | None, hosts: set[str], origin: str | None) -> None:
    assert Names.of(bound, url) == Names(frozenset(hosts), origin)
