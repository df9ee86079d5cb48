"""Live cells: what a program shows, with nothing but plain Python beneath it, and in a browser."""

import json
import re
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from bs4 import BeautifulSoup

from maebook.explorer.live import run
from maebook.sphinx import live_cells

ROOT = Path(__file__).resolve().parents[2]
PAGE = "2_3_theorem_1"
CODE = (ROOT / "book" / "live" / f"{PAGE}.py").read_text()
BLOCKED = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"numpy", "networkx", "matplotlib", "torch", "scipy", "pandas"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from maebook.explorer.live import run
print(json.dumps([run(code) for code in json.load(sys.stdin)]))
"""


def changed(old: str, new: str) -> str:
    assert old in CODE
    return CODE.replace(old, new)


CUT = changed('masked = ["x1", "x2", "x3"]', 'masked = ["x1"]')  # through z3, which then is shared
WRONG = {
    changed('masked = ["x1"', 'masked = ["x9"'): "'x9' is not an observable of",
    changed('["x6", "x7"]', '["x6", "z1"]'): "the graph has the cycle 'z1' -> 'z2' -> 'z6' -> 'z1'",
    changed('["x4", "x5"]', '"x4"'): "the children of 'z5' are 'x4': they must be a list, such as ['x4']",
    changed("sorted(", "srted("): "line 15: NameError: name 'srted' is not defined",
    "print(": "line 1: SyntaxError: '(' was never closed",
    "from mae_lib.theory import mask_bits": "mask_bits needs numpy, which is not here",
    "from mae_lib.theory import LatentHierarchy\nLatentHierarchy.tree((2, 3))": "line 2: ModuleNotFoundError",
}


def test_without_numpy_and_networkx_a_cell_shows_the_same_and_its_errors_are_one_line():
    programs = [CODE, CUT, *WRONG]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], cwd=ROOT, input=json.dumps(programs), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, cut, *wrong = json.loads(done.stdout)
    assert [first, cut] == [run(CODE), run(CUT)]
    for html, said in zip(wrong, WRONG.values(), strict=True):
        line = BeautifulSoup(html, "html.parser").select_one(".wrong").text
        assert said in line and "\n" not in line


def test_what_a_program_prints_is_text():
    shown = BeautifulSoup(run("print('<b>1</b>')"), "html.parser")
    assert shown.pre.text == "<b>1</b>\n" and not shown.find("b")
    assert run("x = 1") == ""


def test_a_drawing_that_nobody_could_read_is_refused():
    many = "draw(LatentHierarchy({'z': range(100)}), [])"
    assert "101 nodes are too many" in run(f"{CODE.partition('graph =')[0]}{many}")


def test_the_cell_shows_what_it_gives_before_it_is_run_and_says_when_it_cannot():
    shown = BeautifulSoup(live_cells.cell(PAGE, CODE, None), "html.parser")
    assert shown.textarea.text == CODE and "c is ['z1']" in shown.pre.text
    assert "not included in this build" in shown.select_one("[role=status]").text
    assert not shown.find(attrs={"data-megabytes": True})


def test_the_place_of_a_cell_is_a_heading_of_its_page():
    for page in (path.stem for path in (ROOT / "book" / "live").glob("*.py")):
        cells = json.loads((ROOT / "notebooks" / f"{page}.ipynb").read_text())["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        assert f"\n{live_cells.place(page)}\n" in text


def test_the_library_is_the_same_bytes_every_time_and_needs_no_other_file(tmp_path):
    (tmp_path / live_cells.LIBRARY).write_bytes(live_cells.library())
    assert live_cells.library() == live_cells.library()
    code = f"import sys; sys.path.insert(0, {str(tmp_path / live_cells.LIBRARY)!r}); import maebook.explorer.live"
    assert subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize("npm", ["none", "failing"])
def test_without_npm_or_network_there_is_none(npm, tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    found = str(tmp_path / "npm") if npm == "failing" else None
    monkeypatch.setattr(live_cells.shutil, "which", lambda *_, **__: found)
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    assert live_cells.pyodide() is None


def test_a_package_of_other_bytes_is_refused(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text(f"#!/bin/sh\necho other > pyodide-{live_cells.VERSION}.tgz\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setattr(live_cells.shutil, "which", lambda *_, **__: str(tmp_path / "npm"))
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    with pytest.raises(ValueError, match="its hash differs"):
        live_cells.pyodide()


# In a browser


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page with the cell, as the book has it, and its address on a server of its own."""
    source = live_cells.runs_folder() / f"pyodide-{live_cells.VERSION}"
    if not all((source / part).is_file() for part in live_cells.PARTS):
        pytest.skip("no Pyodide is here: make book fetches it")
    folder = tmp_path_factory.mktemp("site")
    live_cells.install(folder / "_static", source)
    for name in ("live.js", "live.mjs", "live.css"):
        (folder / "_static" / name).write_bytes((ROOT / "book" / "_static" / name).read_bytes())
    head = (
        '<meta charset="utf-8"><link rel="stylesheet" href="_static/live.css"><script src="_static/live.js"></script>'
    )
    body = f'<article class="bd-article">{live_cells.cell(PAGE, CODE, source)}</article>'
    page = f'<!doctype html><html lang="en" data-content_root=""><title>One</title>{head}<main>{body}</main></html>'
    (folder / "page.html").write_text(page)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/page.html"
    server.shutdown()


def asked(tab) -> list[str]:
    urls: list[str] = []
    tab.on("request", lambda request: urls.append(request.url))
    return urls


@pytest.fixture(scope="module")
def tab(site, browser):
    context = browser.new_context(viewport={"width": 375, "height": 800})
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    yield tab
    context.close()


def test_a_reader_edits_a_mask_and_sees_the_right_c(site, tab):
    urls = asked(tab)
    tab.goto(site[1])
    code, button, shown = tab.get_by_label("Python"), tab.get_by_role("button"), tab.locator(".mae-live .shown")
    assert not [url for url in urls if "pyodide" in url or ".mjs" in url], "Python is loaded before it is asked for"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    code.fill(CUT)
    button.focus()
    tab.keyboard.press("Enter")
    shown.get_by_text("c is ['z3']").wait_for()
    state = shown.locator("g[data-state=c] title")
    assert state.all_text_contents() == ["z3"]
    assert all(url.startswith(site[1].rpartition("/")[0]) for url in urls), "something comes from elsewhere"

    code.fill(next(iter(WRONG)))
    code.focus()
    tab.keyboard.press("Control+Enter")
    wrong = shown.locator(".wrong")
    wrong.wait_for()
    assert "'x9' is not an observable of" in wrong.inner_text()
    assert tab.get_by_role("status").inner_text() == "There is an error."


def test_a_program_without_end_can_be_stopped(site, tab):
    tab.goto(site[1])
    tab.get_by_label("Python").fill("while True: pass")
    tab.get_by_role("button").click()
    tab.get_by_role("button", name="Stop").click()
    assert tab.get_by_role("status").inner_text() == "Stopped."
    tab.get_by_label("Python").fill("print(6 * 7)")
    tab.get_by_role("button", name="Run").click()
    tab.locator(".shown pre").get_by_text("42").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_it(scheme, site, browser):
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(site[1])
    found = [rule["id"] for rule in Axe().run(page).response["violations"] if rule["id"] != "page-has-heading-one"]
    context.close()
    assert not found


def test_from_disk_it_says_how_to_serve_it(site, browser):
    tab = browser.new_page()
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto((site[0] / "page.html").as_uri())
    assert re.search(r"make serve.*localhost", tab.get_by_role("status").inner_text())
    assert not tab.get_by_role("button").count() and not errors
    tab.close()
