"""Write schemas/events/ as the event classes are now, and goldens of what has none yet.

A golden that exists is never touched: what was written once is read by every build after it. Until 1.0 a
shape may still change in place; then its golden is removed by hand, written anew, and read before commit.
"""

import json
from pathlib import Path

from gateway.domain import codec
from gateway.domain.events import EVENT_TYPES
from tests.domain.samples import least, most

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "schemas" / "events"
GOLDENS = ROOT / "tests" / "golden" / "events"


def schema_text(schema: object) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def main() -> None:
    for topic, schema in codec.schemas().items():
        file = SCHEMAS / f"{topic}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(schema_text(schema), encoding="utf-8")
    for topic, kind in EVENT_TYPES.items():
        for name, event in (("most", most(kind)), ("least", least(kind))):
            golden = GOLDENS / topic / f"{name}.json"
            if not golden.exists():
                golden.parent.mkdir(parents=True, exist_ok=True)
                golden.write_bytes(codec.encode(event))


if __name__ == "__main__":
    main()
