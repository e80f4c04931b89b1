"""Which recipe of the denoiser learns most in equal processor time? Each choice learns from the same fresh weights for
so many seconds of one core, on latents of a finished autoencoder, decaying to the end; then its average is scored on
held-out pictures, in four bands of timesteps. Results are added to nbs/embedded/recipes.json, which the notebook on
pretraining shows.

    python tools/compare_recipes.py MODEL --seconds 240 --only muon-32 adamw-16
"""
import argparse
import copy
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTokenizer

from viewneti.core import step_generator, write_json
from viewneti.embedded.pretraining import (
    PretrainConfig, build_denoiser, denoiser_loss, learning_rate, make_optimizer, set_rate, settle,
    stratified_timesteps, stream_latents, update_average)

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
}


def latents(config, vae, tokenizer, chunks, first):
    "Chunks from number `first` on, as one dict of tensors."
    stream = stream_latents(config, vae, tokenizer, first)
    found = [next(stream) for _ in range(chunks)]
    return {k: torch.cat([f[k] for f in found]) for k in found[0]}


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
            out = parts[1](scheduler.add_noise(x, e, s), s, parts[0](held["ids"][i:i+50, 0]).last_hidden_state).sample
        for error, step in zip((out.float()-scheduler.get_velocity(x, e, s)).square().mean((1, 2, 3)), s):
            bands[int(step)*4//1000].append(error.item())
    return [sum(b)/len(b) for b in bands]


def learn(config, tokenizer, scheduler_of, held, scale, seconds, uniform):
    "Train for so many seconds of processor time: averaged parts, steps."
    text, unet, scheduler = scheduler_of
    parts, averages = (text, unet.to(memory_format=torch.channels_last)), [copy.deepcopy(m) for m in (text, unet)]
    optimizer = make_optimizer(dict(text=text, unet=unet), config.lr, config.matrix_lr)
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
    parser.add_argument("model", help="folder of a finished model, whose autoencoder and tokenizer are used")
    parser.add_argument("--seconds", type=float, default=240., help="of processor time for each choice")
    parser.add_argument("--only", nargs="*", default=list(CHOICES), help="these choices")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, base = Path(args.model), settle(replace(PretrainConfig(device="cpu"), **BASE))
    vae = AutoencoderKL.from_pretrained(model/"vae", torch_dtype=torch.float32).eval()
    tokenizer, scale = CLIPTokenizer.from_pretrained(model/"tokenizer"), vae.config.scaling_factor
    held, new = latents(base, vae, tokenizer, 750, 0), latents(base, vae, tokenizer, 30, 10**6)
    for name in args.only:
        options = dict(CHOICES[name])
        uniform = options.pop("uniform", False)
        config = replace(base, **options)
        *parts, scheduler = build_denoiser(config, tokenizer)
        averages, steps = learn(config, tokenizer, (*parts, scheduler), held, scale, args.seconds, uniform)
        bands = score(config, averages, scheduler, new, scale)
        found = json.loads(FILE.read_text()) if FILE.exists() else {}
        found[name] = dict(seconds=args.seconds, steps=steps, samples=steps*config.batch, half=config.half,
                           bands=[round(b, 4) for b in bands], mean=round(sum(bands)/4, 4))
        write_json(FILE, found)
        print(name, found[name], flush=True)


if __name__ == "__main__": main()
