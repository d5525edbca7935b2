"""The shapes of structs as SPEC.md writes them: type and size of each field, from the code's annotations.

Rules: the notation is that of SPEC §3.1; a type that it has no words for fails here: none is left out.
"""

from __future__ import annotations

from typing import Final

from msgspec import inspect

from protocol.codec import Wire

Range = tuple[int, int]
Field = tuple[str, str, str]
"""Name, type and encoded size in bytes, as the cells of a field table."""

_UNSIGNED: Final = {2**bits - 1: f"u{bits}" for bits in (8, 16, 32, 48, 53)}


def fields(struct: type[Wire]) -> list[Field]:
    """The fields of a struct in their order."""
    return [(field.name, *_cells(field.type)) for field in _shape(struct).fields]


def struct_size(struct: type[Wire]) -> Range:
    """The least and the most bytes of a struct's encoding."""
    return _struct_size(_shape(struct))


def _cells(kind: inspect.Type) -> tuple[str, str]:
    written = _type(kind)
    return written, "fixed" if written in ("text", "int") else _span(*_size(kind))


def number(struct: type[Wire]) -> int | None:
    """The number that begins the struct's encoding, if it has one."""
    tag = _shape(struct).tag
    return tag if isinstance(tag, int) else None


def _shape(struct: type[Wire]) -> inspect.StructType:
    shape = inspect.type_info(struct)
    assert isinstance(shape, inspect.StructType)
    return shape


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}..{most}"


def _type(kind: inspect.Type) -> str:
    match kind:
        case inspect.BytesType():
            return f"bytes({_span(*_lengths(kind))})"
        case inspect.StrType():
            return f"text({_span(*_lengths(kind))})" if kind.max_length else "text"
        case inspect.IntType():
            return _integer(kind)
        case inspect.BoolType():
            return "bool"
        case inspect.ListType():
            return f"list({_span(*_lengths(kind))}) of {_type(kind.item_type)}"
        case inspect.StructType():
            return kind.cls.__name__
    raise AssertionError(f"SPEC §3.1 has no notation for {kind}")


def _integer(kind: inspect.IntType) -> str:
    if kind.ge == 0 and kind.le in _UNSIGNED:
        return _UNSIGNED[kind.le]
    return "int" if kind.le is None else f"int({kind.ge}..{kind.le})"


def _lengths(kind: inspect.BytesType | inspect.StrType | inspect.ListType) -> Range:
    return kind.min_length or 0, kind.max_length or 0


# --- Sizes of MessagePack encodings ---


def _size(kind: inspect.Type) -> Range:
    match kind:
        case inspect.BytesType():
            least, most = _lengths(kind)
            return _bytes_size(least), _bytes_size(most)
        case inspect.StrType():
            least, most = _lengths(kind)
            return _text_size(least), _text_size(4 * most)
        case inspect.IntType():
            return _integer_size(kind.ge or 0), _integer_size(kind.le or 0)
        case inspect.BoolType():
            return 1, 1
        case inspect.ListType():
            return _list_size(kind)
        case inspect.StructType():
            return _struct_size(kind)
    raise AssertionError(f"SPEC §3.3 has no encoding for {kind}")


def _bytes_size(size: int) -> int:
    return size + (2 if size < 2**8 else 3 if size < 2**16 else 5)


def _text_size(size: int) -> int:
    return size + (1 if size < 2**5 else 2 if size < 2**8 else 3 if size < 2**16 else 5)


def _integer_size(value: int) -> int:
    return 1 if value < 2**7 else 2 if value < 2**8 else 3 if value < 2**16 else 5 if value < 2**32 else 9


def _array_size(elements: int) -> int:
    return 1 if elements < 2**4 else 3


def _list_size(kind: inspect.ListType) -> Range:
    item, (least, most) = _size(kind.item_type), _lengths(kind)
    return _array_size(least) + least * item[0], _array_size(most) + most * item[1]


def _struct_size(kind: inspect.StructType) -> Range:
    sizes = [_size(field.type) for field in kind.fields]
    head = _array_size(len(sizes)) if kind.tag is None else _array_size(len(sizes) + 1) + 1
    return head + sum(least for least, _ in sizes), head + sum(most for _, most in sizes)
