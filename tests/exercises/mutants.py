"""Mutants of a worked answer: one small change each, as a slip of the finger would make it."""

from __future__ import annotations

import ast
import copy
import difflib
import re
import textwrap
from collections.abc import Callable, Iterator

#: what a slip makes of an operator
SLIPS = {ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt)}
SLIPS |= {ast.GtE: (ast.Gt, ast.LtE), ast.FloorDiv: (ast.Div,), ast.Mod: (ast.FloorDiv,)}
SLIPS |= {ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)}
SLIPS |= {ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.Add: (ast.Sub,), ast.Sub: (ast.Add,)}
SLIPS |= {ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,)}
SLIPS |= {ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,)}
#: calls that guard or change a value and that a learner may leave out
GUARDS = {"maximum", "minimum", "abs", "clip", "sqrt", "log", "exp", "sum", "mean", "len", "where"}


def python_mutants(body: str, parameters: list[str]) -> dict[str, str]:
    """Return the mutants of an answer's body: the changed line -> the whole body."""
    tree = ast.parse("def answer():\n" + textwrap.indent(body, "    "))
    original = _text(tree)
    found: dict[str, str] = {}
    for place, node in enumerate(ast.walk(tree)):
        for change in _changes(node, parameters):
            other = copy.deepcopy(tree)
            changed = next(n for i, n in enumerate(ast.walk(other)) if i == place)
            change(changed)
            text = _text(ast.fix_missing_locations(other))
            if text != original and _compiles(text):
                found.setdefault(_label(original, text), text)
    return found


def _text(tree: ast.Module) -> str:
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    return "\n".join(ast.unparse(statement) for statement in function.body or [ast.Pass()])


def _compiles(text: str) -> bool:
    try:
        compile("def answer():\n" + textwrap.indent(text, "    "), "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _label(original: str, text: str) -> str:
    """Return the changed line of a mutant; for a removed one, the line with a minus."""
    lines = [
        line for line in difflib.ndiff(original.splitlines(), text.splitlines()) if line[0] in "+-"
    ]
    added = [line[2:].strip() for line in lines if line[0] == "+"]
    return " / ".join(added) if added else "- " + " / ".join(line[2:].strip() for line in lines)


Change = Callable[[ast.AST], None]


def _replace(node: ast.AST, other: ast.AST) -> None:
    """Make a node into another one, where it stands."""
    node.__class__ = other.__class__
    node.__dict__.clear()
    node.__dict__.update(other.__dict__)


def _becomes(make: Callable[[ast.AST], ast.AST]) -> Change:
    return lambda node: _replace(node, copy.deepcopy(make(copy.copy(node))))


def _sets(field: str, value: object) -> Change:
    return lambda node: setattr(node, field, value)


def _takes(field: str, place: int) -> Change:
    return lambda node: _replace(node, getattr(node, field)[place])


def _swaps(field: str, first: int, second: int) -> Change:
    def change(node: ast.AST) -> None:
        values = getattr(node, field)
        values[first], values[second] = values[second], values[first]

    return change


def _drops(field: str, place: int) -> Change:
    return lambda node: getattr(node, field).pop(place)


def _moved(node: ast.AST, by: int) -> ast.AST:
    step = ast.Constant(abs(by))
    return ast.BinOp(node, ast.Add() if by > 0 else ast.Sub(), step)  # type: ignore[arg-type]


def _changes(node: ast.AST, parameters: list[str]) -> Iterator[Change]:
    """Return every way in which one node of an answer can be a slip."""
    match node:
        case ast.Constant(value=bool() as value):
            yield _sets("value", not value)
        case ast.Constant(value=int() | float() as value):
            for other in (value + 1, value - 1, 0 if value else 2, -value):
                yield _sets("value", other)
        case ast.Constant(value=str() as value) if value:
            yield _sets("value", value[:-1])
        case ast.UnaryOp(operand=operand) if not isinstance(operand, ast.Constant):
            yield _becomes(lambda n: n.operand)  # type: ignore[attr-defined]
        case ast.Compare(ops=[operator]):
            for kind in SLIPS[type(operator)]:
                yield _sets("ops", [kind()])
        case ast.BinOp(op=ast.MatMult()):
            yield _becomes(lambda n: ast.BinOp(n.right, ast.MatMult(), n.left))  # type: ignore
            yield _sets("op", ast.Mult())
        case ast.BinOp(op=operator):
            for kind in SLIPS.get(type(operator), ()):
                yield _sets("op", kind())
            yield _becomes(lambda n: n.left)  # type: ignore[attr-defined]
            yield _becomes(lambda n: n.right)  # type: ignore[attr-defined]
            if isinstance(operator, ast.Sub | ast.Div | ast.Pow):
                yield _becomes(lambda n: ast.BinOp(n.right, n.op, n.left))  # type: ignore
            if isinstance(operator, ast.Sub):
                absolute = ast.Name("abs", ast.Load())
                yield _becomes(lambda n: ast.Call(absolute, [n], []))  # type: ignore[list-item]
        case ast.BoolOp(values=values):
            yield _sets("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
            for place in range(len(values)):
                yield _takes("values", place)
        case ast.AugAssign(op=operator):
            for kind in SLIPS.get(type(operator), ()):
                yield _sets("op", kind())
            yield _becomes(lambda n: ast.Assign([n.target], n.value, lineno=1))  # type: ignore
        case ast.IfExp() | ast.If(orelse=[_, *_]):
            yield _sets("test", ast.Constant(True))
            yield _sets("test", ast.Constant(False))
        case ast.If() | ast.While():
            yield _sets("test", ast.Constant(False))
            if isinstance(node, ast.If):
                yield _sets("test", ast.Constant(True))
        case ast.comprehension(ifs=[_, *_]):
            yield _drops("ifs", 0)
        case ast.Slice():
            for field in ("lower", "upper"):
                bound = getattr(node, field)
                if bound is not None:
                    yield _sets(field, None)
                    yield _sets(field, _moved(bound, 1))
                    yield _sets(field, _moved(bound, -1))
            if node.step is not None:
                yield _sets("step", None)
        case ast.Tuple(elts=[_, _]) | ast.List(elts=[_, _]) if isinstance(node.ctx, ast.Load):
            yield _swaps("elts", 0, 1)
        case ast.Attribute(attr="T"):
            yield _becomes(lambda n: n.value)  # type: ignore[attr-defined]
        case ast.Call():
            yield from _call_changes(node)
        case ast.Name(id=name, ctx=ast.Load()) if name in parameters:
            for other in parameters:
                if other != name:
                    yield _sets("id", other)
    for field in ("body", "orelse"):
        statements = getattr(node, field, None)
        if isinstance(statements, list):
            for place, statement in enumerate(statements):
                if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr | ast.Break):
                    yield _drops(field, place)


def _call_changes(node: ast.Call) -> Iterator[Change]:
    """Return the slips in a call: arguments in another order or left out, a guard left out."""
    if len(node.args) >= 2:
        yield _swaps("args", 0, 1)
    for place, keyword in enumerate(node.keywords):
        yield _drops("keywords", place)
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant):
            axis = 1 - keyword.value.value  # type: ignore[operator]
            yield lambda n, p=place, a=axis: setattr(n.keywords[p], "value", ast.Constant(a))  # type: ignore
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in GUARDS and node.args:
        for place in range(len(node.args)):
            yield _takes("args", place)
    elif isinstance(node.func, ast.Attribute) and not node.args:
        yield _becomes(lambda n: n.func.value)  # type: ignore[attr-defined]
    if name == "range" and len(node.args) == 1:
        yield lambda n: n.args.__setitem__(0, _moved(n.args[0], -1))  # type: ignore[attr-defined]


def sql_mutants(query: str) -> dict[str, str]:
    """Return the mutants of a query: what was changed -> the query."""
    found: dict[str, str] = {}

    def add(what: str, text: str) -> None:
        if text != query:
            found[what] = text

    def swap(match: re.Match[str], text: str) -> None:
        start, end = match.span()
        add(f"{match[0]} -> {text} at {start}", query[:start] + text + query[end:])

    for match in re.finditer(r"(?<![\w.])\d+(\.\d+)?", query):
        for other in (float(match[0]) * 2, float(match[0]) + 1, 0):
            swap(match, f"{other:g}")
    others = {"<": ("<=", ">"), "<=": ("<",), ">": (">=", "<"), ">=": (">", "=")}
    for match in re.finditer(r"<=|>=|<|>|=", query):
        for other in others.get(match[0], ("<>",)):
            swap(match, other)
    for clause in ("WHERE", "GROUP BY", "HAVING", "ORDER BY"):
        ends = r"(?=\bWHERE|\bGROUP BY|\bHAVING|\bORDER BY|$)"
        add(f"no {clause}", re.sub(rf"\b{clause}\b.*?{ends}", "", query, flags=re.DOTALL))
    for first, second in (
        ("sum(", "count("),
        ("avg(", "sum("),
        ("avg(", "max("),
        (" AND ", " OR "),
    ):
        add(f"{first} -> {second}", query.replace(first, second, 1))
    for match in re.finditer(r"(avg|sum)\(([^()]*)\)", query):
        add(f"round {match[0]}", query.replace(match[0], f"round({match[0]}, 2)", 1))
    add("descending", re.sub(r"ORDER BY (\w+)", r"ORDER BY \1 DESC", query))
    for condition in re.findall(r" AND [^\n]*?(?= ORDER| GROUP|\n|$)", query):
        add(f"without{condition}", query.replace(condition, "", 1))
    return found
