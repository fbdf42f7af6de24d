"""Places and limits of a service."""

from entropy_assets.serving.config import ServiceConfig


def test_the_configuration_does_not_show_the_address_of_the_keys() -> None:
    shown = repr(ServiceConfig(pool_url="redis://a:hunter2@h", keys="redis://b:hunter3@h"))
    assert "hunter" not in shown
