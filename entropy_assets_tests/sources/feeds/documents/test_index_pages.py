"""Index pages of the usual servers tell the files in the folder itself, with their times and sizes, and no others."""

from datetime import UTC, datetime

import pytest

from entropy_assets.sources.feeds.documents.index_pages import MOST_LINKS, index_entries

URL = "https://frames.example.org/raw/"
THEN = datetime(2026, 11, 29, 8, 33, tzinfo=UTC)

# as mod_autoindex writes it: `IndexOptions` none, FancyIndexing, and HTMLTable (Apache 2.4 documentation)
APACHE = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><body><h1>Index of /raw</h1>
<pre><img src="/icons/blank.gif" alt="Icon "> <a href="?C=N;O=D">Name</a>  <a href="?C=M;O=A">Last modified</a>  <hr>
<img src="/icons/back.gif" alt="[PARENTDIR]"> <a href="/">Parent Directory</a>                             -
<img src="/icons/folder.gif" alt="[DIR]"> <a href="older/">older/</a>       2026-11-28 08:33    -
<img src="/icons/image2.gif" alt="[IMG]"> <a href="a%20b.fits">a b.fits</a>   2026-11-29 08:33  4.1M
<hr></pre></body></html>"""
APACHE_TABLE = b"""<table><tr><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td><a href="a%20b.fits"><img src="/icons/image2.gif"></a></td><td><a href="a%20b.fits">a b.fits</a></td>
<td align="right">2026-11-29 08:33  </td><td align="right">4.1M</td><td>&nbsp;</td></tr></table>"""
# as ngx_http_autoindex_module writes it, with exact sizes, its default
NGINX = b"""<html><head><title>Index of /raw/</title></head><body><h1>Index of /raw/</h1><hr><pre><a href="../">../</a>
<a href="older/">older/</a>                                             28-Nov-2026 08:33                   -
<a href="a%20b.fits">a b.fits</a>                                           29-Nov-2026 08:33             4299161
</pre><hr></body></html>"""
# as the file server of Caddy 2 writes it
CADDY = b"""<table aria-describedby="summary"><tr class="file"><td></td><td><a href="./a%20b.fits"><svg></svg>
<span class="name">a b.fits</span></a></td><td class="size" data-size="4299161"><div class="sizebar">
<div class="sizebar-text">4.1 MiB</div></div></td><td class="timestamp hideable">
<time datetime="2026-11-29T08:33:00Z">11/29/2026 08:33:00 AM +00:00</time></td></tr></table>"""
# as `python -m http.server` writes it
PYTHON = b"""<ul>\n<li><a href="a%20b.fits">a b.fits</a></li>\n<li><a href="older/">older/</a></li>\n</ul>"""


@pytest.mark.parametrize(
    "page, modified, size",
    [
        (APACHE, THEN, None),
        (APACHE_TABLE, THEN, None),
        (NGINX, THEN, 4299161),
        (CADDY, THEN, 4299161),
        (PYTHON, None, None),
    ],
    ids=["Apache", "Apache, in a table", "nginx", "Caddy", "Python"],
)
def test_a_page_tells_its_files(page, modified, size) -> None:
    [entry] = index_entries(page, URL)
    assert (entry.name, entry.url) == ("a b.fits", f"{URL}a%20b.fits")
    assert (entry.modified, entry.size) == (modified, size)


def test_what_a_page_tells_of_a_file_changes_with_it() -> None:
    [before], [after] = index_entries(NGINX, URL), index_entries(NGINX.replace(b"4299161", b"4299162"), URL)
    assert before.told != after.told


@pytest.mark.parametrize(
    "href",
    [
        *(
            "https://elsewhere.example.org/raw/a.fits",
            "//elsewhere.example.org/raw/a.fits",
            "http://frames.example.org/raw/a.fits",
        ),
        *("../a.fits", "/a.fits", "deeper/a.fits", "a.fits?key=1", "a.fits#b", "..%2Fa.fits", "%2e%2e", "a%00.fits"),
        *("a%5Cb.fits", "javascript:alert(1)", "data:image/fits,x", "https://frames.example.org:8443/raw/a.fits"),
        *("https://[/", "https://me@frames.example.org/raw/a.fits", "", "."),
    ],
)
def test_a_link_that_leads_elsewhere_is_left_out(href) -> None:
    page = f'<a href="{href}">a.fits</a> <a href="b.fits">b.fits</a>'
    assert [entry.name for entry in index_entries(page.encode(), URL)] == ["b.fits"]


def test_links_may_be_whole_addresses_of_the_same_folder() -> None:
    page = f'<a href="{URL}a.fits">a</a> <a href="/raw/b.fits">b</a> <a href="/r%61w/c.fits">c</a>'
    assert [entry.name for entry in index_entries(page.encode(), URL)] == ["a.fits", "b.fits", "c.fits"]


def test_an_address_of_a_page_without_a_slash_is_of_the_folder_above() -> None:
    page = b'<a href="a.fits">a</a>'
    assert index_entries(page, f"{URL}index.html")[0].url == f"{URL}a.fits"


def test_ten_thousand_entries_are_read() -> None:
    page = "".join(f'<a href="{n:06}.fits">x</a> 29-Nov-2026 08:33 1000\n' for n in range(10_000))
    assert len(index_entries(page.encode(), URL)) == 10_000


@pytest.mark.parametrize(
    "page, told",
    [
        (b"", "no page with links"),
        (b"{}", "no page with links"),
        (b"\xff\xd8\xff\xe0", "no page with links"),
        (b"<a href=x>" * (MOST_LINKS + 1), "more than 20000 links"),
    ],
)
def test_what_is_no_index_is_refused(page, told) -> None:
    with pytest.raises(ValueError, match=told):
        index_entries(page, URL)


def test_a_page_that_never_ends_a_tag_costs_no_more_than_its_length() -> None:
    """Half a megabyte of what takes Python 3.11.7's own parser of HTML minutes (CVE-2025-6069)."""
    for piece in (b"<a href=x>", b"<!--", b"<![CDATA[", b"<a ", b"&#"):
        page = b'<a href="b.fits">b</a>' + piece * (2**19 // len(piece) if piece != b"<a href=x>" else 1000)
        assert index_entries(page, URL)[0].name == "b.fits"
