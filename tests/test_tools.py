"""Tests of the scripts in tools/ and of the files at the top, which no notebook tests."""
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/"tools"))
from notebooks import for_reading  # noqa: E402
from readme import relink  # noqa: E402


@pytest.mark.parametrize("written, expected", [
    ("![grid](images/demo.png)", "![grid](nbs/images/demo.png)"),
    ("[Cameras](00_cameras.ipynb#paths)", "[Cameras](nbs/00_cameras.ipynb#paths)"),
    ("[licence](../LICENSE)", "[licence](LICENSE)"),
    ("<img src='images/demo.png'>", "<img src='nbs/images/demo.png'>"),
    ("[paper](https://arxiv.org/abs/2309.07986)", "[paper](https://arxiv.org/abs/2309.07986)"),
    ("[above](#top)", "[above](#top)"),
    ("```\n[a](b.png)\n```", "```\n[a](b.png)\n```"),
])
def test_readme_links_start_at_the_top(written, expected):
    assert relink(written) == expected


def test_hidden_cells_go_and_exported_code_stays(tmp_path):
    cells = [new_markdown_cell("# Title"), new_code_cell("#| default_exp thing"), new_code_cell("#| hide\nsecret = 1"),
             new_code_cell("#| export\ndef shown(): return 1")]
    nbformat.write(new_notebook(cells=cells), tmp_path/"thing.ipynb")
    read = nbformat.reads(for_reading(tmp_path/"thing.ipynb"), as_version=4)
    assert [cell.source for cell in read.cells] == ["# Title", "def shown(): return 1"]


def test_a_cell_without_echo_keeps_its_output_alone(tmp_path):
    output = nbformat.v4.new_output("execute_result", {"text/markdown": "the table"})
    nbformat.write(new_notebook(cells=[new_code_cell("#| echo: false\nmake_table()", outputs=[output])]), tmp_path/"thing.ipynb")
    read = nbformat.reads(for_reading(tmp_path/"thing.ipynb"), as_version=4)
    assert read.cells[0].source == "the table" and read.cells[0].cell_type == "markdown"


def pages(contents):
    "All pages named in a sidebar's contents, in order."
    for entry in contents:
        if isinstance(entry, str): yield entry
        else: yield from pages(entry["contents"])


def test_every_notebook_is_in_the_sidebar():
    config = yaml.safe_load((ROOT/"_quarto.yml").read_text())
    guide = next(bar for bar in config["website"]["sidebar"] if bar["id"] == "guide")
    listed = [page for page in pages(guide["contents"]) if page.endswith(".ipynb")]
    present = [nb.relative_to(ROOT/"nbs").as_posix() for nb in (ROOT/"nbs").rglob("*.ipynb")
               if not any(part.startswith((".", "_")) for part in nb.relative_to(ROOT/"nbs").parts)]
    assert sorted(listed) == sorted(present)


def test_notebooks_are_small_enough_to_read_online():
    large = {nb.name: size for nb in (ROOT/"nbs").rglob("*.ipynb") if (size := nb.stat().st_size) >= 1_000_000}
    assert not large
