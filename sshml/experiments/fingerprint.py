"""Which code made a result: a hash of a function and of all that it reaches by name, docstrings left out.

A name leads to its definition, in the file or in one that it is imported from, and on to the names in there; files of
sshml and those beside the function's own file count. So claims, figures and plotting are no part of a job's code, as
long as the job does not use them.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import sshml

NAMED = re.compile(r"(sshml(?:\.\w+)+):(\w+)")
"""A function named in a text, as in `sshml.jobs.Task`."""


def code_of(function):
    """Return a hash (hexadecimal, 16 digits) of the code of a function and of what it reaches.

    Args:
        function: a function of a module or of a file run by `sshml.jobs.load_module`.
    """
    own = inspect.getsourcefile(function)
    start = (own, function.__qualname__.split(".")[0])
    seen, left = {}, [start]
    while left:
        place = left.pop()
        if place not in seen and place[0] is not None:
            text, reached = _definition(*place, str(Path(own).parent), _stamp(place[0]))
            seen[place] = text
            left += reached
    texts = sorted(f"{Path(file).name} {name}\n{text}" for (file, name), text in seen.items())
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _stamp(file):
    return Path(file).stat().st_mtime_ns


@functools.lru_cache(None)
def _definition(file, name, beside, stamp):
    """Return (source of what binds a name in a file, places (file, name) it refers to); the name "" is what just runs.

    A name that the file imports has no source here and refers to where it comes from.
    """
    parsed = _File.of(file, stamp)
    if name == "*":
        return "", [(file, each) for each in (*parsed.bound, *parsed.imported)]
    if name in parsed.imported:
        return "", _targets(parsed.imported[name], beside)
    nodes = parsed.bound.get(name, ())
    reached = [(file, "")] if name else []
    for node in nodes:
        reached += _references(parsed, node, beside)
    return "\n".join(ast.unparse(node) for node in nodes), reached


class _File:
    """The top level of a source file: `bound` {name: statements}, `imported` {name: (module, attribute or None)}."""

    def __init__(self, path):
        tree = _WithoutDocstrings().visit(ast.parse(Path(path).read_text(encoding="utf-8")))
        self.path, self.bound, self.imported = path, {}, {}
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.imported |= _imports(node)
            elif not _is_main(node):
                for name in _names_bound(node) or [""]:
                    self.bound.setdefault(name, []).append(node)
                for inner in ast.walk(node) if isinstance(node, (ast.If, ast.Try)) else ():
                    if isinstance(inner, (ast.Import, ast.ImportFrom)):
                        self.imported |= _imports(inner)

    @staticmethod
    @functools.lru_cache(None)
    def of(path, stamp):
        """Return the parsed file, anew where it was changed."""
        return _File(path)


class _WithoutDocstrings(ast.NodeTransformer):
    """Remove every statement that is a text alone."""

    def generic_visit(self, node):
        super().generic_visit(node)
        if isinstance(getattr(node, "body", None), list) and not node.body:
            node.body = [ast.Pass()]
        return node

    def visit_Expr(self, node):
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)


def _is_main(node):
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _names_bound(node):
    """Return the names that a top-level statement binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    stored = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    defined = [n.name for n in ast.walk(node) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return [*stored, *defined]


def _imports(node):
    """Return {name: (module, attribute or None)} of an import statement."""
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    return {
        alias.asname or alias.name.split(".")[0]: (alias.name if alias.asname else alias.name.split(".")[0], None)
        for alias in node.names
    }


def _references(parsed, node, beside):
    """Return the places that a statement refers to: names of its file, imported ones, attributes of modules."""
    imported = dict(parsed.imported)
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Import, ast.ImportFrom)):
            imported |= _imports(inner)
    found, bases = [], set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            path = _dotted(inner)
            if path and path[0] in imported:
                module, attribute = imported[path[0]]
                inside = _as_module(module, attribute)
                if inside:
                    bases.add(path[0])
                    found += _targets((inside, path[1]), beside, path[2:])
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            if match := NAMED.fullmatch(inner.value):
                found += _targets(match.groups(), beside)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id not in bases:
            if inner.id in imported:
                found += _targets(imported[inner.id], beside)
            elif inner.id in parsed.bound:
                found.append((parsed.path, inner.id))
    return found


def _dotted(node):
    """Return the names of a.b.c as a list, None where it starts with something else than a name."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


def _as_module(module, attribute):
    """Return the name of the module that (module, attribute) is, None where it is none, or hidden by another name."""
    if attribute is None:
        return module
    whole = f"{module}.{attribute}"
    if not _path(module) or not _path(whole):
        return None
    parsed = _File.of(_path(module), _stamp(_path(module)))
    hidden = attribute in parsed.bound or parsed.imported.get(attribute, (module, attribute)) != (module, attribute)
    return None if hidden else whole


def _targets(imported, beside, further=()):
    """Return the places that an imported (module, attribute) stands for, if they are ours."""
    module, attribute = imported
    if module == "sshml" and attribute in sshml._HOME:
        module = sshml._HOME[attribute]
    file = _path(module)
    if file is None or not (module.split(".")[0] == "sshml" or Path(file).is_relative_to(beside)):
        return []
    inside = attribute and _as_module(module, attribute)
    if inside:
        return _targets((inside, further[0] if further else None), beside, further[1:])
    return [(file, attribute or "*")]


@functools.lru_cache(None)
def _path(module):
    """Return the source file of a module, None for what is no module or has no source."""
    known = sys.modules.get(module)
    if known is not None:
        path = getattr(known, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, AttributeError, ValueError):
            return None
        path = spec and spec.origin
    return path if path and path.endswith(".py") else None
