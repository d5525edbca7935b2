"""What is in memory of the database is as new as the last read that put it there.

The database answers in the order of what it was asked. A use case that awaits anything between an answer and
its place in memory may put an older one over a newer one, which nothing corrects afterwards.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.imports import ROOT

MEMORIES = ("book.rows", "book.unread", "book.timers", "book.bots", "keyring.contacts")


def late(source: str) -> list[str]:
    """The assignments of memories (target and line) whose value was read before another await."""
    tree = ast.parse(source)
    return [one for f in ast.walk(tree) if isinstance(f, ast.AsyncFunctionDef) for one in _late_in(f)]


def _nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """In the order of the source, without what is in inner functions."""
    for statement in body:
        stack: list[ast.AST] = [statement]
        while stack:
            node = stack.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            yield node
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _ends(body: list[ast.stmt]) -> bool:
    """Whether what follows a branch does not follow this one."""
    return isinstance(body[-1], ast.Return | ast.Raise)


def _late_in(function: ast.AsyncFunctionDef) -> Iterator[str]:
    nodes = list(_nodes(function.body))
    ends = [node.body for node in nodes if isinstance(node, ast.If | ast.ExceptHandler) and _ends(node.body)]
    elsewhere = {id(node) for body in ends for node in _nodes(body)}
    awaits = [one.lineno for one in nodes if isinstance(one, ast.Await) and id(one) not in elsewhere]
    loops = [node for node in nodes if isinstance(node, ast.For | ast.While | ast.AsyncFor)]
    read = dict[str, int]()  # by name: the line of the await that its value comes of
    for node in nodes:
        if isinstance(node, ast.For):
            value, targets = node.iter, [node.target]
        elif isinstance(node, ast.Assign):
            value, targets = node.value, node.targets
        else:
            continue
        inner = list(ast.walk(value))
        lines = [one.lineno for one in inner if isinstance(one, ast.Await)]
        lines = lines or [read[one.id] for one in inner if isinstance(one, ast.Name) and one.id in read]
        if not lines:
            continue
        since = min(lines)
        for target in targets:
            for one in ast.walk(target):
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                    read[one.id] = since
                if isinstance(one, ast.Subscript) and ast.unparse(one.value).endswith(MEMORIES):
                    between = [at for at in awaits if since < at < one.lineno]
                    again = [
                        at
                        for loop in loops
                        if loop.lineno <= one.lineno <= (loop.end_lineno or 0) and since <= loop.lineno
                        for at in awaits
                        if loop.lineno < at <= (loop.end_lineno or 0)
                    ]
                    if between or again:
                        yield f"{ast.unparse(one)} in line {one.lineno}"


def test_nothing_is_awaited_between_an_answer_of_the_database_and_its_place_in_memory() -> None:
    paths = sorted((ROOT / "chat" / "service").rglob("*.py"))
    found = {path.name: offences for path in paths if (offences := late(path.read_text()))}
    assert not found
    assert any("book.rows[" in path.read_text() for path in paths)  # this test looks where they are


@pytest.mark.parametrize(
    "body",
    [
        "row = await self.read()\n    await self.reload()\n    self._book.rows[person] = row",
        "rows = await read()\n    for row in rows:\n        self._book.rows[1] = row\n        await end()",
        "a, keys = await self.read()\n    b = keys\n    await one()\n    self._keyring.contacts[person] = b",
    ],
)
def test_an_older_answer_over_a_newer_one_is_found(body: str) -> None:
    assert late(f"async def shown(self):\n    {body}\n")
