"""A sample of every event: `most` with every field, `least` with those alone that have no default.

Goldens are made of these once, by `python -m tests.domain.write_schemas`, and then stay what they are.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import inspect

from gateway.domain.events import Event

AT = datetime(2026, 11, 23, 4, 5, 6, 789_000, tzinfo=UTC)
TEXTS = {
    "mail_id": "mail_01kamz1x2y3z4a5b6c7d8e9f0g",
    "report_of": "mail_01kamz0000000000000000000a",
    "expands": "mail_01kamz0000000000000000000b",
    "account_id": "acc_01kamz1x2y3z4a5b6c7d8e9f0g",
    "sender_account_id": "acc_01kamz0000000000000000000a",
    "agency_id": "ag_01kamz1x2y3z4a5b6c7d8e9f0g",
    "accepted_by": "ag_01kamz0000000000000000000a",
    "mailbox_id": "mbx_01kamz1x2y3z4a5b6c7d8e9f0g",
    "originator_id": "acc_01kamz1x2y3z4a5b6c7d8e9f0g",
    "name": "สำนักนายกรัฐมนตรี",
    "reason": "ตราประทับเปิดไม่ได้",
    "domain": "opm.go.th",
    "stem": "opm.go.th",
    "successor": "cabinet.go.th",
    "moved_from": "ag_01kamz0000000000000000000a",
    "host": "mx.dld.go.th",
    "status": "4.2.1",
    "notify": "SUCCESS,FAILURE",
    "rrvs": "2020-03-01T09:00:00Z;C",
    "cause": "4711",
    "ban_id": "ban_01kamz1x2y3z4a5b6c7d8e9f0g",
    "uids": "1:3,7",
    "to_mailbox_id": "mbx_01kamz0000000000000000000a",
    "parent_id": "mbx_01kamz0000000000000000000b",
}


def most(kind: type[Event]) -> Event:
    return msgspec.convert(_struct(kind, least=False), kind)


def least(kind: type[Event]) -> Event:
    return msgspec.convert(_struct(kind, least=True), kind)


def _struct(kind: type[Any], *, least: bool) -> dict[str, Any]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType), kind
    return {
        field.encode_name: _value(field.type, field.name, least=least)
        for field in info.fields
        if field.required or not least
    }


def _value(type_: inspect.Type, name: str, *, least: bool) -> Any:
    match type_:
        case inspect.Metadata(type=inner):
            return _value(inner, name, least=least)
        case inspect.StrType():
            return TEXTS.get(name, f"a {name}")
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return 4711
        case inspect.BytesType():
            return b"sealed octets"
        case inspect.DateTimeType():
            return AT
        case inspect.DateType():
            return AT.date()
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.StructType(cls=cls):
            return _struct(cls, least=least)
        case inspect.VarTupleType(item_type=item):
            return (_value(item, name, least=least),) * (1 if least else 2)
        case inspect.TupleType(item_types=items):
            return tuple(_value(item, name, least=least) for item in items)
        case inspect.UnionType(types=types):
            return _value(next(t for t in types if not isinstance(t, inspect.NoneType)), name, least=least)
    raise AssertionError(f"{name}: no sample of {type_}")
