"""One table of the claims of all experiments of a folder."""

import collections

from sshml.arguments import as_path
from sshml.errors import SSHMLError
from sshml.experiments.claims import SHOWN, VERDICTS, markdown_line, shown
from sshml.files import new_file
from sshml.tables import read_csv

FILE = "claims.md"
FIRST = "<!-- made by sshml reproduce from NAME/claims.csv: changes are lost -->"


def joint_claims(out):
    """Return the rows of all NAME/claims.csv of a folder of results, each with its `experiment`, in the order of names.

    Raises:
        SSHMLError: no such folder, or a table that cannot be read.
    """
    out = as_path(out)
    if not out.is_dir():
        raise SSHMLError(f"{out} is no folder of results.")
    found = []
    for path in sorted(out.glob("*/claims.csv")):
        if (path.parent / "settings.json").is_file():
            found += [{"experiment": path.parent.name} | row for row in read_csv(path)]
    return found


def write_joint(out):
    """Write claims.md, the claims of all experiments of a folder of results, and return its path.

    Raises:
        SSHMLError: nothing to write, a file of that name that sshml did not make, or it cannot be written.
    """
    out = as_path(out)
    rows, path = joint_claims(out), out / FILE
    if not rows:
        raise SSHMLError(f"{out} holds no claims; run experiments first.")
    if path.exists() and not _is_own(path):
        raise SSHMLError(f"{path} is not of sshml; rename it, the table of all claims would be there.")
    with new_file(path, force=True) as partial:
        partial.write_text(_text(rows), encoding="utf-8")
    return path


def _is_own(path):
    try:
        return path.read_text(encoding="utf-8").startswith(FIRST)
    except (OSError, UnicodeDecodeError):
        return False


def _text(rows):
    decided = [row for row in rows if row["criterion"]]
    counts = {verdict: sum(row["verdict"] == verdict for row in decided) for verdict in VERDICTS}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    further = collections.Counter(row["verdict"] for row in rows if not row["criterion"])
    without = f", {n} not measurable (no network gave a value)" if (n := further["not measurable"]) else ""
    lines = [
        FIRST, "", "# Claims", "",
        f"{len(decided)} comparisons with what a source, or a prediction written before its run, said, each by the"
        f" criterion of its row: {said}."
        f" {further['measured']} more numbers are measured only{without}. A criterion of more than two standard"
        " errors to one side is met by chance in 2 of 100 comparisons without an effect with many seeds, in 7 with"
        " four, in 9 with three; to either side twice as often.",
    ]  # fmt: skip
    for name in dict.fromkeys(row["experiment"] for row in rows):
        lines += ["", f"## {name}", "", markdown_line(SHOWN), markdown_line(["---"] * len(SHOWN))]
        lines += [markdown_line(shown(row)) for row in rows if row["experiment"] == name]
    return "\n".join(lines) + "\n"
