"""The cells that an exercise needs: a backward slice through a chapter.

The wrong build of a chapter must run its exercises, not train its models
again; which cells those are follows from the names that cells bind and use.
"""

from __future__ import annotations

import ast
import re

from nbformat import NotebookNode

CHECK = re.compile(r"\.(check|ask)\(")


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names a cell's code binds or changes, and those it uses."""
    code = "\n".join("pass" if re.match(r"\s*[%!]", line) else line for line in source.split("\n"))
    bound: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
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
        if CHECK.search(cell.source) or bound & needed or re.search(r"sys\.path|environ", cell.source):
            needed |= used | bound
            kept.append(cell)
    notebook.cells = kept[::-1]
    return notebook
