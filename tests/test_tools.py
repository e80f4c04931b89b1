"""Tests of the scripts in tools/ and of the files at the top, which no notebook tests."""
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/"tools"))
from notebooks import cell_options, folded_as, for_reading  # noqa: E402
from readme import FRAME, relink, with_captions  # noqa: E402


@pytest.mark.parametrize("written, expected", [
    ("![grid](images/demo.png)", "![grid](nbs/images/demo.png)"),
    ("[Cameras](01_cameras.ipynb#paths)", "[Cameras](nbs/01_cameras.ipynb#paths)"),
    ("[licence](../LICENSE)", "[licence](LICENSE)"),
    ("<img src='images/demo.png'>", "<img src='nbs/images/demo.png'>"),
    ("[paper](https://arxiv.org/abs/2309.07986)", "[paper](https://arxiv.org/abs/2309.07986)"),
    ("[above](#top)", "[above](#top)"),
    ("```\n[a](b.png)\n```", "```\n[a](b.png)\n```"),
])
def test_readme_links_start_at_the_top(written, expected):
    assert relink(written) == expected


def test_readme_figures_have_the_text_and_the_caption_of_their_cell():
    options = {3: {"fig-alt": "Six ducks.", "fig-cap": "Ducks."}}
    text = with_captions("before\n![png](nbs/images/index_3_0.png)\nafter", options)
    assert text == "before\n![Six ducks.](nbs/images/index_3_0.png)\n\n*Ducks.*\nafter"
    text = with_captions('before\n\n![Ducks.](images/a.webp){fig-alt="Six ducks."}\n\nafter', {})
    assert text == "before\n\n![Six ducks.](images/a.webp)\n\n*Ducks.*\n\nafter"


def test_readme_has_no_frames_and_not_their_captions():
    text = '# A\n\n<iframe src="a.html" title="b"></iframe>\n\n*Ducks, to turn.*\n\nSee *this*.'
    assert FRAME.sub("", text) == "# A\n\n\n\nSee *this*."


def test_options_stand_above_the_code_and_are_taken_off():
    options, code = cell_options('#| slow\n#| fig-cap: "a: b"\n#| export\nx = 1\n#| fig-alt: "too late"')
    assert options == {"fig-cap": "a: b"} and code == 'x = 1\n#| fig-alt: "too late"'


def test_hidden_cells_go_and_exported_code_stays(tmp_path):
    cells = [new_markdown_cell("# Title"), new_code_cell("#| default_exp thing"), new_code_cell("#| hide\nsecret = 1"),
             new_code_cell("#| export\ndef shown(): return 1")]
    nbformat.write(new_notebook(cells=cells), tmp_path/"thing.ipynb")
    read = nbformat.reads(for_reading(tmp_path/"thing.ipynb"), as_version=4)
    assert [cell.source for cell in read.cells] == ["# Title", "def shown(): return 1"]


def test_a_cell_without_echo_keeps_its_output_alone(tmp_path):
    output = nbformat.v4.new_output("execute_result", {"text/markdown": "the table"})
    nbformat.write(new_notebook(cells=[new_code_cell("#| echo: false\nmake_table()", outputs=[output])]),
                   tmp_path / "thing.ipynb")
    read = nbformat.reads(for_reading(tmp_path/"thing.ipynb"), as_version=4)
    assert read.cells[0].source == "the table" and read.cells[0].cell_type == "markdown"


PRINTED = [dict(output_type="stream", name="stdout", text="2\n")]
FIGURE = [dict(output_type="display_data", data={"image/png": "", "text/plain": "<Figure>"}, metadata={})]


@pytest.mark.parametrize("source, exported, outputs, name", [
    ("import re\nfrom pathlib import Path", "", [], "Show imports"),
    ("import re", "export", [], "Show imports"),
    ("import re\nx = 1", "", [], None),
    ("x = 1\nassert x", "", [], "Show tests"),
    ("for x in y: test_eq(x, 1)", "", [], "Show tests"),
    ("with ExceptionExpected(ValueError): f()", "", [], "Show tests"),
    ("x = 1\nprint(2*x)\nassert x", "", PRINTED, None),  # what is printed has its code above it
    ("print(2)\nassert x\nassert y", "", PRINTED, "Show tests"),
    ("plot()\nassert x\nassert y", "", FIGURE, None),
    ("plot()\n"*9, "", FIGURE, "Show code"),
    ("def f():\n" + "    g()\n"*9, "export", [], None),
    ("def _g(): pass\ndef f():\n" + "    g()\n"*9, "exporti", [], "Show internals: f, _g"),
    ("def f(): pass", "exporti", [], None),
    ("def plot_f():\n" + "    g()\n"*9, "export", [], "Show the code of plot_f"),
    ("def f(x): assert x", "export", [], None),
    ("ls -l | grep 'assert", "", [], None),
    ("", "", [], None),
])
def test_imports_tests_and_internals_are_folded_and_short_figures_and_exported_code_are_not(source, exported, outputs, name):
    assert folded_as(source, exported, outputs) == name


def test_chapters_fold_their_tests_and_tutorials_do_not(tmp_path):
    code = ["#| export\ndef one(): return 1", "import re", "assert one() == 1",
            '#| code-fold: true\n#| code-summary: "Mine"\nassert one() == 1']
    fold = lambda name, code: f'#| code-fold: true\n#| code-summary: "{name}"\n{code}'
    for first, tests in (("#| default_exp thing", fold("Show tests", code[2])), ("x = 1", code[2])):
        nbformat.write(new_notebook(cells=[new_code_cell(c) for c in (first, *code)]), tmp_path/"thing.ipynb")
        sources = [c.source for c in nbformat.reads(for_reading(tmp_path/"thing.ipynb"), as_version=4).cells]
        assert sources[-4:] == ["def one(): return 1", fold("Show imports", code[1]), tests, code[3]]


NOTEBOOKS = [nb for nb in sorted((ROOT/"nbs").rglob("*.ipynb"))
             if not any(part.startswith((".", "_")) for part in nb.relative_to(ROOT/"nbs").parts)]
PICTURE = re.compile(r"!\[([^\]]*)\]\(|<img\b[^>]*>")  # in Markdown


def unlabelled(nb):
    "Pictures of a notebook that have no caption or no alternative text, a line each."
    for cell in nbformat.read(nb, as_version=4).cells:
        if cell.cell_type == "markdown":
            for picture in PICTURE.finditer(cell.source):
                alt = picture[1] or re.search(r"""\balt=["']([^"']+)""", picture[0])
                if not alt: yield f"{nb.name}, cell {cell.id}: {picture[0]} has no alternative text"
        elif any(kind.startswith("image/") for out in cell.get("outputs", []) for kind in out.get("data", {})):
            options, _ = cell_options(cell.source)
            for key in ("fig-cap", "fig-alt"):
                if not str(options.get(key) or "").strip(): yield f"{nb.name}, cell {cell.id}: a figure without {key}"


@pytest.mark.parametrize("nb", NOTEBOOKS, ids=lambda nb: nb.relative_to(ROOT/"nbs").as_posix())
def test_every_figure_has_a_caption_and_alternative_text(nb):
    assert not list(unlabelled(nb))


def test_figures_and_pictures_without_text_are_named(tmp_path):
    picture = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": "<Figure>"})
    cells = [new_code_cell('#| fig-cap: "Seen."\nplot()', outputs=[picture], id="bare"),
             new_code_cell('#| fig-cap: "Seen."\n#| fig-alt: "A line."\nplot()', outputs=[picture], id="good"),
             new_markdown_cell("![](a.png) ![a duck](a.png)", id="mark"),
             new_markdown_cell("<img src='a.png'>", id="html")]
    nbformat.write(new_notebook(cells=cells), tmp_path/"thing.ipynb")
    assert [line.split(":")[0] for line in unlabelled(tmp_path/"thing.ipynb")] == [
        "thing.ipynb, cell bare", "thing.ipynb, cell mark", "thing.ipynb, cell html"]


def pages(contents):
    "All pages named in a sidebar's contents, in order."
    for entry in contents:
        if isinstance(entry, str): yield entry
        else: yield from pages(entry["contents"])


def test_every_notebook_is_in_the_sidebar():
    config = yaml.safe_load((ROOT/"_quarto.yml").read_text())
    guide = next(bar for bar in config["website"]["sidebar"] if bar["id"] == "guide")
    listed = [page for page in pages(guide["contents"]) if page.endswith(".ipynb")]
    assert sorted(listed) == sorted(nb.relative_to(ROOT/"nbs").as_posix() for nb in NOTEBOOKS)


def test_notebooks_are_small_enough_to_read_online():
    large = {nb.name: size for nb in (ROOT/"nbs").rglob("*.ipynb") if (size := nb.stat().st_size) >= 1_000_000}
    assert not large


def test_notebooks_keep_no_state_of_widgets():
    assert not [nb.name for nb in (ROOT/"nbs").rglob("*.ipynb") if "widgets" in json.loads(nb.read_text())["metadata"]]
