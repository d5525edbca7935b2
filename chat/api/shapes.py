"""JSON Schema of the types of the API. The one of msgspec cannot write the default of a phrase."""

from __future__ import annotations

import inspect
from typing import Any, Final

from msgspec import NODEFAULT, Struct
from msgspec import inspect as types

from chat.api import calls
from chat.errors import Phrase

Shape = dict[str, Any]

_PLAIN: Final[dict[type, Shape]] = {
    types.NoneType: {"type": "null"},
    types.BoolType: {"type": "boolean"},
    types.FloatType: {"type": "number"},
    types.StrType: {"type": "string"},
    types.DateTimeType: {"type": "string", "format": "date-time"},
    types.BytesType: {"type": "string", "contentEncoding": "base64"},
    types.RawType: {},
}


class Shapes:
    """Shapes of types; `named` has those of structs and enumerations by name, which others refer to."""

    def __init__(self) -> None:
        self.named: dict[str, Shape] = {}

    def of(self, kind: Any) -> Shape:
        return self._of(types.type_info(kind))

    def fields(self, kind: type[Struct]) -> Shape:
        """The object of a struct itself, without a name."""
        info = types.type_info(kind)
        assert isinstance(info, types.StructType), "a struct"
        return self._object(info)

    def _of(self, info: types.Type) -> Shape:
        match info:
            case types.StructType(cls=kind) | types.EnumType(cls=kind):
                if kind.__name__ not in self.named:
                    self.named[kind.__name__] = {}  # for one that has itself in it
                    shape = self._enum(kind) if isinstance(info, types.EnumType) else self._object(info)
                    self.named[kind.__name__] = {"description": inspect.getdoc(kind) or "", **shape}
                return {"$ref": f"#/$defs/{kind.__name__}"}
            case types.CustomType(cls=kind) if kind is Phrase:
                return {"type": "string", "description": "A sentence in English."}
            case types.IntType(ge=least):
                return {"type": "integer"} if least is None else {"type": "integer", "minimum": least}
            case types.VarTupleType(item_type=item) | types.ListType(item_type=item):
                return {"type": "array", "items": self._of(item)}
            case types.DictType(value_type=value):
                return {"type": "object", "additionalProperties": self._of(value)}
            case types.UnionType(types=some):
                return {"anyOf": [self._of(one) for one in some]}
            case types.Metadata(type=inner):
                return self._of(inner)
        return dict(_PLAIN[type(info)])

    def _enum(self, kind: Any) -> Shape:
        return {"enum": [one.value for one in kind]}

    def _object(self, info: Any) -> Shape:
        properties: dict[str, Shape] = {}
        for field in info.fields:
            shape = self._of(field.type)
            if field.default is not NODEFAULT:
                shape = {**shape, "default": calls.plain(field.default)}
            elif field.default_factory is not NODEFAULT:
                shape = {**shape, "default": calls.plain(field.default_factory())}
            properties[field.encode_name] = shape
        required = [field.encode_name for field in info.fields if field.required]
        return {"type": "object", "properties": properties, "required": required}
