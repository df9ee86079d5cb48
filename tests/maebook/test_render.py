"""A book that builds, and one that does not: the last good pages stay."""

import inspect
import textwrap

import nbformat
import pytest

from maebook.render import BookError, build
from maebook.source import show_source


def sources(root, prose: str) -> None:
    (root / "book").mkdir(exist_ok=True)
    (root / "_config.yml").write_text("title: Small\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n")
    (root / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: experiments/one\n")
    (root / "book" / "index.md").write_text(prose)


def test_a_warning_fails_the_build_and_leaves_the_last_good_pages(tmp_path):
    runs = tmp_path / "runs"
    (runs / "notebooks" / "smoke").mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# One")])
    nbformat.write(notebook, runs / "notebooks" / "smoke" / "one.ipynb")
    (runs / "notebooks" / "smoke" / "one.failed.ipynb").write_text("half")
    sources(tmp_path, "# Good\n")
    page = build(tmp_path, "smoke", runs)
    assert "Good" in page.read_text() and (page.parent / "experiments" / "one.html").exists()

    sources(tmp_path, "# Bad\n\n{doc}`nowhere`\n")
    with pytest.raises(BookError, match="unknown document: 'nowhere'"):
        build(tmp_path, "smoke", runs)
    assert "Good" in page.read_text() and "Bad" not in page.read_text()


def test_a_page_that_was_not_executed_is_named_before_any_work(tmp_path):
    sources(tmp_path, "# Good\n")
    with pytest.raises(BookError, match=r"^one: not executed at the preset smoke; `make book PRESET=smoke`"):
        build(tmp_path, "smoke", tmp_path / "runs")
    assert [path.name for path in (tmp_path / "book").iterdir() if path.is_dir()] == []


def test_source_is_shown_as_it_stands_without_its_indentation(monkeypatch):
    shown = []
    monkeypatch.setattr("maebook.source.display", lambda thing: shown.append(thing.data))
    from mae_lib.training.masks import MaskSampler

    show_source(MaskSampler.sample, "mae_lib.training.masks:MaskSampler.sample", "mae_lib.training.masks:MaskSampler")
    assert shown[0].startswith("*`mae_lib.training.masks`*\n\n```python\ndef sample(self, seed: int")
    assert shown[0] == shown[1] and textwrap.dedent(inspect.getsource(MaskSampler.sample)) in shown[0]
    assert "```python\n@dataclass(frozen=True)\nclass MaskSampler(Masks):" in shown[2]
    with pytest.raises(ValueError, match=r"no 'MaskSampler\.hide' to show: choose among .*sample"):
        show_source("mae_lib.training.masks:MaskSampler.hide")
