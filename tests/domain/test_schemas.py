"""The wire for ever: each event has its schema, each schema its goldens, each golden is read and written
back to the same octets (style.md §11)."""

import json
from pathlib import Path

import msgspec
import pytest

from gateway.domain import codec
from gateway.domain.codec import MalformedEvent, UnknownTopic
from gateway.domain.events import EVENT_TYPES
from tests.domain.samples import most
from tests.domain.write_schemas import GOLDENS, SCHEMAS, schema_text

TOPICS = sorted(EVENT_TYPES)
WRITTEN = sorted(GOLDENS.glob("*/*/*.json"))


def topic_of(golden: Path) -> str:
    return "/".join(golden.parent.parts[-2:])


@pytest.mark.parametrize("topic", TOPICS)
def test_the_committed_schema_is_that_of_the_class(topic: str) -> None:
    committed = (SCHEMAS / f"{topic}.json").read_text(encoding="utf-8")
    assert committed == schema_text(codec.schemas()[topic])


def test_every_schema_belongs_to_an_event_that_this_build_reads() -> None:
    committed = {"/".join(file.with_suffix("").parts[-2:]) for file in SCHEMAS.glob("*/*.json")}
    assert committed == set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_event_has_goldens(topic: str) -> None:
    assert {golden.stem for golden in WRITTEN if topic_of(golden) == topic} >= {"most", "least"}


@pytest.mark.parametrize("golden", WRITTEN, ids=lambda golden: "/".join(golden.parts[-3:]))
def test_a_golden_is_read_and_written_back_to_the_same_octets(golden: Path) -> None:
    octets = golden.read_bytes()
    assert codec.encode(codec.decode(topic_of(golden), octets)) == octets


@pytest.mark.parametrize("topic", TOPICS)
def test_a_golden_shows_every_field_of_the_event(topic: str) -> None:
    golden = json.loads((GOLDENS / topic / "most.json").read_bytes())
    assert golden.keys() == msgspec.to_builtins(most(EVENT_TYPES[topic])).keys()
    assert set(golden) == {field.encode_name for field in msgspec.structs.fields(EVENT_TYPES[topic])}


def test_a_topic_of_a_newer_build_is_named() -> None:
    with pytest.raises(UnknownTopic, match=r"mail\.accepted/9"):
        codec.decode("mail.accepted/9", b"{}")


def test_octets_of_another_shape_are_named() -> None:
    with pytest.raises(MalformedEvent, match=r"router\.decided/1: .*missing required field"):
        codec.decode("router.decided/1", b"{}")
