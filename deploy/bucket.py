"""Make a bucket unless it is there: ``python bucket.py NAME``, with the keys and the address from AWS_... variables."""

import sys

import boto3
from botocore.exceptions import ClientError


def made(name: str) -> bool:
    """Make the bucket; return False if it was there."""
    store = boto3.client("s3")
    try:
        store.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        store.create_bucket(Bucket=name)
        return True
    return False


if __name__ == "__main__":
    print(f"{sys.argv[1]}: {'made' if made(sys.argv[1]) else 'there'}")
