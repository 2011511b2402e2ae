"""Worked answers, read and made from the text between the markers of a chapter's source."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"

MADE = "<answer>"  # the file name of answers that are made here
#: a statement of a cell, with the names that it binds and those that it uses
Statement = tuple[str, set[str], set[str]]
#: an answer in a chapter's source: its indentation (1), the exercise id (2) and the code (3)
REGION = re.compile(
    r"^([ \t]*)### BEGIN SOLUTION (\S+)[^\n]*\n(.*?)^[ \t]*### END SOLUTION[^\n]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)


@cache
def cells_of(chapter: str) -> tuple[str, ...]:
    """Return the code cells of a chapter's source; none where the folder is missing."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in SOLUTIONS.glob(f"{chapter}_*.py"))
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    return tuple(c.partition("\n")[2] for c in cells if not c.startswith(" [markdown]"))


def _cell_of(id: str) -> tuple[int, re.Match[str]]:
    for place, cell in enumerate(cells_of(id.split(".")[0])):
        for match in REGION.finditer(cell):
            if match[2] == id:
                return place, match
    raise LookupError(f"{id}: not found, this copy has no solutions/ folder or the id is wrong")


def worked(id: str) -> str:
    """Return the text between the markers of an exercise, or raise `LookupError`."""
    return textwrap.dedent(_cell_of(id)[1][3]).rstrip()


def make(id: str, name: str, body: str | None = None) -> Any:
    """Return what a chapter calls ``name`` once an exercise is answered.

    Parameters
    ----------
    body : str, optional
        Another answer than the chapter's, not indented; or an edit of it, ``"old => new"``.

    Raises
    ------
    LookupError
        The chapter's source has no such exercise, or its answer not the text to edit.
    """
    old, arrow, new = (body or "").partition(" => ")
    if arrow:
        if old not in worked(id):
            raise LookupError(f"{id}: the answer has no {old!r} to edit")
        body = worked(id).replace(old, new)
    place, match = _cell_of(id)
    cells = list(cells_of(id.split(".")[0])[: place + 1])
    text = match[3] if body is None else textwrap.indent(body.strip("\n") + "\n", match[1])
    cells[-1] = cells[-1][: match.start()] + text
    known: dict[str, Any] = {"__name__": "answer"}
    _bind(name, [s for cell in cells for s in _statements(cell)], known)
    return known[name]


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that top-level code binds or changes, and those it uses.

    What is local to a function or a comprehension is neither: another cell may bind that name.
    """
    bound: set[str] = set()
    used: set[str] = set()

    def visit(scope: symtable.SymbolTable) -> None:
        outside = scope.get_type() == "module"
        for symbol in scope.get_symbols():
            if outside and (symbol.is_assigned() or symbol.is_imported()):
                bound.add(symbol.get_name())
            if symbol.is_referenced() and (outside or symbol.is_global()):
                used.add(symbol.get_name())
        for inner in scope.get_children():
            visit(inner)

    visit(symtable.symtable(source, "cell", "exec"))
    for node in _outside(ast.parse(source)):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            used |= {node.target.id} & bound  # not what is local to a function
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            root: ast.expr = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name):  # x[i] = … and x.a = … change x
                bound.add(root.id)
    return bound, used


def _outside(node: ast.AST) -> Iterator[ast.AST]:
    """Return the nodes of a tree that are not inside of a function."""
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield inner
            yield from _outside(inner)


def python(cell: str) -> str:
    """Return a cell's code without IPython's magic lines."""
    return re.sub(r"^(\s*)[%!].*", r"\1pass", cell, flags=re.MULTILINE)


@cache
def _statements(cell: str) -> list[Statement]:
    texts = [ast.unparse(statement) for statement in ast.parse(python(cell)).body]
    return [(text, *names(text)) for text in texts]


def _bind(name: str, statements: list[Statement], known: dict[str, Any]) -> None:
    """Run what a name needs: the last statement that binds it, and what that one uses."""
    for place in reversed(range(len(statements))):
        text, bound, used = statements[place]
        if name in bound:
            for needed in sorted(used):
                if needed not in known and not hasattr(builtins, needed):
                    _bind(needed, statements[:place], known)
            exec(compile(text, MADE, "exec"), known)
            return
