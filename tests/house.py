"""Static index of `helpers`: which file imports which, and which public names something uses."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

Symbol = tuple[str, str]  # module and name; "Class.method" for a method, "" for the module itself
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def targets_of(statement: ast.stmt) -> list[str]:
    """Names that a module-level assignment sets."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return []
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]


class Module:
    """One parsed file: what it defines, what it imports, and what runs on import."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.definitions: dict[str, list[ast.AST]] = defaultdict(list)  # "Class.method", too
        self.bases: dict[str, list[ast.expr]] = {}  # of each class
        self.top: list[ast.AST] = []  # runs on import, defines nothing
        for statement in self.tree.body:
            if isinstance(statement, ast.ClassDef):
                self._add_class(statement)
            elif isinstance(statement, FUNCTION):
                self.definitions[statement.name].append(statement)
            elif names := targets_of(statement):
                for target in names:
                    self.definitions[target].append(statement)
            elif not isinstance(statement, ast.Import | ast.ImportFrom):
                self.top.append(statement)

    def _add_class(self, node: ast.ClassDef) -> None:
        self.bases[node.name] = node.bases
        self.definitions[node.name] += [*node.bases, *node.keywords, *node.decorator_list]
        for part in node.body:
            method = isinstance(part, FUNCTION) and not part.name.startswith("_")
            self.definitions[f"{node.name}.{part.name}" if method else node.name].append(part)

    def imports(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield (local name, module, name in it or None) of every import, nested ones included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    yield (alias.asname, alias.name, None) if alias.asname else (first, first, None)
                    yield "", alias.name, None
            elif isinstance(node, ast.ImportFrom):
                parts = self.name.split(".")
                keep = len(parts) - node.level + (self.path.name == "__init__.py")
                base = parts[:keep] if node.level else []
                module = ".".join([*base, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield alias.asname or alias.name, module, alias.name

    @cached_property
    def bindings(self) -> dict[str, tuple[str, str | None]]:
        """What each imported name means anywhere in this file."""
        return {local: (module, name) for local, module, name in self.imports() if local}


class House:
    """All files of a package, and the files outside it that call it."""

    def __init__(self, root: Path, package: str = "helpers") -> None:
        self.root, self.package = root, package
        self.modules: dict[str, Module] = {}
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = Module(path, name)

    def file_of(self, module: str, name: str | None) -> str | None:
        """The file that an import of ``name`` from ``module`` runs; None outside the package."""
        whole = f"{module}.{name}"
        return next((m for m in (whole, module) if m in self.modules), None)

    def resolve(self, module: str, name: str | None, depth: int = 9) -> Symbol | None:
        """Follow re-exports to where a name is defined; the module itself where it is one."""
        if name is None:
            return (module, "") if module in self.modules else None
        home = self.modules.get(module)
        if home is None or not depth:
            return None
        if name in home.definitions:
            return module, name
        if name in home.bindings and home.bindings[name] != (module, name):
            return self.resolve(*home.bindings[name], depth - 1)
        return (f"{module}.{name}", "") if f"{module}.{name}" in self.modules else None

    def import_graph(self) -> dict[str, set[str]]:
        """Which files each file imports: inside functions, and for type checking, too."""
        graph = {}
        for module in self.modules.values():
            found = {self.file_of(source, name) for _, source, name in module.imports()}
            graph[module.name] = {f for f in found if f} - {module.name}
        return graph

    def references(self, module: Module, trees: list[ast.AST]) -> tuple[set[Symbol], set[str]]:
        """Symbols of the package that code refers to, and the names of attributes it asks for."""
        symbols: set[Symbol] = set()
        attributes: set[str] = set()

        def meaning(node: ast.AST) -> Symbol | None:
            if isinstance(node, ast.Name):
                if node.id in module.definitions and module.name in self.modules:
                    return module.name, node.id
                if node.id in module.bindings:
                    return self.resolve(*module.bindings[node.id])
                return None
            if isinstance(node, ast.Attribute):
                left = meaning(node.value)
                if left and not left[1]:
                    return self.resolve(left[0], node.attr)
            return None

        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute):
                    attributes.add(node.attr)
                if isinstance(node, ast.Name | ast.Attribute) and (found := meaning(node)):
                    symbols.add(found)
                if isinstance(node, ast.Constant) and node.value in self.modules:
                    symbols.add((str(node.value), ""))  # python -m helpers.room.file
        return symbols, attributes

    def public(self, module: Module) -> set[Symbol]:
        """The public names that a file defines, methods among them."""
        return {(module.name, name) for name in module.definitions if not name.startswith("_")}

    def _foreign(self, place: str, name: str) -> bool:
        """Whether a class inherits from one of another package, which may call its methods."""
        module = self.modules[place]
        for base in module.bases.get(name, []):
            symbols, _ = self.references(module, [base])
            ours = isinstance(base, ast.Name) and base.id in {"Protocol", "ABC"}
            if not ours and (not symbols or any(self._foreign(*symbol) for symbol in symbols)):
                return True
        return False

    def used(
        self, callers: list[Path], words: str, roots: set[str], awaited: set[Symbol]
    ) -> set[Symbol]:
        """Every symbol that callers, or something that they use, refer to.

        ``words`` is text in which a dotted name or a call counts; ``roots`` are modules of the
        package whose whole code is a caller.
        """
        live: set[Symbol] = set()
        asked: set[str] = set()
        queue: list[Symbol] = sorted(awaited)

        def add(module: Module, trees: list[ast.AST]) -> None:
            symbols, attributes = self.references(module, trees)
            queue.extend(symbols)
            asked.update(attributes)

        for path in callers:
            outside = Module(path, path.stem)
            add(outside, [outside.tree])
        for module in self.modules.values():
            add(module, [module.tree] if module.name in roots else module.top)
        for mentioned in {a or b for a, b in re.findall(r"\.(\w+)`|(\w+)\(", words)}:
            asked.add(mentioned)
            queue += [
                (m.name, mentioned) for m in self.modules.values() if mentioned in m.definitions
            ]
        while queue:
            symbol = queue.pop()
            if symbol not in live:
                live.add(symbol)
                module = self.modules[symbol[0]]
                add(module, module.definitions.get(symbol[1], []))
            if not queue:  # methods that something asks for, of classes that something uses
                queue += [s for s in self._methods() - live if self._asked(s, live, asked)]
        return live

    def _methods(self) -> set[Symbol]:
        return {s for m in self.modules.values() for s in self.public(m) if "." in s[1]}

    def _asked(self, method: Symbol, live: set[Symbol], asked: set[str]) -> bool:
        owner, _, name = method[1].partition(".")
        return (method[0], owner) in live and (name in asked or self._foreign(method[0], owner))
