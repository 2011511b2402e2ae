"""The cells that an exercise needs: a backward slice through a chapter.

The wrong build of a chapter must run its exercises, not train its models
again; which cells those are follows from the names that cells bind and use.
"""

from __future__ import annotations

import ast
import re
import symtable

from nbformat import NotebookNode

CHECK = re.compile(r"\.(check|ask)\(")


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names a cell's code binds or changes, and those it uses.

    What is local to a function or a comprehension is neither: ``item`` as a
    parameter here must not keep a cell that happens to bind an ``item``.
    """
    code = "\n".join("pass" if re.match(r"\s*[%!]", line) else line for line in source.split("\n"))
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

    visit(symtable.symtable(code, "cell", "exec"))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            root: ast.expr = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name):  # x[i] = … and x.a = … change x
                bound.add(root.id)
    return bound, used


def exercise_slice(notebook: NotebookNode) -> NotebookNode:
    """Drop every code cell on which no check depends; change the notebook in place.

    A cell is kept when it checks an exercise, when it binds a name that a
    later kept cell uses, or when it changes the path or the environment.
    """
    needed: set[str] = set()
    kept = []
    for cell in reversed(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        bound, used = names(cell.source)
        if (
            CHECK.search(cell.source)
            or bound & needed
            or re.search(r"sys\.path|environ", cell.source)
        ):
            needed |= used | bound
            kept.append(cell)
    notebook.cells = kept[::-1]
    return notebook
