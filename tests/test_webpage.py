import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from sshml.plotting import new_figure
from sshml.webpage import Picture, Rows, Text, page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PROBE = """<script>
addEventListener("load", () => {
  const table = document.querySelector("table"), rows = () => [...table.tBodies[0].rows];
  const names = () => rows().map(row => row.cells[0].textContent);
  const click = at => table.tHead.rows[0].cells[at].querySelector("button").click();
  const said = {width: innerWidth, page: document.documentElement.scrollWidth};
  click(1); said.up = names(); click(1); said.down = names(); click(0); said.words = names();
  const field = document.querySelector("input");
  field.value = "b 10"; field.dispatchEvent(new Event("input"));
  said.left = rows().filter(row => !row.hidden).map(row => row.cells[0].textContent);
  said.data = JSON.parse(document.getElementById("data").textContent);
  said.drawn = document.querySelector("figure svg").getBoundingClientRect().width;
  document.title = "said " + JSON.stringify(said);
});
onerror = message => { document.title = "failed " + message; };
</script>"""


def example():
    figure, axes = new_figure()
    axes[0, 0].plot([0, 1], [0.123456789, 1])
    axes[0, 0].set_xlabel("x < 0.12345 & more")
    rows = [["beta 10", 10], ["alpha", 9.5], ["gamma", -1], ["b 10", "2026-11-29"]]
    parts = [Text("Numbers", 2), Text("a <b> & c"), Rows(("name", "value"), rows), Picture(figure, "a figure")]
    return page("A title <1>", parts, {"text": "</script><b>", "numbers": [1, None]})


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]


def test_a_page_holds_all_and_asks_for_nothing():
    text = example()
    tags = Tags(text)
    assert tags.found.count("svg") == 1
    assert tags.found.count("tr") == 5
    assert "b" not in tags.found  # what is data is no markup
    assert all(link.startswith(("data:", "#")) for link in tags.links)
    assert "a &lt;b&gt; &amp; c" in text
    inside = re.search(r"<script type=\"application/json\" id=data>(.*?)</script>", text, flags=re.DOTALL)[1]
    assert json.loads(inside) == {"text": "</script><b>", "numbers": [1, None]}
    assert "0.12345" in text  # of a label, whose digits stay


def test_a_large_figure_is_a_png():
    figure, axes = new_figure()
    axes[0, 0].plot(range(60000), [i % 7 for i in range(60000)], ".")
    text = str(Picture(figure, "many points"))
    assert "data:image/png" in text
    assert len(text) < 200_000


@pytest.mark.browser
@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser(tmp_path, width):
    (tmp_path / "page.html").write_text(example().replace("</body>", PROBE + "</body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={width},900", "--virtual-time-budget=3000", "--enable-logging=stderr"]
    address = (tmp_path / "page.html").as_uri()
    found = subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, check=True, timeout=120)
    title = re.search(r"<title>(\w+) (.*?)</title>", found.stdout, flags=re.DOTALL)
    assert title[1] == "said", found.stdout[:300]
    assert "CONSOLE" not in found.stderr
    said = json.loads(title[2].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert said["up"] == ["gamma", "alpha", "beta 10", "b 10"]
    assert said["down"] == said["up"][::-1]
    assert said["words"] == ["alpha", "b 10", "beta 10", "gamma"]
    assert said["left"] == ["b 10", "beta 10"]
    assert said["data"]["numbers"] == [1, None]
    assert said["page"] <= said["width"]  # nothing to scroll sideways but in tables
    assert 0 < said["drawn"] <= said["width"]
    subprocess.run(
        [*command, f"--print-to-pdf={tmp_path / 'page.pdf'}", address], capture_output=True, check=True, timeout=120
    )
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
