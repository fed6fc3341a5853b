"""The object store on a real S3 keeps the contract, and says Unavailable when nobody answers."""

from collections.abc import AsyncIterator

import pytest

from gateway.adapters import s3
from gateway.adapters.s3 import S3Store
from gateway.ports import Unavailable
from tests.conftest import RunningS3
from tests.contracts.object_store import ObjectStoreContract


@pytest.fixture
async def objects(s3_server: RunningS3) -> AsyncIterator[S3Store]:
    async with s3.connect(
        s3_server.endpoint,
        s3_server.access_key,
        s3_server.secret_key,
        secure=s3_server.secure,
        bucket=s3_server.bucket,
    ) as store:
        await store.make_bucket()
        await store.make_bucket()
        await store.check()
        yield store


class TestS3Store(ObjectStoreContract):
    pass


async def test_wrong_credentials_and_a_missing_bucket_are_told(s3_server: RunningS3) -> None:
    for key, bucket in (("wrong", s3_server.bucket), (s3_server.secret_key, "no-such-bucket")):
        async with s3.connect(
            s3_server.endpoint, s3_server.access_key, key, secure=False, bucket=bucket
        ) as store:
            with pytest.raises(Unavailable):
                await store.check()


async def test_a_server_that_is_not_there_is_unavailable(unused_tcp_port: int) -> None:
    async with s3.connect(f"127.0.0.1:{unused_tcp_port}", "a", "b", secure=False, bucket="bucket") as store:
        for ask in (store.has("x"), store.get("x"), store.put("x", lambda: [b"x"]), store.remove("x")):
            with pytest.raises(Unavailable, match="s3 cannot answer"):
                await ask
