"""Change single lines of the package and see whether the tests of their own room notice; run by hand.

python tests/mutate.py --count 60 --seed 1 --jobs 2

Lines are drawn by seed, so many from each room, from within functions; errors' texts, docstrings, what only draws, and
sizes of buffers are left alone. Each change is tried in a copy of the tree: first by the test file that mirrors the
module, then by all tests of its room. A change that only makes something slower or larger cannot be noticed; look at
each that was not.
"""

import argparse
import ast
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("chain", "dataset", "classifier", "compression", "analysis", "experiments", "cli", ".")
SWAPS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.Pow: "*",
    ast.And: "or",
    ast.Or: "and",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}


DRAWS = ("ax.", "axes[", "figure", "ticks", "COLORS", "print_table(")
"""In lines that only draw."""

IDLE = {"strict", "sort_keys", "exist_ok", "parents", "missing_ok", "ignore_errors"}
"""Options of calls that guard against what does not happen, or order what has no order."""

SIZES = {"max", "empty", "zeros"}
"""Calls whose whole numbers are sizes of buffers and blocks, at least so many."""


EQUAL = {
    "size, largest, peak, norm = 0.0, 0.0, 0, 0.0": "any component can be the first, up to underflow",
    "about = np.int64((2046 - (np.float64(half).view(np.int64) >> 52)) << 52).view(np.float64)  # 1 / half, up to 2": (
        "a scale, good to a factor"
    ),
    "weight = torch.linspace(-1, 1, y[0].numel(), dtype=y.dtype, device=y.device).view(y[0].shape)": "any would do",
    "factory=functools.partial(copy.deepcopy, models[0]),": "a module of the architecture; its weights are replaced",
    "rows = max(1, BLOCK // (len(u) * problem.shape[0]))": "size of a block",
    "order = part.weight.flatten(1).abs().argsort(dim=1, descending=True, stable=True)": "of equal weights",
    "for _ in range(60):": "steps of a bisection that has ended",
    "sign[sign == 0] = 1": "a product of floats that is exactly 0",
    "tried[X, at] = 0.5 * (a + b) if b < 4.0 * a or a <= 0.0 else np.sqrt(a) * np.sqrt(b)": "where a search starts",
    "return np.rint(angles.sum(axis=1) / (2 * np.pi)).astype(np.int8), s[:, -1] <= EQUAL * s[:, 0]": "equal to a bit",
    "with ThreadPoolExecutor(1) as thread:": "one group is asked for at a time",
    "generator = torch.Generator().manual_seed(0)": "any would do",
    "return np.array([gaussian_entropy(*s) for s in sides]), "
    "np.array([gaussian_spread(*s, draws=50) for s in sides])": "one weight more or less",
    'if network == "small" and method in PUBLISHED_TIMES:': "draws",
    "found = measure(trained, dataset, layer_of(layer), vectors=1)": "more vectors than are shown",
}
"""Lines whose change, as it was drawn, changes no result, and why; they are not drawn again."""


class Sites(ast.NodeVisitor):
    """Collect (line, first column, last column, new text) of what can be changed within functions."""

    def __init__(self, source):
        self.lines, self.found, self.depth = source.splitlines(), [], 0

    def visit_FunctionDef(self, node):
        self.depth += 1
        for statement in node.body:
            self.visit(statement)
        self.depth -= 1

    def visit_Raise(self, node):
        pass

    def visit_JoinedStr(self, node):
        pass

    def visit_Call(self, node):
        self.visit(node.func)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        for part in node.args:
            if not (name in SIZES and isinstance(part, (ast.Constant, ast.Tuple))):
                self.visit(part)
        for keyword in node.keywords:
            if keyword.arg not in IDLE:
                self.visit(keyword.value)

    def _between(self, left, right, operator):
        if self.depth and type(operator) in SWAPS and left.end_lineno == right.lineno:
            self.found.append((left.end_lineno, left.end_col_offset, right.col_offset, SWAPS[type(operator)]))

    def visit_Compare(self, node):
        self._between(node.left, node.comparators[0], node.ops[0])
        self.generic_visit(node)

    def visit_BinOp(self, node):
        self._between(node.left, node.right, node.op)
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        self._between(node.values[0], node.values[1], node.op)
        self.generic_visit(node)

    def visit_UnaryOp(self, node):
        if self.depth and isinstance(node.op, (ast.Not, ast.USub)) and node.lineno == node.operand.lineno:
            self.found.append((node.lineno, node.col_offset, node.operand.col_offset, ""))
        self.generic_visit(node)

    def visit_Constant(self, node):
        if self.depth and type(node.value) in (int, float, bool):
            new = not node.value if isinstance(node.value, bool) else node.value + 1
            self.found.append((node.lineno, node.col_offset, node.end_col_offset, repr(new)))

    def visit_Expr(self, node):
        if self.depth and isinstance(node.value, ast.Call) and node.lineno == node.end_lineno:
            self.found.append((node.lineno, node.col_offset, node.end_col_offset, "pass"))
        self.generic_visit(node)


def changed(line, start, end, new):
    """Return a line (bytes) with a change, keeping what stands between operands beside the operator, as brackets."""
    old = line[start:end].decode()
    if not new or not old.strip() or new in ("pass", "True", "False") or new[0].isdigit():
        return line[:start] + new.encode() + line[end:]
    words = sorted(
        {"<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "**", "and", "or", "in", "not in", "is", "is not"}
    )
    word = max((w for w in words if w in old), key=len)
    return line[:start] + old.replace(word, f" {new} ").encode() + line[end:]


def mutants(room, count, seed):
    """Return [(path, line number, old line, new line)], at most one of a line."""
    everything = []
    for path in sorted((ROOT / "sshml" / room).glob("*.py")):
        source = path.read_text(encoding="utf-8")
        sites = Sites(source)
        sites.visit(ast.parse(source))
        lines = source.encode().splitlines()
        for number, start, end, new in sites.found:
            text = changed(lines[number - 1], start, end, new)
            if text != lines[number - 1] and not any(word.encode() in lines[number - 1] for word in DRAWS):
                everything.append((path.relative_to(ROOT), number, lines[number - 1].decode(), text.decode()))
    random.Random(f"{seed} {room}").shuffle(everything)
    seen, found = set(), []
    for mutant in everything:
        if mutant[:2] not in seen and len(found) < count and mutant[2].strip() not in EQUAL:
            seen.add(mutant[:2])
            found.append(mutant)
    return found


def is_noticed(tree, mutant, limit):
    """Return by what a change is noticed, "" by nothing."""
    path, number, _, new = mutant
    target, original = tree / path, (tree / path).read_bytes()
    lines = original.splitlines(keepends=True)
    lines[number - 1] = new.encode() + b"\n"
    target.write_bytes(b"".join(lines))
    room = path.parts[1] if len(path.parts) > 2 else ""
    mirror = Path("tests") / room / f"test_{path.stem}.py"
    whole = (
        [f"tests/{room}"] if room else [str(p.relative_to(tree)) for p in sorted((tree / "tests").glob("test_*.py"))]
    )
    try:
        for tests in ([str(mirror)] if (tree / mirror).exists() else [], whole):
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
            if tests:
                environment = {
                    "PYTHONPATH": str(tree),
                    "PATH": "/usr/bin:/bin",
                    "HOME": str(tree),
                    "OMP_NUM_THREADS": "1",
                }
                try:
                    code = subprocess.run(
                        command, cwd=tree, env=environment, capture_output=True, timeout=limit
                    ).returncode
                except subprocess.TimeoutExpired:
                    return "time"
                if code:
                    return "its file" if tests != whole else "its room"
        return ""
    finally:
        target.write_bytes(original)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=600, help="seconds of a room's tests")
    parser.add_argument("--only", nargs="*", help="FILE:LINE of those to try again")
    arguments = parser.parse_args()
    each = -(-arguments.count // len(ROOMS))
    found = [mutant for room in ROOMS for mutant in mutants(room, each, arguments.seed)][: arguments.count]
    if arguments.only:
        found = [mutant for mutant in found if f"{mutant[0]}:{mutant[1]}" in arguments.only]
    with tempfile.TemporaryDirectory() as made:
        trees = [Path(made) / str(k) for k in range(arguments.jobs)]
        for tree in trees:
            shutil.copytree(
                ROOT, tree, ignore=shutil.ignore_patterns(".git", "*.nb*", "__pycache__", "paper", ".*cache")
            )
        noticed = 0
        with ThreadPoolExecutor(arguments.jobs) as pool:
            free = list(trees)

            def tried(mutant):
                tree, began = free.pop(), time.perf_counter()
                try:
                    return is_noticed(tree, mutant, arguments.limit), time.perf_counter() - began
                finally:
                    free.append(tree)

            for mutant, (by, seconds) in zip(found, pool.map(tried, found), strict=True):
                noticed += bool(by)
                print(f"{by or 'NOT NOTICED':12} {seconds:4.0f} s  {mutant[0]}:{mutant[1]}", flush=True)
                print(f"    - {mutant[2].strip()}\n    + {mutant[3].strip()}", flush=True)
    print(f"{noticed} of {len(found)} noticed")


if __name__ == "__main__":
    main()
