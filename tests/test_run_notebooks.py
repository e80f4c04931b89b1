"""Tests of the notebooks in nbs/runs, which a batch executes: their parameters, refusals, and small executions."""
import ast
import getpass
import io
import os
import re
import socket
import sys
import tokenize
from pathlib import Path

import nbformat
import papermill
import pytest

from viewneti.core import InputError
from viewneti.experiment import Run
from viewneti.world.toys import export_world

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT/"nbs/runs"
PARAMETERS = {
    "train": dict(scene="str", scenes="list", mode="str", split="str", model="str", steps="int", seed="int",
                  view_mapper="str", folder="str", sampling_steps="int", views="int", options="dict"),
    "evaluate": dict(run="str", step="int", seeds="list", sampling_steps="int", guidance="float", options="dict"),
    "manifold": dict(run="str", object="str", step="int", sampling_steps="int", options="dict"),
}
ABSOLUTE = re.compile(r"(?<![\w.…<:/])/(?:[\w.@+-]+/)+[\w.@+-]*")
SECRET = "secret-7c41e0d2"


def cells(name):
    return nbformat.read(RUNS/f"{name}.ipynb", as_version=4).cells


def parameters_cell(name):
    found = [c for c in cells(name) if "parameters" in c.metadata.get("tags", [])]
    assert len(found) == 1
    return found[0].source


@pytest.mark.parametrize("name", PARAMETERS)
def test_papermill_finds_the_parameters_with_their_types(name):
    found = papermill.inspect_notebook(str(RUNS/f"{name}.ipynb"))
    assert {k: p["inferred_type_name"] for k, p in found.items()} == PARAMETERS[name]
    assert all(len(p["help"]) > 5 for p in found.values()), "a parameter without comment"


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_literals_of_their_types_and_nothing_is_derived(name):
    source = parameters_cell(name)
    for line in ast.parse(source).body:
        assert isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        assert type(ast.literal_eval(line.value)).__name__ == line.annotation.id == PARAMETERS[name][line.target.id]
    comments = {
        t.start[0] for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT
    }
    assert {line.lineno for line in ast.parse(source).body} <= comments


def check_only(name, **parameters):
    "Run a notebook's cells with these parameters, up to the first that does anything."
    names = {}
    exec(parameters_cell(name), names)
    assert parameters.keys() <= names.keys()
    names |= parameters
    for cell in cells(name):
        if cell.source.startswith("with capture_output"): return
        if cell.cell_type == "code" and "%matplotlib" not in cell.source and cell.source != parameters_cell(name):
            exec(cell.source, names)


@pytest.mark.parametrize("name", PARAMETERS)
def test_defaults_are_not_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_only(name)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name, parameters, said", [
    ("train", dict(steps="many"), "steps: found 'many', expected a whole number"),
    ("train", dict(steps=True), "steps: found True"),
    ("train", dict(steps=2.5), "steps: found 2.5"),
    ("train", dict(steps=0), "steps: found 0"),
    ("train", dict(split=6), "split: found 6, expected text"),
    ("train", dict(scenes="scan1"), "scenes: found 'scan1', expected a list"),
    ("train", dict(views=0), "views: found 0"),
    ("train", dict(mode="scen"), "mode: found 'scen'"),
    ("train", dict(mode="frozen"), "view_mapper: found .*nothing"),
    ("train", dict(options=[]), r"options: found \[\], expected names and values"),
    ("train", dict(options=dict(lrr=1e-3)), "options: found 'lrr'.*did you mean lr"),
    ("train", dict(options=dict(steps=3)), "options: found steps, which is a parameter"),
    ("train", dict(options=dict(lr="high")), "lr: found 'high', expected a number"),
    ("train", dict(options=dict(size=["a", 2])), r"size\.0: found 'a', expected a whole number"),
    ("train", dict(options={3: 4}), "options: found 3"),
    ("evaluate", dict(step="last"), "step: found 'last', expected a whole number"),
    ("evaluate", dict(step=-1), "step: found -1"),
    ("evaluate", dict(seeds=3), "seeds: found 3, expected a list"),
    ("evaluate", dict(seeds=["a"]), "seeds: found 'a'"),
    ("evaluate", dict(seeds=[]), "seeds: found None"),
    ("evaluate", dict(sampling_steps=0), "sampling_steps: found 0"),
    ("evaluate", dict(guidance="strong"), "guidance: found 'strong', expected a number"),
    ("evaluate", dict(options=dict(mask="none")), "options: found 'mask'.*did you mean masks"),
    ("evaluate", dict(options=dict(steps=3)), "options: found steps, which is a parameter"),
    ("evaluate", dict(options=dict(batch_size="8")), "batch_size: found '8', expected a whole number"),
    ("manifold", dict(object=3), "object: found 3, expected text"),
    ("manifold", dict(step=1.5), "step: found 1.5"),
    ("manifold", dict(sampling_steps=-2), "sampling_steps: found -2"),
    ("manifold", dict(options=dict(pair=1)), "options: found 'pair'.*did you mean pairs"),
    ("manifold", dict(options=dict(steps=1)), "options: found steps, which is a parameter"),
    ("manifold", dict(options=dict(spans=30)), "spans: found 30, expected a list"),
])
def test_wrong_values_are_refused_in_a_sentence_before_anything_is_done(name, parameters, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said) as error: check_only(name, **parameters)
    assert "\n" not in str(error.value) and not any(tmp_path.iterdir())


def execute(name, place, report, /, **parameters):
    "Execute a notebook in the folder `place` as a batch does, and read its copy."
    papermill.execute_notebook(str(RUNS/f"{name}.ipynb"), str(report), parameters, cwd=str(place), progress_bar=False,
                               kernel_name="python3", execution_timeout=300)
    return nbformat.read(report, as_version=4)


def shown(report):
    "The text of all outputs, and the number of pictures."
    texts, pictures = [], 0
    for cell in report.cells:
        for out in cell.get("outputs", []):
            assert out.output_type != "error"
            data = out.get("data", {})
            pictures += any(kind.startswith("image/") for kind in data)
            texts += [out.get("text", ""), *(text for kind, text in data.items() if not kind.startswith("image/"))]
    return "\n".join(map(str, texts)), pictures


def check_private(text, folder):
    "No place, name or secret of this machine."
    for word in (str(folder), str(ROOT), sys.prefix, str(Path.home()/"."), SECRET): assert word not in text
    for word in (socket.gethostname(), os.environ.get("USER") or getpass.getuser()):
        if len(word) > 3 and word != "localhost": assert not re.search(rf"\b{re.escape(word)}\b", text)
    assert not ABSOLUTE.search(text)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    "A run of two steps, stopped after one, by absolute paths inside and outside of the folder it is started in."
    folder, data = tmp_path_factory.mktemp("chain"), tmp_path_factory.mktemp("data")
    old = os.environ.get("VIEWNETI_TEST_TOKEN")
    os.environ["VIEWNETI_TEST_TOKEN"] = SECRET
    scene = export_world(data, scenes=1, seed=3)[0]
    few = dict(scene=str(scene), folder=str(folder/"runs/few"), sampling_steps=2, views=2,
               options=dict(batch=1, accumulation=1, tracker="none"))
    first = execute("train", folder, folder/"first.ipynb", steps=1, **few)
    yield folder, first, execute("train", folder, folder/"train.ipynb", steps=2, **few)
    if old is None: del os.environ["VIEWNETI_TEST_TOKEN"]
    else: os.environ["VIEWNETI_TEST_TOKEN"] = old


def test_training_reports_and_goes_on_where_it_stopped(chain):
    folder, *reports = chain
    for report, said in zip(reports, ("s, 1 steps |", "s, 1 steps after 1 done before |")):
        text, pictures = shown(report)
        assert pictures == 2 and said in text
        assert "| folder | runs/few |" in text and "| scene | …/scan1 |" in text and "| viewneti | " in text
        assert text.index("| batch | 1 |") < text.index("<details>") < text.index("| seed | 0 |")
        check_private(text, folder)
    assert Run(folder/"runs/few").steps == [1, 2]
    assert not (folder/"runs/few/evaluation").exists()


def test_evaluation_reports_scores(chain):
    folder = chain[0]
    text, pictures = shown(
        execute("evaluate", folder, folder / "evaluate.ipynb", run="runs/few", sampling_steps=2, seeds=[0, 4],
                options=dict(background="white")))
    assert pictures == 1 and "| background | white |" in text and "| checkpoint | step 2 |" in text
    assert re.search(r"\| PSNR \| [\d.]+ \| [\d.]+ \| [\d.]+ \|", text) and "| camera error, median, degrees |" in text
    assert text.index("| seeds | [0, 4] |") < text.index("<details>")
    assert "| scores | runs/few/evaluation/metrics.json |" in text
    assert (folder/"runs/few/evaluation/metrics.json").is_file()
    check_private(text, folder)


def test_manifold_reports_numbers_and_figures(chain):
    folder = chain[0]
    little = dict(spans=[30], pairs=1, frames=2, mixed=[60], shares=[.5], bins=1, timesteps=[500], views=1, columns=2,
                  objects=1, prompts=[])
    report = execute("manifold", folder, folder/"manifold.ipynb", run="runs/few", sampling_steps=1, options=little)
    text, pictures = shown(report)
    assert pictures == 9 and "| spans | [30] |" in text and "dimension of the surface" in text
    assert (folder/"runs/few/manifold/manifold.json").is_file() and (folder/"manifold.ipynb").stat().st_size < 1_000_000
    check_private(text, folder)


@pytest.mark.parametrize("name, parameters, said", [
    ("train", dict(options=dict(lrr=1)), "lrr"), ("evaluate", dict(run="runs/none"), "runs/none: not a run")])
def test_a_failed_execution_ends_with_the_error(name, parameters, said, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        execute(name, tmp_path, tmp_path/"failed.ipynb", **parameters)
    assert error.value.ename == "InputError" and said in error.value.evalue
    outputs = [out for c in nbformat.read(tmp_path/"failed.ipynb", as_version=4).cells for out in c.get("outputs", [])]
    assert any(out.output_type == "error" for out in outputs)
