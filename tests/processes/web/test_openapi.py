"""The API does what its OpenAPI description says, whatever is sent: tried with schemathesis.

An operator's token is used, so that requests get as far as they can; a member's, so that refusals are tried.
"""

import asyncio
from collections.abc import Callable, Sequence

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from gateway.processes.web.openapi import description
from gateway.processes.web.operations import OPERATIONS
from tests.processes.web.world import World
from tests.sizes import size

EXAMPLES = size(ci=8, full=100)
NAMES = [f"{operation.method} {operation.path}" for operation in OPERATIONS]


def test_the_description_names_every_operation_and_resolves() -> None:
    described = description()
    names = {f"{method.upper()} {path}" for path, of in described["paths"].items() for method in of}
    assert names == {*NAMES, "POST /token", "DELETE /token", "POST /invitation"}
    operation_ids = [one["operationId"] for of in described["paths"].values() for one in of.values()]
    assert len(operation_ids) == len(set(operation_ids))
    schemathesis.openapi.from_dict(described).validate()


async def test_the_description_is_served_to_everybody(world: World) -> None:
    answer = await world.ask("", "GET", "/openapi.json")
    assert (answer.status, answer.body["openapi"]) == (200, "3.1.0")
    assert answer.body == description()


async def test_answers_are_as_described(world: World) -> None:
    tokens = [await world.token(who) for who in ("operator", "member")]
    await asyncio.to_thread(_explore, world.http, tokens)


def _explore(base: str, tokens: Sequence[str]) -> None:
    """Runs in a thread: the server needs the loop."""
    schema = schemathesis.openapi.from_url(f"{base}/api/v1/openapi.json")
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in (
            "/token",
            "/invitation",
        ):  # throttled after a few, and the token at hand is to hold
            _trying(operation, tokens)()


def _trying(operation: APIOperation, tokens: Sequence[str]) -> Callable[[], None]:
    """Each request in everybody's name: to think of one takes longer than to answer it."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def try_one(case: schemathesis.Case) -> None:
        for token in tokens:
            case.headers["Authorization"] = f"Bearer {token}"
            # Not tried: that all a schema allows is taken. What is an address is more than a schema can say.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

    return try_one
