"""The published schema of the API, and its reference in docs/api.md, from the type hints.

`python -m chat.api.reference` writes both into docs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from chat.api import calls, scopes
from chat.api.calls import CODES, EVENTS, LEFT_OUT, METHODS
from chat.api.shapes import Shapes
from chat.interface import ClientRights, Event

DOCS: Final = Path(__file__).parents[2] / "docs"
SCHEMA: Final = DOCS / "api.schema.json"
REFERENCE: Final = DOCS / "api.md"
BEGINS: Final = "<!-- From here on `python -m chat.api.reference` writes this file. -->"
_NAMES: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "null"}


def schema() -> dict[str, Any]:
    """A JSON Schema (2020-12): `$defs`, and under `methods` and `events` what each has in it."""
    shapes = Shapes()
    methods = {
        name: {"params": shapes.fields(method.params), "result": shapes.of(method.returns)}
        for name, method in METHODS.items()
    }
    events = {name: shapes.of(kind) for name, kind in EVENTS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The API of Parlour",
        "version": calls.VERSION,
        "methods": methods,
        "events": events,
        "errors": CODES,
        "$defs": dict(sorted(shapes.named.items())),
    }


def reference() -> str:
    """What follows BEGINS in docs/api.md."""
    parts = schema()
    return "\n".join((*_methods(parts), *_left_out(), *_events(parts), *_errors(), *_types(parts), ""))


def _methods(parts: dict[str, Any]) -> Iterator[str]:
    yield "\n## Methods\n"
    yield "What has `=` may be left out. *all*, *read* and *send*: the rights of a token that allow it."
    for name, method in METHODS.items():
        rights = [right.value for right in ClientRights if name in scopes.MAY[right]]
        yield f"\n### {name}\n"
        shape = parts["methods"][name]
        yield f"`{name}({_fields(shape['params'])})` → {_kind(shape['result'])}" + (
            f" · {', '.join(f'*{one}*' for one in rights)}" if rights else ""
        )
        yield f"\n{method.about}"


def _left_out() -> Iterator[str]:
    yield "\n## What is left out\n"
    yield "These calls of the program are no methods:\n"
    yield "| call | because |\n| --- | --- |"
    for name, reason in LEFT_OUT.items():
        yield f"| `{name}` | {reason} |"
    unsent = ", ".join(f"`{kind.__name__}`" for kind in calls.UNSENT)
    yield f"\n{unsent} are no events here: content that came late is an `EntryAdded`."


def _events(parts: dict[str, Any]) -> Iterator[str]:
    yield "\n## Events\n"
    lasting = ", ".join(f"`{kind.__name__}`" for kind in calls.LASTING)
    whole = "a `FileProgress` that says that all of a file came"
    yield f"{lasting} have a position, and {whole}. All others go to the programs that are there."
    for name in EVENTS:
        shape = parts["$defs"][name]
        yield f"\n### {name}\n\n`{{{_fields(shape)}}}`\n\n{shape['description']}"


def _errors() -> Iterator[str]:
    yield "\n## Errors\n"
    yield "Those of JSON-RPC, and these, whose `data.kind` is the name:\n"
    yield "| code | kind |\n| --- | --- |"
    for name, code in CODES.items():
        yield f"| {code} | `{name}` |"


def _types(parts: dict[str, Any]) -> Iterator[str]:
    yield "\n## Types"
    events = {kind.__name__ for kind in get_args(Event)}
    for name, shape in parts["$defs"].items():
        if name in events:
            continue
        if "enum" in shape:
            values = " \\| ".join(f"`{json.dumps(one)}`" for one in shape["enum"])
            yield f"\n### {name}\n\n{values}\n\n{shape.get('description', '')}"
        else:
            yield f"\n### {name}\n\n`{{{_fields(shape)}}}`\n\n{shape.get('description', '')}"


def _fields(shape: dict[str, Any]) -> str:
    needed = shape.get("required", ())
    return ", ".join(
        f"{name}: {_plain(one)}" + ("" if name in needed else f" = {json.dumps(one.get('default'))}")
        for name, one in shape.get("properties", {}).items()
    )


def _kind(shape: dict[str, Any]) -> str:
    plain = _plain(shape)
    return re.sub(r"[A-Z]\w+", lambda found: f"[{found[0]}](#{found[0].lower()})", plain)


def _plain(shape: dict[str, Any]) -> str:
    """A type as Python writes it."""
    if "$ref" in shape:
        return str(shape["$ref"]).rpartition("/")[2]
    if "anyOf" in shape:
        return " | ".join(_plain(one) for one in shape["anyOf"])
    if shape.get("type") == "array":
        return f"list[{_plain(shape['items'])}]"
    if shape.get("type") == "object":
        return f"dict[str, {_plain(shape['additionalProperties'])}]"
    if "contentEncoding" in shape:
        return "base64"
    return "time" if shape.get("format") == "date-time" else _NAMES[shape["type"]]


def schema_text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def reference_text(before: str) -> str:
    """The whole file: what a person wrote before BEGINS stays."""
    return before.partition(BEGINS)[0] + BEGINS + "\n" + reference()


def main() -> None:
    SCHEMA.write_text(schema_text(), "utf-8")
    REFERENCE.write_text(reference_text(REFERENCE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
