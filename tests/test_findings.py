"""Pages of findings, executed small: three steps on a few scenes. A minute or more each: VIEWNETI_SLOW=1 (make test-slow)."""
import csv
import json
import os
from pathlib import Path

import papermill
import pytest

FINDINGS = Path(__file__).resolve().parent.parent/"nbs"/"findings"
PAGES = [file.stem for file in sorted(FINDINGS.glob("*.ipynb")) if "small" in papermill.inspect_notebook(str(file))]
slow = pytest.mark.skipif(not os.environ.get("VIEWNETI_SLOW"), reason="slow: VIEWNETI_SLOW=1 runs it")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_its_table_as_it_tells_it(name):
    told = json.loads((FINDINGS/f"{name}.json").read_text())
    with open(FINDINGS/f"{name}.csv", newline="") as file: rows = list(csv.DictReader(file))
    assert {row["scene"] for row in rows} == set(told["scenes"].values())
    column = next(k for k in rows[0] if k.startswith("camera error"))
    kept = sorted(float(row[column]) for row in rows)
    assert kept == pytest.approx(sorted(x for way in told["each"].values() for x in way.values()), abs=.01)


@slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_small_and_leaves_the_measured_one_alone(name, tmp_path):
    before, here = (FINDINGS/f"{name}.json").read_bytes(), tmp_path/"nbs"/"findings"
    here.mkdir(parents=True)
    papermill.execute_notebook(str(FINDINGS/f"{name}.ipynb"), str(here/f"{name}.ipynb"), dict(small=True), cwd=str(here),
                               progress_bar=False)
    place = tmp_path/"runs"/f"{name.replace('_', '-')}-small"
    assert json.loads((place/f"{name}.json").read_text())["each"] and (place/f"{name}.csv").is_file()
    assert (FINDINGS/f"{name}.json").read_bytes() == before


@slow
def test_the_page_on_dtu_is_rehearsed_on_a_stand_in(tmp_path):
    given = dict(place=str(tmp_path/"runs"), scans=[30], counts=[3], few=[1])
    papermill.execute_notebook(str(FINDINGS/"dtu.ipynb"), str(tmp_path/"dtu.ipynb"), given, cwd=str(tmp_path), progress_bar=False)
    with open(tmp_path/"runs"/"dtu.csv", newline="") as file: rows = list(csv.DictReader(file))
    assert len(rows) == 2*4 and {row["scan"] for row in rows} == {"30"}
    of = {(row["finding"], row["way"]): float(row["PSNR"]) for row in rows}
    assert of["one scene", "view token"] < of["one scene", "nearest picture"] < of["one scene", "autoencoder"]


@pytest.mark.parametrize("given, said", [
    (dict(data="nowhere", scans=[30]), "nowhere: expected scans [30], found none of [30]"),
    (dict(steps=dict(scene=1)), "steps: expected a number for each of scene, scenes and frozen, found none for frozen, scenes"),
    (dict(counts="3"), "counts")])
def test_the_page_on_dtu_refuses_before_it_learns(tmp_path, given, said):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(str(FINDINGS/"dtu.ipynb"), str(tmp_path/"dtu.ipynb"), given | dict(place=str(tmp_path/"runs")),
                                   cwd=str(tmp_path), progress_bar=False)
    assert said in error.value.evalue and not (tmp_path/"runs").exists()
