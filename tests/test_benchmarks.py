"""The plain way that speed is measured against computes what the package computes."""
import sys
from pathlib import Path

import pytest
import torch

from viewneti.cameras import Camera, make_encoding
from viewneti.core import step_generator
from viewneti.models import ViewNeTI
from viewneti.training import Batch, training_loss

sys.path.insert(0, str(Path(__file__).parents[1]/'benchmarks'))
from plain import plain_conditioning, plain_generate, plain_loss

PROMPT = '<view>. A photo of a <object>'


@pytest.fixture(scope='module')
def model():
    cameras = [Camera.on_sphere(40*i, 20, 3.1, (0, 0, .4), size=(64, 64)) for i in range(4)]
    model, g = ViewNeTI.from_pretrained('tiny', device='cpu'), step_generator(0, 0, 'weights')
    model.add_concept('<view>', model.new_mapper('view', 'view', make_encoding('projection', cameras), generator=g))
    model.add_concept('<object>', model.new_mapper('object', 'thing', generator=g))
    model.raw = model.raw_cameras(cameras)
    return model


def test_conditioning(model):
    t = torch.tensor([3, 400, 990, 12])
    plain, ours = plain_conditioning(model, [PROMPT]*4, t, model.raw), model.encode([PROMPT]*4, t, model.raw)
    assert plain.shape == (4, model.layers, 2, model.max_tokens, model.dim) and torch.allclose(plain, ours, atol=1e-5)
    assert not torch.allclose(ours[:, 0], ours[:, 5], atol=1e-2), 'layers see different words'


def test_loss_and_gradients(model):
    g = step_generator(0, 0, 'batch')
    pictures = torch.rand(2, 3, 64, 64, generator=g)
    noise, spread = torch.randn(2, 2, *model.latent_shape(), generator=g)
    t, parameters = torch.tensor([30, 700]), list(model.mappers.parameters())
    plain = plain_loss(model, pictures, [PROMPT]*2, model.raw[:2], t, noise, spread)
    mean, std = model.latent_distribution(pictures)
    ours = training_loss(model, Batch(mean + std*spread, noise, t, [PROMPT]*2, model.raw[:2], g))
    assert torch.allclose(plain, ours, rtol=1e-5)
    pairs = zip(*(torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (plain, ours)))
    pairs = [(a, b) for a, b in pairs if a is not None]
    assert len(pairs) > 10 and all((a-b).norm() <= 1e-3*b.norm()+1e-8 for a, b in pairs)


def test_pictures(model):
    plain = plain_generate(model, PROMPT, model.raw[:2], (0, 5), 3, 4., (64, 64))
    ours = model.generate(PROMPT, model.raw[:2], (0, 5), 3, 4., (64, 64), progress=False)
    assert plain.shape == ours.shape == (2, 2, 3, 64, 64) and torch.allclose(plain, ours, atol=1e-4)
