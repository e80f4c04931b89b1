"""A run that an earlier version left, with model, scene, checkpoints and results: it opens, scores alike, goes on."""
import json, os, zipfile
from pathlib import Path

import pytest
from safetensors.torch import load_file

from viewneti.evaluation import evaluate
from viewneti.experiment import Run
from viewneti.training import fit

ARCHIVE = Path(__file__).parent/'fixtures/run-of-0.1.0.zip'


@pytest.fixture
def older(tmp_path, monkeypatch):
    "The folder where that version was used, as its commands left it."
    with zipfile.ZipFile(ARCHIVE) as z: z.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_opens(older):
    run = Run('run')
    assert run.config.mode == 'scene' and run.config.steps == 6 and list(run.steps) == [3, 6]


def test_scores_the_same(older):
    before = json.loads(Path('run/evaluation/metrics.json').read_text())
    after = evaluate('run', steps=4, masks='none', meter='none', device='cpu', redraw=True)
    for name in ('test_psnr', 'test_ssim', 'train_psnr', 'train_ssim', 'retrieval_angle_median'):
        assert after[name] == pytest.approx(before[name], abs=.02), name
    pictures = load_file('run/evaluation/step-6/predictions-step-6.safetensors')
    assert pictures


def test_goes_on(older):
    run = Run('run')
    run.config.steps = 8
    fit(run.config)
    assert list(Run('run').steps) == [3, 6, 8]
    lines = [json.loads(line)['step'] for line in Path('run/log.jsonl').read_text().splitlines()]
    assert lines[-1] == 8
