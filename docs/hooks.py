"""What mkdocs cannot know: results of `paper/`, the index of public names, and that no name is forgotten."""

import dataclasses
import importlib
import inspect
import json
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

import sshml
from sshml.experiments import load, settings_of
from sshml.experiments.claims import SHOWN, markdown_line, shown
from sshml.experiments.experiment import canonical, plain
from sshml.tables import read_csv

ROOT = Path(__file__).parents[1]
ROOMS = ("chain", "dataset", "classifier", "compression", "analysis", "experiments", "plotting")


def on_files(files, config):
    """Add the figures of `paper/` to the pages."""
    for path in sorted((ROOT / "paper").glob("**/*.png")):
        files.append(File(f"paper/{path.relative_to(ROOT / 'paper').as_posix()}", str(ROOT), config.site_dir, False))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in what a page asks for by `<!-- KIND: NAME -->`: a file, the results of an experiment, a room's names."""
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(r"<!-- file: (\S+) -->", lambda found: (ROOT / found[1]).read_text(encoding="utf-8"), markdown)
    markdown = re.sub(r"<!-- results: (\w+) -->", lambda found: results(found[1], up), markdown)
    markdown = re.sub(r"<!-- reference: (\w+) -->", lambda found: reference(found[1]), markdown)
    return markdown.replace("<!-- names -->", "".join(map(names, ROOMS)))


def results(name, up=""):
    """Return the figures of an experiment with their command, and its claims, as Markdown."""
    folder = ROOT / "paper" / name
    if not (folder / "claims.csv").is_file():
        return f"*There are no results of `sshml reproduce {name}` in `paper/` yet.*\n"
    parts, (_, experiment) = [], load(name)
    known = json.loads((folder / "settings.json").read_text(encoding="utf-8"))["settings"]
    for path in sorted(folder.glob("*.png")):
        caption = f"{path.stem}: {experiment.caption(path.stem, known)}"
        parts += [f"![{name}, {path.stem}]({up}paper/{name}/{path.name})", "", f"*{caption}*", ""]
    parts += ["```sh", command(name, folder), "```", ""]
    rows = read_csv(folder / "claims.csv")
    for decided, title in ((True, "Claims that were decided"), (False, "What was measured beside them")):
        own = [row for row in rows if bool(row["criterion"]) == decided]
        if own:
            table = [SHOWN, ["---"] * len(SHOWN), *map(shown, own)]
            parts += [f'??? note "{title}: {len(own)}"', "", *(f"    {markdown_line(line)}" for line in table), ""]
    return "\n".join(parts)


def command(name, folder):
    """Return the command whose settings are those of a folder of results."""
    _, experiment = load(name)
    known = json.loads((folder / "settings.json").read_text(encoding="utf-8"))["settings"]
    sizes = {full: plain(dataclasses.asdict(settings_of(experiment, full))) for full in (True, False)}
    changes = {
        full: {field: value for field, value in known.items() if canonical(own.get(field)) != canonical(value)}
        for full, own in sizes.items()
    }
    full = len(changes[True]) <= len(changes[False]) and bool(experiment.full)
    texts = (",".join(map(str, value)) if isinstance(value, list) else value for value in changes[full].values())
    options = [f"--set {field}={text}" for field, text in zip(changes[full], texts, strict=True)]
    return " ".join(["sshml reproduce", name, *(["--full"] if full else []), *options])


def public(room):
    """Return {public name of a room: (thing, its full address)}."""
    module = importlib.import_module(f"sshml.{room}")
    found = {}
    for name in sorted(module.__all__):
        thing = getattr(module, name)
        home = getattr(thing, "__module__", module.__name__)
        if inspect.ismodule(thing):
            found[name] = thing, thing.__name__
        else:  # a constant is found where the room has it
            found[name] = thing, f"{home if callable(thing) else module.__name__}.{name}"
    return found


def names(room):
    """Return a table of the public names of a room with what each is, in a line."""
    lines = [f"\n## `sshml.{room}`\n", "| name | |", "|---|---|"]
    for name, (thing, address) in public(room).items():
        told = callable(thing) or inspect.ismodule(thing)
        first = inspect.getdoc(thing).partition("\n\n")[0] if told else "a constant"
        lines.append(markdown_line((f"[`{name}`][{address}]", first)))
    return "\n".join(lines) + "\n"


def reference(room):
    """Return the entries of the public names of a room."""
    text = inspect.getdoc(importlib.import_module(f"sshml.{room}")).strip()
    options = "\n    options:\n      show_root_heading: true\n      show_root_full_path: false\n"
    return text + "\n\n" + "\n".join(f"::: {address}{options}" for _, address in public(room).values())


def on_post_build(config):
    """Raise where a public name has no entry, or one of `import sshml` is on no page written by hand."""
    site, pages = Path(config.site_dir), Path(config.docs_dir)
    for room in ROOMS:
        text = (site / "reference" / f"{room}.html").read_text(encoding="utf-8")
        missing = [name for name, (_, address) in public(room).items() if f'id="{address}"' not in text]
        if missing:
            raise PluginError(f"reference/{room} lacks {', '.join(missing)}")
    written = "".join(path.read_text(encoding="utf-8") for path in pages.rglob("*.md"))
    missing = [name for name in sshml.__all__ if not re.search(rf"`{name}\b|sshml\.{name}\b", written)]
    if missing:
        raise PluginError(f"no page tells of {', '.join(missing)}")
