"""The API described in OpenAPI 3.1, made from the table of operations and the structs they take and give."""

import re
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from gateway.processes.web import bodies
from gateway.processes.web.invited import Acceptance, Accepted
from gateway.processes.web.office import Operation
from gateway.processes.web.operations import OPERATIONS, PREFIX
from gateway.processes.web.problems import PROBLEM, ProblemDetails

_TEMPLATE: Final = "#/components/schemas/{name}"
_ADDRESS: Final = {"type": "string", "minLength": 3, "maxLength": 330}
_ID: Final = {"type": "string", "minLength": 1, "maxLength": 40}
_REFUSED: Final = {status: {"$ref": "#/components/responses/Problem"} for status in ("4XX", "5XX")}


@cache
def description() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {"/token": _token(), "/invitation": _invitation()}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Saraban administration",
            "version": version("saraban"),
            "description": "Agencies, accounts, aliases and roles. What a role may not see is not there.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "Why not, in one sentence (RFC 9457).",
                    "content": {PROBLEM: {"schema": {"$ref": _TEMPLATE.format(name="ProblemDetails")}}},
                }
            },
        },
    }


def _token() -> dict[str, Any]:
    return {
        "post": {
            "operationId": "post_token",
            "summary": "A token for who knows the password; it holds for twelve hours.",
            "security": [],
            "requestBody": _body(bodies.SignInRequest),
            "responses": {"201": _response("The token, shown once.", bodies.TokenAnswer), **_REFUSED},
        },
        "delete": {
            "operationId": "delete_token",
            "summary": "End the token.",
            "responses": {"204": {"description": "It is no token any more."}, **_REFUSED},
        },
    }


def _invitation() -> dict[str, Any]:
    return {
        "post": {
            "operationId": "post_invitation",
            "summary": "Accept an invitation: set the account's password, for who has the code of it, once.",
            "security": [],
            "requestBody": _body(Acceptance),
            "responses": {"200": _response("Done.", Accepted), **_REFUSED},
        }
    }


def _operation(operation: Operation) -> dict[str, Any]:
    words = re.findall(r"[a-z_]+", operation.path)
    described: dict[str, Any] = {
        "operationId": "_".join([operation.method.lower(), *words]),
        "summary": operation.says,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": _parameter(name)}
            for name in re.findall(r"\{(\w+)\}", operation.path)
        ],
        "responses": {str(operation.status.value): _answer(operation), **_REFUSED},
    }
    if operation.query is not None:
        described["parameters"] += _query(operation.query)
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    return described


def _answer(operation: Operation) -> dict[str, Any]:
    if not operation.media:
        return _response("Done.", operation.answer)
    return {"description": "A file.", "content": {media: {} for media in operation.media}}


def _parameter(name: str) -> dict[str, Any]:
    return _ADDRESS if name in ("address", "member") else _ID


def _query(kind: type[Any]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema_components([kind], ref_template=_TEMPLATE)[1][kind.__name__]
    properties: dict[str, Any] = schema["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": described}
        for name, described in properties.items()
    ]


def _body(kind: type[Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": _reference(kind)}}}


def _response(says: str, kind: type[Any]) -> dict[str, Any]:
    return {"description": says, "content": {"application/json": {"schema": _reference(kind)}}}


def _reference(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": _TEMPLATE.format(name=kind.__name__)}


def _schemas() -> dict[str, Any]:
    kinds: list[type[Any]] = [ProblemDetails, bodies.SignInRequest, bodies.TokenAnswer, Acceptance, Accepted]
    for operation in OPERATIONS:
        kinds += [kind for kind in (operation.body, operation.answer) if kind is not None]
    _, components = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_TEMPLATE)
    return components
