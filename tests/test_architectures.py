"Frozen models of other families, from a folder on disk through the commands a user types."
import json
from importlib import import_module

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

import viewneti
from viewneti import cli
from viewneti.experiment import Run
from viewneti.models import ViewNeTI
from viewneti.pipelines import ViewNeTIPipeline
from viewneti.world.toys import export_world

FAMILIES = {  # what writes its folder, what it is called, words a timestep, a choice and the words then
    "sdxl": ("StableDiffusionXL", 4, ["--layer_groups", "2"], 2),
    "pixart": ("PixArtSigma", 4, ["--layer_groups", "all"], 6),
    "sd3": ("StableDiffusion3", 1, ["--words_in", "clip"], 1),
    "flux": ("Flux", 1, ["--words_in", "t5"], 1),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIEWNETI_CACHE", str(tmp_path/"cache"))
    return tmp_path


@pytest.fixture
def scene(place): return str(export_world("data", 1, size=(32, 24))[0])


@pytest.mark.parametrize("kind", FAMILIES)
def test_trains_draws_and_evaluates_by_commands(kind, place, scene, capsys):
    name, words, choice, chosen = FAMILIES[kind]
    getattr(import_module(f"viewneti.architectures.{kind}"), f"write_practice_{kind}")("model")
    train = ["train", scene, "--model", "model", "--steps", "2", "--batch", "2", "--accumulation", "1",
             "--split", "3", "--size", "32", "24", "--device", "cpu", "--tracker", "none"]
    assert cli.main([*train, "--folder", "run"]) == 0, capsys.readouterr().err
    losses = [json.loads(line)["loss"] for line in (place/"run/log.jsonl").read_text().splitlines()]
    assert losses and all(0 < x < 20 for x in losses)
    run = Run("run")
    model = run.load_model(device="cpu")  # the checkpoint opens again
    assert type(model.backbone).__name__ == name and model.layers == words and run.last_step == 2
    begun = model.new_mapper("object", "object")
    learned = model.mappers["<object>"]
    assert learned.dim == begun.dim and all(torch.isfinite(p).all() for p in learned.parameters())
    assert cli.main(["generate", "run", "--views", "test", "--steps", "2", "--device", "cpu"]) == 0, (
        capsys.readouterr().err)
    assert list((place/"run").glob("**/*-seed-0.png"))
    cameras = [v.camera for v in run.load_scene().test[:2]]
    drawn = model.generate(run.prompt, cameras, [0], steps=2, progress=False)
    assert drawn.isfinite().all() and (drawn[0] - drawn[1]).abs().max() > 0  # the camera is heard
    assert cli.main(["evaluate", "run", "--steps", "2", "--device", "cpu", "--meter", "none", "--masks", "none"]) == 0, (
        capsys.readouterr().err)
    assert cli.main([*train, "--folder", "other", *choice]) == 0, capsys.readouterr().err
    assert Run("other").load_model(device="cpu").layers == chosen
    assert cli.main(["check", "model", "model"]) == 0
    assert type(model.backbone.net).__name__ in capsys.readouterr().out


def test_names_a_class_that_nobody_knows(place, capsys):
    (place/"model").mkdir()
    (place/"model/model_index.json").write_text(json.dumps(dict(_class_name="KolorsPipeline")))
    assert cli.main(["check", "model", "model"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    known = ("FluxPipeline", "PixArtSigmaPipeline", "StableDiffusion3Pipeline", "StableDiffusionXLPipeline",
             "StableDiffusionPipeline")
    assert "KolorsPipeline" in said and all(name in said for name in known)


def test_stable_diffusion_leaves_no_choice_of_words(scene, capsys):
    assert cli.main(["train", scene, "--folder", "run", "--layer_groups", "2"]) == 2
    assert "layer_groups: found 2, expected none: StableDiffusion leaves no such choice" in " ".join(
        capsys.readouterr().err.split())
    with pytest.raises(ValueError, match="words_in: found 't5', expected none"): ViewNeTI.from_pretrained(
        "tiny", device="cpu", words_in="t5")


def test_a_pipeline_of_another_class_names_the_way_to_the_right_one(place):
    import_module("viewneti.architectures.sdxl").write_practice_sdxl("model")
    with pytest.raises(ValueError, match=r"model: found a model of class StableDiffusionXL, expected StableDiffusion, .*"
                                         r"viewneti.pipeline\('model'\) gives the right one"):
        ViewNeTIPipeline.from_pretrained("model")
    assert isinstance(viewneti.pipeline("model"), StableDiffusionXLPipeline)
