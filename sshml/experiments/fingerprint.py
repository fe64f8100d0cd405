"""Which code made a result: a hash of a function and of all that it reaches by name, docstrings left out.

A name leads to its definition, in the file or in one that it is imported from, and on to the names in there; files of
sshml and those in the folder of the function's own file count, installed packages do not. So claims, figures and
plotting are no part of a job's code, as long as the job does not use them. What a file runs beside definitions counts
with whatever is reached in it. Names made up at run time (`getattr` of a text, `importlib`) are not seen.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import re
import sys
import sysconfig
import tokenize
from pathlib import Path

import sshml
from sshml.errors import SSHMLError, flat

NAMED = re.compile(r"(sshml(?:\.\w+)+):(\w+)")
"""A function named in a text, as in `sshml.jobs.Task`."""

HARMLESS = {"dataclass", "dataclasses", "functools", "contextlib", "classmethod", "staticmethod", "property", "abc"}
HARMLESS |= {"njit", "numba", "torch", "np", "numpy"}
"""Decorators (or the modules they come from) that register nothing anywhere."""

INSTALLED = tuple({Path(folder).resolve() for folder in sysconfig.get_paths().values()} - {Path.cwd()})

_codes = {}


def code_of(function):
    """Return a hash (hexadecimal, 16 digits) of the code of a function and of what it reaches.

    Args:
        function: a function of a module or of a file run by `sshml.jobs.load_module`.
    """
    function = inspect.unwrap(function)
    own = str(Path(inspect.getsourcefile(function)).resolve())
    start = (own, function.__qualname__.split(".")[0])
    known = _codes.get(start)
    if known is None or any(_stamp(file) != stamp for file, stamp in known[1].items()):
        seen = _reached(*start)
        texts = sorted(f"{Path(file).name} {name}\n{text}" for (file, name), text in seen.items() if text)
        code = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
        known = _codes[start] = code, {file: _stamp(file) for file, _ in seen}
    return known[0]


def _reached(file, name):
    """Return {(file, name): source} of all that a name reaches; what just runs in a file has the name ""."""
    beside, seen, left = str(Path(file).parent), {}, [(file, name)]
    while left:
        place = left.pop()
        if place not in seen:
            seen[place], reached = _definition(*place, beside, _stamp(place[0]))
            left += reached
    return seen


def _stamp(file):
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return None


@functools.lru_cache(None)
def _definition(file, name, beside, stamp):
    """Return (source of what binds a name in a file, places (file, name) it refers to)."""
    parsed = _File.of(file, stamp)
    if name == "*":
        return "", [(file, each) for each in (*parsed.bound, *parsed.imported)]
    nodes = parsed.bound.get(name, ())
    reached = [(file, "")] if name else []
    if name in parsed.imported:
        reached += _targets(parsed.imported[name], beside)
    elif not nodes:
        reached += [place for module in parsed.stars for place in _targets((module, name), beside)]
    if name == "" and not _is_of_sshml(file):  # a module may be imported for what it does
        for module, attribute in parsed.imported.values():
            reached += [(path, "") for path, _ in _targets((_as_module(module, attribute) or module, ""), beside)]
    for node in nodes:
        reached += _references(parsed, node, beside)
    return "\n".join(ast.unparse(node) for node in nodes), reached


class _File:
    """The top level of a source file.

    `bound` {name: statements}, "" for those that do something; `imported` {name: (module, attribute or None)}; `stars`:
    modules all of whose names are imported. A module is named by its dotted name, or by its path, without the suffix,
    where the import is relative.
    """

    def __init__(self, path):
        with tokenize.open(path) as source:
            tree = _WithoutDocstrings().visit(ast.parse(source.read()))
        self.path, self.bound, self.imported, self.stars = path, {}, {}, []
        for node in tree.body:
            if _is_main(node) or _is_experiment(node):
                continue
            for inner in ast.walk(node) if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) else [node]:
                if isinstance(inner, (ast.Import, ast.ImportFrom)):
                    self.imported |= _imports(inner, path)
                    self.stars += _stars(inner, path)
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                for name in {*_names_bound(node), *([""] if _does_something(node) else [])}:
                    self.bound.setdefault(name, []).append(node)

    @staticmethod
    @functools.lru_cache(None)
    def of(path, stamp):
        """Return the parsed file, anew where it was changed."""
        try:
            return _File(path)
        except (SyntaxError, UnicodeDecodeError, OSError, RecursionError) as error:
            raise SSHMLError(f"{path} could not be read as Python: {flat(error)}.") from None


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
    return isinstance(node, ast.If) and ast.unparse(node.test).replace('"', "'") == "__name__ == '__main__'"


def _is_experiment(node):
    """Return whether a statement is `experiment = ...`, which names jobs, claims and figures alike."""
    return isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["experiment"]


def _does_something(node):
    """Return whether a top-level statement may do more than bind its names."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        roots = {re.match(r"\w*", ast.unparse(decorator))[0] for decorator in node.decorator_list}
        return bool(roots - HARMLESS)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        plain = all(isinstance(t, ast.Name) for t in getattr(node, "targets", [getattr(node, "target", None)]))
        calls = any(isinstance(inner, (ast.Call, ast.NamedExpr)) for inner in ast.walk(node))
        return calls or not plain
    return True


def _names_bound(node):
    """Return the names that a top-level statement binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    stored = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    defined = [n.name for n in ast.walk(node) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return [*stored, *defined]


def _source(node, path):
    """Return the module that an `ImportFrom` names; a path where it is relative."""
    if not node.level:
        return node.module
    folder = Path(path).parents[node.level - 1]
    return str(folder.joinpath(*(node.module or "").split(".")) if node.module else folder)


def _imports(node, path):
    """Return {name: (module, attribute or None)} of an import statement."""
    if isinstance(node, ast.ImportFrom):
        module = _source(node, path)
        return {alias.asname or alias.name: (module, alias.name) for alias in node.names if alias.name != "*"}
    return {
        alias.asname or alias.name.split(".")[0]: (alias.name if alias.asname else alias.name.split(".")[0], None)
        for alias in node.names
    }


def _stars(node, path):
    return [_source(node, path)] if isinstance(node, ast.ImportFrom) and node.names[0].name == "*" else []


def _references(parsed, node, beside):
    """Return the places that a statement refers to: names of its file, imported ones, attributes of modules."""
    imported = dict(parsed.imported)
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Import, ast.ImportFrom)):
            imported |= _imports(inner, parsed.path)
    found, bases = [], set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            path, base = _dotted(inner)
            if path and path[0] in imported:
                inside = _as_module(*imported[path[0]])
                if inside:
                    bases.add(id(base))
                    found += _targets((inside, path[1]), beside, path[2:])
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            if match := NAMED.fullmatch(inner.value):
                found += _targets(match.groups(), beside)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and id(inner) not in bases:
            if inner.id in imported:
                found += _targets(imported[inner.id], beside)
            if inner.id in parsed.bound:
                found.append((parsed.path, inner.id))
            elif inner.id not in imported:
                found += [place for module in parsed.stars for place in _targets((module, inner.id), beside)]
    return found


def _dotted(node):
    """Return (names of a.b.c as a list, its first node), (None, None) where it does not start with a name."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ([node.id, *reversed(names)], node) if isinstance(node, ast.Name) else (None, None)


def _as_module(module, attribute):
    """Return the name of the module that (module, attribute) is, None where it is none, or hidden by another name."""
    if not attribute:
        return module
    whole = f"{module}/{attribute}" if module.startswith("/") else f"{module}.{attribute}"
    if not _path(whole):
        return None
    if door := _path(module):
        parsed = _File.of(door, _stamp(door))
        own = parsed.imported.get(attribute)
        if attribute in parsed.bound or (own and _as_path(own) != _path(whole)):
            return None
    return whole


def _as_path(imported):
    module, attribute = imported
    return _path(f"{module}/{attribute}" if module.startswith("/") else f"{module}.{attribute}") if attribute else None


def _targets(imported, beside, further=()):
    """Return the places that an imported (module, attribute) stands for, if they are ours."""
    module, attribute = imported
    if module == "sshml" and attribute in sshml._HOME:
        module = sshml._HOME[attribute]
    inside = attribute and _as_module(module, attribute)
    if inside:
        return _targets((inside, further[0] if further else None), beside, further[1:])
    file = _path(module)
    if file is None or not _is_ours(file, beside):
        return []
    return [(file, "*" if attribute is None else attribute)]


def _is_of_sshml(file):
    return Path(file).is_relative_to(Path(sshml.__file__).resolve().parent)


@functools.lru_cache(None)
def _is_ours(file, beside):
    """Return whether a file counts as code of a job: of sshml, or beside the job's file and not installed."""
    if _is_of_sshml(file):
        return True
    path = Path(file)
    installed = {"site-packages", "dist-packages"} & set(path.parts) or any(map(path.is_relative_to, INSTALLED))
    return path.is_relative_to(beside) and not installed


def _path(module):
    """Return the source file of a module, by its dotted name or by its path; None for what has no source."""
    if module.startswith("/"):
        found = next((p for p in (Path(f"{module}.py"), Path(module) / "__init__.py") if p.is_file()), None)
        return None if found is None else str(found.resolve())
    known = sys.modules.get(module)
    path = getattr(known, "__file__", None) if known is not None else _found(module)
    return str(Path(path).resolve()) if path and path.endswith(".py") else None


@functools.lru_cache(None)
def _found(module):
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, AttributeError, ValueError):
        return None
    return spec and spec.origin
