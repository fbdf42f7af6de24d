"""The pages for people: who gets them, and what the browser is told to refuse."""

import re
from collections.abc import Iterator

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.http.documents import DOCS_ASSETS, PAGE, wants_page
from entropy_assets_tests.serving.running import RunningService


@pytest.fixture
def service(config: ServiceConfig) -> Iterator[RunningService]:
    with RunningService(config) as running:
        yield running


@pytest.mark.parametrize(
    "accept, page",
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
    ],
)
def test_browsers_get_the_page_and_programs_the_index(accept: str, page: bool) -> None:
    assert wants_page(accept) is page


def test_the_page_comes_with_a_policy_that_allows_nothing_from_elsewhere(service: RunningService) -> None:
    answers = {path.name: service.client.get(f"/page/{path.name}") for path in PAGE.iterdir() if path.suffix != ".html"}
    assert len(answers) > 2
    answers["index.html"] = service.client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    for name, answer in answers.items():
        assert answer.content == (PAGE / name).read_bytes()
        rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
        assert rules["default-src"] == rules["form-action"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert rules["require-trusted-types-for"] == "'script'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = service.client.get(
            answer.url, headers={**answer.request.headers, "If-None-Match": answer.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
    assert service.client.get("/").headers["Vary"] == "Accept"
    assert service.client.head("/").status_code == 200


def test_the_page_holds_no_script_style_or_address_of_its_own() -> None:
    """What the policy would refuse is not there, and nothing turns text into HTML."""
    page, style = ((PAGE / name).read_text() for name in ("index.html", "page.css"))
    script = "".join(path.read_text() for path in PAGE.glob("*.js"))
    assert page.count("<script") == page.count("<script src=") == 1
    for word in ("<style", " style=", " onclick=", " onload=", "javascript:"):
        assert word not in page
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Storage",
        "indexedDB",
        "cookie",
    ):
        assert word not in script
    addresses = {found for text in (page, script, style) for found in re.findall(r"https?://[\w.]+[^\s\"']*", text)}
    assert addresses == {"http://www.w3.org/2000/svg"}, "a name, which nobody visits"
    assert "url(" not in style
    assert "@import" not in style


def test_the_documentation_loads_nothing_from_elsewhere(service: RunningService) -> None:
    page = service.client.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        answer = service.client.get(f"/docs-assets/{name}")
        assert answer.content == (DOCS_ASSETS / name).read_bytes()


def test_the_description_is_made_once(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making it takes as long as some hundred draws, and anybody may ask for it."""
    app = service.application.app
    first = service.client.get("/openapi.json")
    assert first.headers["Content-Type"] == "application/json"
    assert first.json() == app.openapi()
    monkeypatch.setattr(app, "openapi", lambda: {})
    assert service.client.get("/openapi.json").content == first.content
