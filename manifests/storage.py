"""Where a lake's Parquet files are: a folder, or a prefix in an object store. Credentials never come from an address.

S3 and its like: ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, a profile (``AWS_PROFILE``), or the machine's role, as the
tools of AWS find them; ``AWS_REGION``; ``AWS_ENDPOINT_URL`` for a store that is not Amazon's (MinIO, Ceph, ...).
"""

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

ATTEMPTS = 8
"""Requests that time out or are answered with 5xx or "slow down" are tried so often, with pauses that double."""


def is_remote(data: str) -> bool:
    """Whether ``data`` is no folder of this machine."""
    return "://" in data


def filesystem(data: str) -> "tuple[FileSystem, str]":
    """The file system of a data location, and the location's path in it, without a slash at the end."""
    import pyarrow.fs  # here, because a question about one sample does not need it

    if not is_remote(data):
        return pyarrow.fs.LocalFileSystem(), data.rstrip("/")
    if urlsplit(data).scheme != "s3":
        found, path = pyarrow.fs.FileSystem.from_uri(data)
        return found, path.rstrip("/")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    store = pyarrow.fs.S3FileSystem(
        endpoint_override=endpoint(),
        region=region,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        connect_timeout=10,
        request_timeout=60,
    )
    return store, data.removeprefix("s3://").rstrip("/")


def endpoint() -> str | None:
    """``http(s)://host:port`` of an object store that is not Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def secret_sql() -> str:
    """The same for DuckDB, whose extensions ``httpfs`` and ``aws`` must be loaded."""
    options = ["TYPE s3", "PROVIDER credential_chain"]
    if url := endpoint():
        parts = urlsplit(url if "://" in url else f"https://{url}")
        quoted = parts.netloc.replace("'", "''")
        options += [f"ENDPOINT '{quoted}'", f"USE_SSL {str(parts.scheme == 'https').lower()}", "URL_STYLE 'path'"]
    return f"CREATE OR REPLACE SECRET lake_data ({', '.join(options)})"
