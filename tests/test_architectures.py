"Frozen models of other families, from a folder on disk through the commands a user types."
import json
import os
from importlib import import_module

import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusion3Pipeline, StableDiffusionXLPipeline
from diffusers.loaders import TextualInversionLoaderMixin
from safetensors.torch import load_file

import viewneti
from viewneti import cli
from viewneti.architectures.texts import unpack
from viewneti.cameras import make_encoding, orbit
from viewneti.cli import highlights
from viewneti.experiment import Run
from viewneti.explorer import static_explorer
from viewneti.mappers import FreeToken
from viewneti.models import ViewNeTI
from viewneti.pipelines import ViewNeTIPipeline
from viewneti.steering import attention, study
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


class SD3WithEmbeddings(StableDiffusion3Pipeline, TextualInversionLoaderMixin):
    "diffusers' pipeline reads no embeddings by itself."


KEYS = {"sdxl": ["clip_g", "clip_l"], "pixart": ["t5xxl"], "sd3": ["clip_g", "clip_l", "t5xxl"],
        "flux": ["clip_l", "t5xxl"]}


@pytest.mark.parametrize("kind", KEYS)
def test_embeddings_are_read_by_diffusers_own_pipeline(kind, place, scene, capsys):
    getattr(import_module(f"viewneti.architectures.{kind}"), f"write_practice_{kind}")("model")
    assert cli.main(["train", scene, "--model", "model", "--steps", "1", "--batch", "2", "--accumulation", "1", "--split",
                     "3", "--size", "32", "24", "--device", "cpu", "--tracker", "none", "--folder", "run"]) == 0
    assert cli.main(["export", "run", "words", "--as", "embeddings", "--orbit", "3", "--measured", "2", "--steps", "1",
                     "--device", "cpu"]) == 0, capsys.readouterr().err
    view = next((place/"words").glob("view-a120*.safetensors"))
    words = {token: load_file(file) for token, file in ((f"<{view.stem}>", view),
                                                        ("<object>", place/"words/object.safetensors"))}
    assert all(sorted(w) == KEYS[kind] for w in words.values())
    model = Run("run").load_model(device="cpu")
    pipe = (SD3WithEmbeddings.from_pretrained("model") if kind == "sd3" else
            None if kind == "pixart" else DiffusionPipeline.from_pretrained("model"))
    keys, widths = model.backbone.embedding_keys, model.backbone.widths
    for token, found in words.items():
        assert [found[k].shape for k in keys] == [(1, w) for w in widths]
        learned = "<view>" if "view" in token else token
        model.mappers[learned] = FreeToken(model.dim, torch.cat([found[k][0] for k in keys]))
        for k, end in keys.items() if pipe else ():
            pipe.load_textual_inversion(found[k], token=token, text_encoder=getattr(pipe, f"text_encoder{end}"),
                                        tokenizer=getattr(pipe, f"tokenizer{end}"))
    if pipe is None: return   # diffusers' pipeline for PixArt-Sigma reads no embeddings, ComfyUI does
    prompt = "<view>. a photo of a <object>"
    asked = dict(prompt=prompt.replace("<view>", f"<{view.stem}>"), prompt_2=None)
    if kind == "sd3": asked |= dict(prompt_3=None, max_sequence_length=20)
    if kind == "flux": asked |= dict(max_sequence_length=20)
    with torch.no_grad():
        told, ours = pipe.encode_prompt(**asked), model.encode(prompt, 500)
    pooled = dict(sdxl=2, sd3=2, flux=1)[kind]
    width = told[pooled].shape[-1]
    mine, summary = unpack(ours, width)
    assert (mine[:, 0, 1, :told[0].shape[1]] - told[0][:, :mine.shape[3]]).abs().max() < 1e-3
    assert (summary[:, 0] - told[pooled]).abs().max() < 1e-3


FEW = dict(steps=1, spans=(90,), pairs=1, frames=3, mixed=(90,), shares=(.5,), bins=2, timesteps=(900, 100), views=2,
           columns=2, prompts=("a photo of a red chair",), progress=False)
SITES = {"sdxl": 4, "pixart": 4, "sd3": 3, "flux": 4}  # groups of layers, or blocks of joint attention


slow = pytest.mark.skipif(not os.environ.get("VIEWNETI_SLOW"), reason="slow: VIEWNETI_SLOW=1 runs it")


@pytest.mark.parametrize("kind", ["sdxl", "flux", pytest.param("pixart", marks=slow), pytest.param("sd3", marks=slow)])
def test_is_studied_and_explored(kind, place, scene, capsys):
    getattr(import_module(f"viewneti.architectures.{kind}"), f"write_practice_{kind}")("model")
    train = ["train", scene, "--model", "model", "--steps", "1", "--batch", "2", "--accumulation", "1", "--split", "3",
             "--size", "32", "24", "--device", "cpu", "--tracker", "none"]
    assert cli.main([*train, "--folder", "run"]) == 0
    told = study(Run("run"), device="cpu", **FEW)["stages"]
    assert set(told) == {"words", "walks", "blend", "swap", "attention", "matrix"}
    seen, swapped, words = (told[k]["numbers"] for k in ("attention", "swap", "words"))
    model = Run("run").load_model(device="cpu")
    assert len(swapped["layer"]) == model.layers and len(swapped["bin"]) == 2
    encoders = sorted(model.backbone.embedding_keys) if len(model.backbone.widths) > 1 else []
    assert sorted(set(swapped["parts"]) - {"none", "word", "bypass", "both"}) == encoders
    for token, share in seen["share_by_layer"].items():
        assert len(share) == SITES[kind] and all(0 < x < 1 for x in share), token
    assert {t.split(" ")[0] for t in seen["share_by_layer"]} == {"<view>", "<object>"}
    assert len(highlights(told)) >= 6 + len(encoders)
    page = static_explorer(Run("run"), "page.html", azimuths=4, elevations=[20], steps=1, progress=False)
    assert (place/"page.html").stat().st_size == page.size > 10000
    if kind != "flux": return
    assert cli.main([*train, "--folder", "pooled", "--words_in", "clip"]) == 0
    seen = study(Run("pooled"), device="cpu", **FEW)["stages"]["attention"]
    assert "found learned words in no row of text that Flux attends to" in seen["numbers"]["left_out"]
    assert seen["figures"] == []


def test_padding_gets_no_attention(place):
    import_module("viewneti.architectures.pixart").write_practice_pixart("model")
    model = ViewNeTI.from_pretrained("model", device="cpu")
    encoding = make_encoding("projection", orbit(6))
    model.add_concept("<view>", model.new_mapper("view", encoding=encoding))
    a = attention(model, "<view>. a chair", orbit(6)[:2], torch.rand(2, 3, 32, 32), timesteps=(900,))
    padding = [i for i, word in enumerate(a.words) if word == "<pad>"]
    assert len(padding) > 5 and a.share[..., padding].max() < 1e-6
    assert (a.share.sum(-1) - 1).abs().max() < 1e-5


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
