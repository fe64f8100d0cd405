"""One self-contained HTML page of texts, figures and tables that sort and filter; it needs no network."""

import base64
import dataclasses
import html
import io
import json
import re

LARGEST = 200_000
"""Bytes of a figure as SVG from which on it is a PNG."""

PATH, DIGITS = re.compile(r' d="[^"]*"'), re.compile(r"(\d\.\d\d)\d+")
"""Paths of an SVG, and in them the digits that nobody sees: a unit is 1/72 inch."""

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
figure { margin: 1rem 0; overflow-x: auto; } figcaption { font-size: .85rem; opacity: .8; }
figure svg, figure img { width: 100%; max-width: 60rem; height: auto; background: white; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line); }
th button { font: inherit; font-weight: 600; border: 0; background: none; padding: 0; cursor: pointer; color: inherit; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
tbody tr:nth-child(even) { background: var(--soft); }
input { font: inherit; width: 100%; max-width: 24rem; margin: .5rem 0; padding: .25rem .5rem; box-sizing: border-box; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) { body { padding: .5rem; } .long { min-width: 11rem; } }
@media print { input { display: none; } body { max-width: none; font-size: 10px; color-scheme: light; }
  figure, tr { break-inside: avoid; } .table { overflow: visible; } }
"""

SCRIPT = """
for (const part of document.querySelectorAll("section.rows")) {
  const table = part.querySelector("table"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const key = (row, at) => {
    const text = row.cells[at].textContent.trim();
    return text !== "" && isFinite(text) ? [0, Number(text)] : [1, text];
  };
  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map(row => [key(row, at), row]);
    rows.sort(([a], [b]) => (a[0] - b[0] || (a[0] ? a[1].localeCompare(b[1]) : a[1] - b[1])) * (down ? -1 : 1));
    body.append(...rows.map(([, row]) => row));
  }));
  part.querySelector("input").addEventListener("input", event => {
    const words = event.target.value.toLowerCase().split(/\\s+/);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
    }
  });
}
"""


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph, or with `level` 2 a heading."""

    text: str
    level: int = 0

    def __str__(self):
        name = f"h{self.level}" if self.level else "p"
        return f"<{name}>{html.escape(self.text)}</{name}>"


@dataclasses.dataclass(frozen=True)
class Rows:
    """A table: names of its columns, and rows of texts and numbers."""

    columns: tuple
    rows: list

    def __str__(self):
        heads = "".join(f"<th><button type=button>{html.escape(str(name))}</button></th>" for name in self.columns)
        lines = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in self.rows)
        field = f'<input type=search placeholder="filter {len(self.rows)} rows" aria-label="filter the rows">'
        return (
            f"<section class=rows>{field}<div class=table><table><thead><tr>{heads}</tr></thead>"
            f"<tbody>\n{lines}\n</tbody></table></div></section>"
        )


@dataclasses.dataclass(frozen=True)
class Picture:
    """A matplotlib figure, or the bytes of a PNG, with a caption."""

    figure: object
    caption: str

    def __str__(self):
        drawn = _png(self.figure) if isinstance(self.figure, bytes) else _drawn(self.figure, self.caption)
        return f"<figure>{drawn}<figcaption>{html.escape(self.caption)}</figcaption></figure>"


def _cell(value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = f"{value:.6g}" if number else str(value)
    kind = " class=number" if number else " class=long" if len(text) > 40 else ""
    return f"<td{kind}>{html.escape(text)}</td>"


def _drawn(figure, name):
    """Return a figure as SVG with texts as texts and references of this name; as a PNG where that would be large."""
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = PATH.sub(lambda path: DIGITS.sub(r"\1", path[0]), file.getvalue().decode())
    text = text[text.index("<svg") :]
    if len(text) > LARGEST:  # of many points
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=80)
        return min(_png(file.getvalue()), text, key=len)
    return text


def _png(data):
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def page(title, parts, data):
    """Return the page as a text.

    Args:
        title: its title.
        parts: `Text`, `Rows` and `Picture`s in order.
        data: plain data, which stand in the page as JSON in the element with the id "data".
    """
    inside = json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    body = "\n".join(map(str, parts))
    return (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{html.escape(title)}</title>\n"
        f'<meta name=viewport content="width=device-width, initial-scale=1"><link rel=icon href="data:,">\n'
        f"<style>{STYLE}</style></head>\n<body>\n<h1>{html.escape(title)}</h1>\n{body}\n"
        f'<script type="application/json" id=data>{inside}</script>\n<script>{SCRIPT}</script>\n</body></html>\n'
    )
