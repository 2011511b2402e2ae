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
    """One parsed file, with what its names mean."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name, self.package = path, name, path.name == "__init__.py"
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.definitions: dict[str, list[ast.AST]] = defaultdict(list)
        self.top: list[ast.stmt] = []  # runs on import, defines nothing
        for statement in self.tree.body:
            if isinstance(statement, FUNCTION | ast.ClassDef):
                self.definitions[statement.name].append(statement)
            elif targets_of(statement):
                for name in targets_of(statement):
                    self.definitions[name].append(statement)
            elif not isinstance(statement, ast.Import | ast.ImportFrom):
                self.top.append(statement)

    def imports(self, tree: ast.AST | None = None) -> Iterator[tuple[str, str, str | None]]:
        """Yield (local name, module, name in it or None) of every import, nested ones included."""
        for node in ast.walk(tree or self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    whole = alias.asname or alias.name.split(".")[0]
                    yield whole, alias.name if alias.asname else alias.name.split(".")[0], None
                    if not alias.asname:
                        yield "", alias.name, None
            elif isinstance(node, ast.ImportFrom):
                parts = self.name.split(".")
                base = parts[: len(parts) - node.level + self.package] if node.level else []
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

    def public(self, module: Module) -> Iterator[Symbol]:
        """Yield the public names a file defines, methods among them."""
        for name, nodes in module.definitions.items():
            if name.startswith("_"):
                continue
            yield module.name, name
            for node in nodes:
                if isinstance(node, ast.ClassDef) and not self._foreign(module, node):
                    for part in node.body:
                        if isinstance(part, FUNCTION) and not part.name.startswith("_"):
                            yield module.name, f"{name}.{part.name}"

    def _foreign(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether a class inherits from one of another package, which may call its methods."""
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in {"Protocol", "ABC", "object"}:
                continue
            symbols, _ = self.references(module, [base])
            for place, name in symbols:
                parents = self.modules[place].definitions.get(name, []) if name else []
                if any(
                    isinstance(p, ast.ClassDef) and self._foreign(self.modules[place], p)
                    for p in parents
                ):
                    return True
            if not symbols:
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

        def add(found: tuple[set[Symbol], set[str]]) -> None:
            queue.extend(found[0])
            asked.update(found[1])

        for path in callers:
            outside = Module(path, path.relative_to(self.root).with_suffix("").as_posix())
            add(self.references(outside, [outside.tree]))
        for name in roots:
            add(self.references(self.modules[name], [self.modules[name].tree]))
        for module in self.modules.values():
            add(self.references(module, module.top))
        for name in re.findall(r"\.(\w+)`|(\w+)\(", words):
            mentioned = name[0] or name[1]
            asked.add(mentioned)
            queue.extend(
                (m.name, mentioned) for m in self.modules.values() if mentioned in m.definitions
            )
        while True:
            while queue:
                symbol = queue.pop()
                if symbol in live:
                    continue
                live.add(symbol)
                module = self.modules[symbol[0]]
                add(self.references(module, self._body(module, symbol[1])))
            waiting = [
                s
                for m in self.modules.values()
                for s in self._methods(m)
                if s not in live and (s[0], s[1].split(".")[0]) in live
                if s[1].split(".")[1] in asked
            ]
            if not waiting:
                return live
            queue.extend(waiting)

    def _methods(self, module: Module) -> Iterator[Symbol]:
        return (s for s in self.public(module) if "." in s[1])

    def _body(self, module: Module, name: str) -> list[ast.AST]:
        """The code that using a symbol uses: a class without its public methods, a method alone."""
        if not name:
            return []
        outer, _, inner = name.partition(".")
        methods = {s[1] for s in self._methods(module)}
        found: list[ast.AST] = []
        for node in module.definitions[outer]:
            if isinstance(node, ast.ClassDef):
                parts = [p for p in node.body if isinstance(p, FUNCTION)]
                if inner:
                    found += [p for p in parts if p.name == inner]
                else:
                    found += [*node.bases, *node.keywords, *node.decorator_list]
                    found += [
                        p
                        for p in node.body
                        if not (isinstance(p, FUNCTION) and f"{outer}.{p.name}" in methods)
                    ]
            elif not inner:
                found.append(node)
        return found
