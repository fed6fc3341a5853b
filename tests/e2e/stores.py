"""What lies in S3 and on the disk of a gateway, looked at without its help."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import minio
import urllib3

from tests.e2e.gateway import Gateway

PIECE = 1024 * 1024


@contextmanager
def s3_client(ready: dict[str, Any]) -> Iterator[minio.Minio]:
    """A client of the gateway's S3, with the credentials of its ready file."""
    s3 = ready["s3"]
    with urllib3.PoolManager(retries=urllib3.Retry(3), timeout=30) as pool:
        yield minio.Minio(
            s3["endpoint"], s3["access_key"], s3["secret_key"], secure=s3["secure"], http_client=pool
        )


def objects(gateway: Gateway, prefix: str) -> dict[str, int]:
    """Name → octets of every object below a prefix, in every bucket."""
    with s3_client(gateway.ready) as client:
        return {
            f"{bucket.name}/{found.object_name}": found.size or 0
            for bucket in client.list_buckets()
            for found in client.list_objects(bucket.name, prefix=prefix, recursive=True)
        }


def octets_below(folder: Path) -> int:
    """Octets that the files of a folder take on disk."""
    return sum(file.stat().st_blocks * 512 for file in _files(folder))


def files_with(folder: Path, markers: dict[str, bytes]) -> list[str]:
    """`file: name of the marker` for each marker in each file below a folder."""
    found = []
    overlap = max(map(len, markers.values()))
    for file in _files(folder):
        before = b""
        with file.open("rb") as opened:
            while piece := opened.read(PIECE):
                window = before + piece
                found += [f"{file}: {name}" for name, marker in markers.items() if marker in window]
                before = window[-overlap:]
    return sorted(set(found))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
