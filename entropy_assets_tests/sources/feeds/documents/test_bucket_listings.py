"""Listings of buckets are read as S3 writes them, and nothing in them unfolds, recurses or runs on."""

import pytest

from entropy_assets.sources.feeds.documents.bucket_listings import MOST_KEYS, BucketObject, bucket_page

# documented answer, DATA.md 2 (GOES-R on AWS: ListBucketResult/Contents/{Key,LastModified,ETag,Size}), in the
# namespace of S3's API reference, ListObjectsV2
LISTING = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>noaa-goes19</Name>
<Prefix>SUVI-L1b-Fe171/2026/333/08/</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>
<IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J</NextContinuationToken>
<Contents><Key>SUVI-L1b-Fe171/2026/333/08/a b &amp; c.fits</Key><LastModified>2026-11-29T08:33:00.000Z</LastModified>
<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size><StorageClass>STANDARD</StorageClass></Contents>
<Contents><Key>x</Key><Owner><ID>1</ID><Key>not this one</Key></Owner></Contents>
</ListBucketResult>"""


def test_a_listing_is_read_as_it_is_documented() -> None:
    page = bucket_page(LISTING)
    assert page.is_truncated
    first = BucketObject(
        "SUVI-L1b-Fe171/2026/333/08/a b & c.fits",
        434234,
        "fba9dede5f27731c9771645a39863328",
        "2026-11-29T08:33:00.000Z",
    )
    assert page.objects == (first, BucketObject("x", None, "", ""))


def test_an_empty_listing_has_nothing() -> None:
    page = bucket_page(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    assert (page.objects, page.is_truncated) == ((), False)


BOMB = b"""<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<ListBucketResult><Contents><Key>&a;</Key></Contents></ListBucketResult>"""


@pytest.mark.parametrize(
    "data, told",
    [
        (BOMB, "document type"),
        (OUTSIDE, "document type"),
        (b"<!DOCTYPE html><html></html>", "document type"),
        (b"<html></html>", "no listing of a bucket"),
        (b"<Error><Code>AccessDenied</Code></Error>", "no listing of a bucket"),
        (b"", "no XML"),
        (b"{}", "no XML"),
        (LISTING[:-20], "no XML"),
        (b"<ListBucketResult>" + b"<a>" * 100, "too deep"),
        (b"<ListBucketResult><Contents><Key></Key></Contents></ListBucketResult>", "has no key"),
        (b"<ListBucketResult>" + b"<Contents><Key>a</Key></Contents>" * (MOST_KEYS + 1), "more than 10000 objects"),
    ],
)
def test_what_is_no_listing_is_refused(data, told) -> None:
    with pytest.raises(ValueError, match=told):
        bucket_page(data)


@pytest.mark.parametrize("size", [b"-1", b"1e3", b"9" * 400, b"", "\N{ARABIC-INDIC DIGIT ONE}".encode()])
def test_a_size_that_is_none_is_not_told(size) -> None:
    data = b"<ListBucketResult><Contents><Key>a</Key><Size>" + size + b"</Size></Contents></ListBucketResult>"
    assert bucket_page(data).objects[0].size is None
