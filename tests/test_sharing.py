"""Words that were shared, used as a colleague would: from a plain script, in another folder, without the run."""
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "<view>. A photo of a <scan2>"

# In a process of its own, which imports diffusers and this package alone
SCRIPT = f"""
import torch
from diffusers import DPMSolverMultistepScheduler
from viewneti import ViewNeTIPipeline
from viewneti.sharing.files import read_card

pipe = ViewNeTIPipeline.from_pretrained('tiny')
pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, algorithm_type='dpmsolver++')
print(*pipe.load_view_tokens('truck.safetensors'))
cameras = read_card('truck.safetensors').cameras(azimuth=[30, 210], elevation=[20])
noise = torch.randn(1, *pipe.model.latent_shape(), generator=torch.Generator().manual_seed(0))
for name, camera in zip(('front', 'back'), cameras):
    pipe({PROMPT!r}, camera, 4, guidance_scale=3.5, latents=noise).images[0].save(f'{{name}}.png')
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    "The run that ships with the package, with the second of its scenes."
    from viewneti.experiment import Run
    from viewneti.world.toys import export_world
    folder = tmp_path_factory.mktemp("example")
    export_world(folder/"data", 2)
    return Run(shutil.copytree(files("viewneti")/"assets"/"example", folder/"run"))


def test_a_plain_script_draws_what_the_run_draws(run, tmp_path):
    "The words are the run's to the bit, so the pictures are the run's as far as PNG can tell."
    from viewneti.manifold import cameras_at
    from viewneti.scenes import load_picture
    from viewneti.sharing.files import export_words
    elsewhere = tmp_path/"a colleague's"
    export_words(run, elsewhere/"truck.safetensors", objects=["scan2"])
    (elsewhere/"script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run([sys.executable, "script.py"], cwd=elsewhere, capture_output=True, text=True, timeout=600,
                          env=os.environ | dict(PYTHONPATH=str(ROOT), HF_HUB_OFFLINE="1"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["<view>", "<scan2>"]
    cameras = cameras_at(run.load_scene("<scan2>"), [(30, 20), (210, 20)])
    drawn = run.load_model(device="cpu").generate(PROMPT, cameras, steps=4, guidance=3.5, size=(64, 64), progress=False)
    for name, picture in zip(("front", "back"), drawn[:, 0]):
        assert (load_picture(elsewhere/f"{name}.png") - picture).abs().max() < .01
    assert (drawn[0] - drawn[1]).abs().mean() > .02, "another camera, another picture"
    assert not torch.equal(*drawn)
