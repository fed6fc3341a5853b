"""A door for each test."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.domain.events import Actor, By
from gateway.processes.signin.passwords import make_verifier
from gateway.processes.signin.signin import SignIns
from tests.processes.signin.world import OWN, Door
from tests.processes.world import MovedClock


@pytest.fixture
async def door(cheap_hashes: None) -> AsyncIterator[Door]:
    clock, log, keys = MovedClock(), MemoryLog(), MemoryKeyStore(os.urandom)
    by = By("edge", "0", "")
    await keys.put("verifier.acc_suda", await asyncio.to_thread(make_verifier, OWN))
    async with open_lane(log, "edge-test-0", clock=clock, actor=Actor("system", "edge"), by=by) as lane:
        door = Door(None, keys, log, clock, [])  # type: ignore[arg-type]  # it stands behind its own sign-ins
        door.sign_ins = SignIns(
            people=door, tokens=door, keys=keys, lane=lane, clock=clock, entropy=os.urandom, by=by
        )
        yield door
