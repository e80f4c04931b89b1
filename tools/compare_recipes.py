"""Which recipe of the denoiser learns most in equal processor time? Each choice learns from the same fresh weights for
so many seconds of one core, on latents of a finished autoencoder, decaying to the end; then its average is scored on
held-out pictures, in four bands of timesteps. Results are added to nbs/embedded/recipes.json, which the notebook on
pretraining shows.

    python tools/compare_recipes.py MODEL --seconds 240 --only muon-32 adamw-16

The choices whose names begin with "dit" are transformers; with the U-Net beside them, by the same clock on the same
latents, they are shown by the notebook that compares the two:

    python tools/compare_recipes.py MODEL --seconds 360 --only muon-16 "dit, patch 2" --pictures 4480 \
        --file nbs/embedded/transformer.json --keep runs/two
"""
import argparse
import copy
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch.nn.attention import SDPBackend, sdpa_kernel

from viewneti.core import step_generator, write_json
from viewneti.embedded.pretraining import (
    PretrainConfig, assemble, build_denoiser, caption_ids, denoiser_loss, encode_pictures, learning_rate,
    make_optimizer, make_tokenizer, set_rate, settle, shoot, stratified_timesteps, stream_chunks, update_average)
from viewneti.embedded.transformer import predict_v

FILE = Path(__file__).parent.parent/"nbs/embedded/recipes.json"
BASE = dict(batch=32, lr=1.5e-3, matrix_lr=4e-3)
CHOICES = {
    "muon-32": {},
    "muon-16": dict(batch=16),
    "muon-64": dict(batch=64),
    "muon-32, half the rates": dict(lr=.75e-3, matrix_lr=2e-3),
    "muon-32, twice the rates": dict(lr=3e-3, matrix_lr=8e-3),
    "adamw-16": dict(batch=16, lr=1e-3, matrix_lr=0.),
    "adamw-32": dict(lr=1e-3, matrix_lr=0.),
    "muon-32, narrower (48, 96, 160)": dict(channels=[48, 96, 160]),
    "muon-32, uniform timesteps": dict(uniform=True),
    "dit, patch 2": dict(architecture="dit", batch=16),
    "dit, patch 1": dict(architecture="dit", batch=16, patch=1),
}


@torch.no_grad()
def latents(config, vae, chunks, first):
    "Chunks from number `first` on, as one dict of tensors, and lists of their captions."
    stream, found, captions = stream_chunks(config, first), [], []
    for _ in range(chunks):
        shots, said = next(stream)
        found.append(encode_pictures(config, vae, shoot(shots)[0]))
        captions += said
    return {k: torch.cat([f[k] for f in found]) for k in found[0]}, captions


def loss_at(config, parts, scheduler, held, scale, at, which, generator, uniform=False):
    "The denoiser's loss on some samples."
    mean, std = (held[k][at].float() for k in ("mean", "std"))
    z = (mean + std*torch.randn(mean.shape, generator=generator))*scale
    with torch.autocast("cpu", torch.bfloat16, enabled=config.half), sdpa_kernel([SDPBackend.MATH]):
        noise, n = torch.randn(z.shape, generator=generator), len(z)
        t = torch.randint(1000, (n,), generator=generator) if uniform else stratified_timesteps(n, 1000, generator)
        return denoiser_loss(*parts, scheduler, z.contiguous(memory_format=torch.channels_last),
                             held["ids"][at, which], noise, t)


@torch.no_grad()
def score(config, parts, scheduler, held, scale, n=400):
    "Held-out loss in four bands of timesteps."
    g, bands = step_generator(0, 0, "held out"), [[], [], [], []]
    mean = held["mean"][:n].float()*scale
    noise, t = torch.randn(mean.shape, generator=g), (torch.arange(n)*1000/n).long()[torch.randperm(n, generator=g)]
    for i in range(0, n, 50):
        x, e, s = mean[i:i+50], noise[i:i+50], t[i:i+50]
        with torch.autocast("cpu", torch.bfloat16, enabled=config.half), sdpa_kernel([SDPBackend.MATH]):
            out = predict_v(*parts, scheduler.add_noise(x, e, s), s, held["ids"][i:i+50, 0])
        for error, step in zip((out.float()-scheduler.get_velocity(x, e, s)).square().mean((1, 2, 3)), s):
            bands[int(step)*4//1000].append(error.item())
    return [sum(b)/len(b) for b in bands]


def learn(config, scheduler_of, held, scale, seconds, uniform):
    "Train for so many seconds of processor time: averaged parts, steps."
    text, net, scheduler = scheduler_of
    parts, averages = (text, net.to(memory_format=torch.channels_last)), [copy.deepcopy(m) for m in (text, net)]
    optimizer = make_optimizer(dict(text=text, net=net), config.lr, config.matrix_lr)
    parameters = [p for m in parts for p in m.parameters()]
    n = len(held["ids"])
    step, began = 0, time.process_time()
    while (done := (time.process_time()-began)/seconds) < 1:
        set_rate(optimizer, learning_rate(step, done, config.decay, 100))
        g = step_generator(0, step, "recipes")
        at, which = torch.randint(n, (config.batch,), generator=g), torch.randint(4, (config.batch,), generator=g)
        loss_at(config, parts, scheduler, held, scale, at, which, g, uniform).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.)
        optimizer.step()
        for p in parameters: p.grad = None
        for a, m in zip(averages, parts): update_average(a, m, min(.998, step/(step+10)))
        step += 1
    return averages, step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a finished model, whose autoencoder is used")
    parser.add_argument("--seconds", type=float, default=240., help="of processor time for each choice")
    parser.add_argument("--only", nargs="*", default=[k for k in CHOICES if not k.startswith("dit")],
                        help="these choices")
    parser.add_argument("--pictures", type=int, default=12000, help="learned from")
    parser.add_argument("--file", default=FILE, help="where results are added")
    parser.add_argument("--keep", default="", help="folder for the models, one a choice; none: they are not kept")
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = settle(replace(PretrainConfig(device="cpu"), **BASE))
    vae = AutoencoderKL.from_pretrained(Path(args.model)/"vae", torch_dtype=torch.float32).eval()
    scale = vae.config.scaling_factor
    sets = [latents(base, vae, n, first) for n, first in ((-(-args.pictures//base.chunk), 0), (30, 10**6))]
    for name in args.only:
        options = dict(CHOICES[name])
        uniform = options.pop("uniform", False)
        config = settle(replace(PretrainConfig(device="cpu"), **BASE | options))
        with tempfile.TemporaryDirectory() as place:
            tokenizer = make_tokenizer(Path(place)/"tokenizer", config.max_length, config.architecture)
        held, new = (x | dict(ids=caption_ids(config, tokenizer, said)) for x, said in sets)
        *parts, scheduler = build_denoiser(config, tokenizer)
        averages, steps = learn(config, (*parts, scheduler), held, scale, args.seconds, uniform)
        bands = score(config, averages, scheduler, new, scale)
        found = json.loads(Path(args.file).read_text()) if Path(args.file).exists() else {}
        found[name] = dict(seconds=args.seconds, steps=steps, samples=steps*config.batch, half=config.half,
                           bands=[round(b, 4) for b in bands], mean=round(sum(bands)/4, 4))
        write_json(args.file, found)
        if args.keep:
            pipe = assemble(vae, averages[0], tokenizer, averages[1], scheduler)
            pipe.save_pretrained(Path(args.keep)/config.architecture)
        print(name, found[name], flush=True)


if __name__ == "__main__": main()
