"""The object store on any S3: the minio client, in threads of its own.

Every request has a timeout, every retry an end; what is then still not answered is Unavailable. An object
appears whole or not at all; larger ones go up in parts of 5 MiB, so that is what one upload holds.

Source: architecture §5; the S3 API.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, TypeVar

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.error import MinioException, S3Error
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from gateway.ports import ContentMissing, Full, ListedObject, StoredObject, Unavailable

SERVICE: Final = "s3"
PART_OCTETS: Final = 5 * 1024 * 1024  # the smallest part S3 takes
THREADS: Final = 12
CONNECT_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 20.0  # of silence; an fsync of a full part on a busy disk takes a while
ATTEMPTS_MAX: Final = 3
LISTED_MAX: Final = 1000

_ABSENT: Final = ("NoSuchKey", "NoSuchVersion", "NoSuchUpload", "ResourceNotFound")
_SHORT_OF_SPACE: Final = ("XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "EntityTooLarge")

T = TypeVar("T")


@asynccontextmanager
async def connect(
    endpoint: str, access_key: str, secret_key: str, *, secure: bool, bucket: str, region: str = "us-east-1"
) -> AsyncIterator["S3Store"]:
    """A store in one bucket. endpoint: host:port. Nothing is asked of the server yet."""
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    threads = ThreadPoolExecutor(THREADS, "s3")
    with urllib3.PoolManager(maxsize=THREADS, retries=False, timeout=timeout) as pool:
        client = Minio(endpoint, access_key, secret_key, secure=secure, region=region, http_client=pool)
        try:
            yield S3Store(client, bucket, threads)
        finally:
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)


class S3Store:
    """The port ObjectStore. Made by `connect`."""

    def __init__(self, client: Minio, bucket: str, threads: ThreadPoolExecutor) -> None:
        self._client, self._bucket, self._threads = client, bucket, threads

    async def make_bucket(self) -> None:
        """Make the bucket when it is not there. Raises Unavailable."""

        def make() -> None:
            if not self._client.bucket_exists(self._bucket):
                self._client.make_bucket(self._bucket)

        await self._run(make)

    async def check(self) -> None:
        """Raises Unavailable when server, credentials or bucket are not usable."""
        if not await self._run(lambda: self._client.bucket_exists(self._bucket)):
            raise Unavailable(
                SERVICE, f"there is no bucket {self._bucket}: set SARABAN_S3_BUCKET, or make it"
            )

    async def put(self, name: str, octets: Callable[[], Iterable[bytes]], size: int = -1) -> StoredObject:
        return await self._run(lambda: self._put(name, octets, size))

    async def get(self, name: str, start: int = 0, octets: int | None = None) -> bytes:
        if octets == 0:
            return b""
        found, _ = await self._run(lambda: self._get(name, f"bytes={start}-{_last(start, octets)}"))
        return found

    async def tail(self, name: str, octets: int) -> tuple[bytes, int]:
        return await self._run(lambda: self._get(name, f"bytes=-{octets}"))

    async def has(self, name: str) -> bool:
        try:
            await self._run(lambda: self._client.stat_object(self._bucket, name))
        except ContentMissing:
            return False
        return True

    async def list(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        found = self._listed(prefix)
        while batch := await self._run(lambda: list(islice(found, LISTED_MAX)), attempts=1):
            yield batch

    async def copy(self, name: str, to: str) -> None:
        source = CopySource(self._bucket, name)
        await self._run(lambda: self._client.copy_object(self._bucket, to, source))

    async def remove(self, name: str) -> None:
        await self._run(lambda: self._client.remove_object(self._bucket, name))

    # --- in a thread ----------------------------------------------------------------------------------

    def _put(self, name: str, octets: Callable[[], Iterable[bytes]], size: int) -> StoredObject:
        reading = _Reading(octets())
        self._client.put_object(
            self._bucket,
            name,
            reading,  # type: ignore[arg-type]  # read() is all it is asked for
            length=size,
            part_size=PART_OCTETS if size < 0 else 0,
            num_parallel_uploads=1,
        )
        return StoredObject(name, reading.octets, reading.digest.hexdigest())

    def _get(self, name: str, octets_range: str) -> tuple[bytes, int]:
        """The octets of a range, and the size of the whole; a range behind the end is empty."""
        try:
            response = self._client.get_object(self._bucket, name, request_headers={"Range": octets_range})
        except S3Error as error:
            if error.code == "InvalidRange":
                return b"", 0
            raise
        try:
            octets = response.read()
            _, _, whole = response.headers.get("Content-Range", "").partition("/")
            return octets, int(whole or len(octets))
        finally:
            response.close()
            response.release_conn()

    def _listed(self, prefix: str) -> Iterator[ListedObject]:
        for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
            if found.object_name and found.last_modified:
                yield ListedObject(found.object_name, found.last_modified)

    async def _run(self, work: Callable[[], T], attempts: int = ATTEMPTS_MAX) -> T:
        """Do it in a thread, again while the server cannot answer. Raises Unavailable, ContentMissing."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            retry=retry_if_exception(lambda error: isinstance(error, Unavailable)),
            reraise=True,
        )

        async def once() -> T:
            return await asyncio.get_running_loop().run_in_executor(self._threads, _translated, work)

        return await retrying(once)


def _translated(work: Callable[[], T]) -> T:
    try:
        return work()
    except S3Error as error:
        if error.code in _ABSENT:
            raise ContentMissing(f"the object store has no {error.object_name}") from error
        kind = Full if error.code in _SHORT_OF_SPACE else Unavailable
        raise kind(SERVICE, f"{error.code}: {error.message}") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(SERVICE, str(error) or type(error).__name__) from error


def _last(start: int, octets: int | None) -> str:
    return "" if octets is None else str(start + octets - 1)


class _Reading:
    """Octets that come in pieces, read in the sizes the client wants, counted and hashed on the way."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._held = iter(pieces), b""
        self.octets, self.digest = 0, hashlib.sha256()

    def read(self, size: int) -> bytes:
        parts, missing = [], size
        while missing and (piece := self._held or next(self._pieces, None)) is not None:
            parts.append(piece[:missing])
            self._held = piece[missing:]
            missing -= len(parts[-1])
        octets = b"".join(parts)
        self.octets += len(octets)
        self.digest.update(octets)
        return octets
