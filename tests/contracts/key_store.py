"""What every KeyStore does."""

import asyncio

import pytest

from gateway.ports import KEYS_AT_ONCE_MAX, Conflict, KeyForgotten, KeyStore


class KeyStoreContract:
    async def test_a_key_that_never_was_is_no_key(self, keys: KeyStore) -> None:
        with pytest.raises(KeyError):
            await keys.get("account.acc_nobody")

    async def test_a_key_is_made_once_however_many_ask(self, keys: KeyStore, others: KeyStore) -> None:
        asking = [store.get_or_make("account.acc_1") for store in (keys, others) for _ in range(20)]
        found = set(await asyncio.gather(*asking))
        assert len(found) == 1
        assert [len(key) for key in found] == [32]
        assert {await keys.get("account.acc_1"), await others.get("account.acc_1")} == found

    async def test_names_do_not_mix(self, keys: KeyStore) -> None:
        names = ["agency.ag_1", "agency.ag_2", "transit.ag_1.20261123", "agency", "a b>*.ก"]
        found = [await keys.get_or_make(name) for name in names]
        assert len(set(found)) == len(names)
        assert [await keys.get(name) for name in names] == found

    async def test_a_secret_is_replaced(self, keys: KeyStore) -> None:
        await keys.put("verifier.acc_2", b"$argon2id$1")
        assert await keys.get("verifier.acc_2") == b"$argon2id$1"
        await keys.put("verifier.acc_2", b"$argon2id$2")
        assert await keys.get("verifier.acc_2") == b"$argon2id$2"

    async def test_of_those_who_exchange_a_secret_one_comes_through(
        self, keys: KeyStore, others: KeyStore
    ) -> None:
        with pytest.raises(KeyError):
            await keys.exchange("invitation.acc_1", b"code", b"")
        await keys.put("invitation.acc_1", b"code")
        assert await keys.get("invitation.acc_1") == b"code"
        asking = [store.exchange("invitation.acc_1", b"code", b"") for store in (keys, others) * 5]
        assert sorted(await asyncio.gather(*asking)) == [False] * 9 + [True]
        assert not await keys.exchange("invitation.acc_1", b"code", b"")
        assert await keys.get("invitation.acc_1") == b""

    async def test_a_forgotten_key_stays_forgotten(self, keys: KeyStore) -> None:
        await keys.get_or_make("account.acc_3")
        await keys.forget("account.acc_3")
        await keys.forget("account.acc_3")
        for ask in (keys.get, keys.get_or_make):
            with pytest.raises(KeyForgotten):
                await ask("account.acc_3")
        with pytest.raises(KeyForgotten):
            await keys.put("account.acc_3", b"again")

    async def test_what_is_kept_is_listed_by_the_beginning_of_its_name(self, keys: KeyStore) -> None:
        await keys.put("token.1", b"one")
        await keys.put("token.2", b"two")
        await keys.put("tok.3", b"three")
        await keys.put("session.4", b"four")
        await keys.forget("token.2")
        await keys.put("token.1", b"five")
        found = [kept async for kept in keys.kept("token.", "session.")]
        assert [kept[:2] for kept in found] == [
            ("session.4", b"four"),
            ("token.2", None),
            ("token.1", b"five"),
        ]
        assert [kept.number for kept in found] == sorted({kept.number for kept in found})

    async def test_what_is_removed_never_was(self, keys: KeyStore) -> None:
        await keys.put("token.5", b"five")
        await keys.put("token.6", b"six")
        await keys.forget("token.6")
        for _ in range(2):
            for name in ("token.5", "token.6"):
                await keys.remove(name)
        assert [kept async for kept in keys.kept("token.5", "token.6")] == []
        for name in ("token.5", "token.6"):
            with pytest.raises(KeyError):
                await keys.get(name)

    async def test_a_name_can_be_forgotten_before_it_was_used(self, keys: KeyStore) -> None:
        await keys.forget("account.acc_4")
        with pytest.raises(KeyForgotten):
            await keys.get_or_make("account.acc_4")

    async def test_many_new_secrets_are_stored_at_once(self, keys: KeyStore, others: KeyStore) -> None:
        secrets = {f"account.acc_5.{number}": b"%d" % number for number in range(KEYS_AT_ONCE_MAX)}
        await keys.put_new({})
        await keys.put_new(secrets)
        for name in ("account.acc_5.0", f"account.acc_5.{KEYS_AT_ONCE_MAX - 1}"):
            assert await keys.get(name) == await others.get(name) == secrets[name]
        await keys.put("account.acc_5.0", b"replaced")
        assert await keys.get("account.acc_5.0") == b"replaced"

    async def test_of_new_secrets_all_are_stored_or_none(self, keys: KeyStore) -> None:
        await keys.put("account.acc_6", b"used")
        await keys.forget("account.acc_7")
        for used in ("account.acc_6", "account.acc_7"):
            with pytest.raises(Conflict):
                await keys.put_new({"account.acc_8": b"new", used: b"again", "account.acc_9": b"new"})
        for name in ("account.acc_8", "account.acc_9"):
            with pytest.raises(KeyError):
                await keys.get(name)
        assert await keys.get("account.acc_6") == b"used"
