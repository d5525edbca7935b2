"""Any value of a type that is encoded: a Hypothesis strategy from the type and its bounds."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import inspect

from chat.errors import Phrase

LIST_MOST: Final = 3
TEXT_MOST: Final = 300
_TEXTS: Final = st.text(max_size=20)
_VALUES: Final[st.SearchStrategy[Any]] = _TEXTS | st.integers(-(2**53), 2**53)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a struct, a dataclass or an annotated type."""
    return _of(inspect.type_info(kind))


def _of(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType(cls=made, fields=fields) | inspect.DataclassType(cls=made, fields=fields):
            return st.builds(made, **{field.name: _of(field.type) for field in fields})
        case inspect.UnionType(types=types):
            return st.one_of(*map(_of, types))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            most = min(LIST_MOST, info.max_length or LIST_MOST)
            drawn = st.lists(_of(item), min_size=info.min_length or 0, max_size=most)
            return drawn if isinstance(info, inspect.ListType) else drawn.map(tuple)
        case inspect.CustomType(cls=made) if made is Phrase:
            return st.recursive(_phrases(_VALUES), lambda said: _phrases(_VALUES | said), max_leaves=2)
        case inspect.EnumType(cls=made):
            return st.sampled_from(list(made))
        case _:
            return _plain(info)


def _phrases(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Phrase]:
    return st.builds(Phrase, _TEXTS, _TEXTS, st.dictionaries(_TEXTS, values, max_size=LIST_MOST))


def _plain(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.BytesType(min_length=least, max_length=most):
            return st.binary(min_size=least or 0, max_size=max(least or 0, min(most or TEXT_MOST, TEXT_MOST)))
        case inspect.StrType(min_length=least, max_length=most):
            return st.text(min_size=least or 0, max_size=min(most or TEXT_MOST, TEXT_MOST))
        case inspect.IntType(ge=least, le=most):
            return st.integers(-(2**53) if least is None else least, 2**53 if most is None else most)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)  # JSON has neither
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.DateTimeType():
            return st.datetimes(timezones=st.just(UTC))
    raise TypeError(f"no values are drawn of {info}")
