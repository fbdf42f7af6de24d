"""What a page of another site can have a visitor's browser do: nothing that takes bytes out of the pool."""

import pytest

from entropy_assets_tests.serving.keyed import Start

IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
OTHER_PORT = {**IMAGE, "Sec-Fetch-Site": "same-site"}
PREFETCH = {**LINK, "Sec-Purpose": "prefetch"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("fast_lane", [True, False], ids=["lane", "no lane"])
@pytest.mark.parametrize("path", ["/random/16", "/random/16?format=raw", "/random/16?&", "/download/16"])
@pytest.mark.parametrize("headers", [IMAGE, FRAME, OTHER_PORT, PREFETCH], ids=["image", "frame", "port", "prefetch"])
def test_a_foreign_page_draws_nothing(headers: dict[str, str], path: str, fast_lane: bool, start: Start) -> None:
    service = start(fast_lane=fast_lane)
    assert service.client.get("/random/16").status_code == 200
    before = service.application.service.counts["served_private_bytes"]
    answer = service.client.get(path, headers={**headers, "Accept": "*/*"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/foreign-origin")
    assert answer.headers["Cache-Control"] == "no-store"
    assert service.application.service.counts["served_private_bytes"] == before


@pytest.mark.parametrize("headers", [LINK, OWN_PAGE, TYPED, {}], ids=["link", "own page", "typed", "program"])
def test_a_person_a_program_and_our_own_page_draw(headers: dict[str, str], start: Start) -> None:
    service = start()
    for path in ("/random/16", "/random/16?&", "/download/16"):
        assert service.client.get(path, headers=headers).status_code == 200


def test_a_foreign_page_can_not_post_either(start: Start) -> None:
    answer = start().client.post("/random", json={"n": 16}, headers=IMAGE)
    assert answer.status_code == 403
