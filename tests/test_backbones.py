"A frozen model of other parts goes through the main job, from training to pictures: one class, no other change."
import json
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from viewneti.backbones import BACKBONES, Backbone, StableDiffusion
from viewneti.experiment import FitConfig, Run
from viewneti.injection import ClipText
from viewneti.models import ViewNeTI
from viewneti.practice import write_practice_model
from viewneti.training import fit
from viewneti.world.toys import export_world


class Twin(Backbone):
    "Two text encoders side by side, three cross-attention layers, and no VAE: latents are the pictures."
    width, max_tokens, sample_shape, vae_scale_factor, layer_names = 64, 16, (3, 8, 8), 1, ["a", "b", "c"]
    device = property(lambda self: self.networks[-1].weight.device)
    dtype = property(lambda self: self.networks[-1].weight.dtype)
    vocab_size = property(lambda self: self.texts[0].text_encoder.config.vocab_size)

    def __init__(self, one, two):
        self.tokenizer, self.scheduler = one.tokenizer, one.scheduler
        self.texts, colors = [ClipText(x.text_encoder) for x in (one, two)], torch.nn.Linear(self.width, 3)
        torch.nn.init.normal_(colors.weight, std=.1, generator=torch.Generator().manual_seed(5))
        self.networks = [one.text_encoder, two.text_encoder, colors.requires_grad_(False)]

    def embed(self, ids): return torch.cat([text.embed(ids) for text in self.texts], -1)
    def hidden(self, rows): return torch.cat([t.hidden(x) for t, x in zip(self.texts, rows.chunk(2, -1))], -1)
    def norm(self, hidden): return torch.cat([t.norm(x) for t, x in zip(self.texts, hidden.chunk(2, -1))], -1)

    def predict(self, latents, timesteps, conditioning):
        x, weight = latents.flatten(2).mT, self.networks[-1].weight
        for words in conditioning.unbind(1):
            keys, values = (words @ weight.T).unbind(1)
            x = x + F.scaled_dot_product_attention(x, keys, values)
        return x.mT.reshape(latents.shape)

    def latent_distribution(self, pictures): return pictures*2 - 1, torch.zeros_like(pictures)
    def decode_latents(self, latents): return (latents/2 + .5).clamp(0, 1)

    @classmethod
    def check_folder(cls, folder, variant=None):
        for part in ("one", "two"): StableDiffusion.check_folder(folder/part, variant)

    @classmethod
    def from_folder(cls, folder, dtype=torch.float32, variant=None):
        return cls(*(StableDiffusion.from_folder(folder/part, dtype, variant) for part in ("one", "two")))


@pytest.fixture
def twin(tmp_path, monkeypatch):
    "Its folder; the class is registered as a user would."
    monkeypatch.setitem(BACKBONES, "TwinPipeline", Twin)
    monkeypatch.chdir(tmp_path)
    write_practice_model("twin/one")
    shutil.copytree("twin/one", "twin/two")
    Path("twin/model_index.json").write_text(json.dumps(dict(_class_name="TwinPipeline")))
    return Path("twin").resolve()


def test_trains_and_draws(twin):
    scene = export_world("data", 1, size=(32, 24))[0]
    run = fit(FitConfig(scene=str(scene), folder="run", model=str(twin), size=[16, 12], steps=2, batch=2, device="cpu",
                        split="3"))
    assert list(Run("run").steps) == [2]
    losses = [json.loads(line)["loss"] for line in Path("run/log.jsonl").read_text().splitlines()]
    assert losses and all(0 < x < 10 for x in losses)
    model = ViewNeTI.from_pretrained(twin, device="cpu")
    untrained = model.new_mapper("object", "chair")
    model.load_mappers(run.checkpoint())
    cameras = [v.camera for v in run.load_scene().test[:2]]
    drawn = model.generate(run.prompt, cameras, [0, 7], steps=3, size=(16, 12), progress=False)
    assert drawn.shape == (2, 2, 3, 12, 16) and drawn.isfinite().all()
    assert (drawn[0] - drawn[1]).abs().max() > 0 and untrained.dim == 64  # the camera is heard


def test_says_what_is_missing(twin):
    shutil.rmtree(twin/"two/vae")
    with pytest.raises(ValueError, match="part 'vae' is missing"): ViewNeTI.from_pretrained(twin, device="cpu")
