"""The embedded models on one thread of a processor, plain and ours in turns, in CPU seconds: a training step of nine
pictures and guided pictures (the plain way's for one picture, extrapolated). `sd21` stands for Stable Diffusion 2.1's
shapes with random weights: a training step of one picture at 512x384 (12 GB of memory, some twenty minutes).

    OMP_NUM_THREADS=1 python benchmarks/processor.py --folder runs/benchmark
"""
import argparse, json, platform, statistics, time
from pathlib import Path

import torch

from viewneti.bench.bench import PROMPT, operations, product_rate, with_words
from viewneti.configuration import FitConfig
from viewneti.core import read_json, step_generator, write_json
from viewneti.models import ViewNeTI
from viewneti.training import Stepper, TrainingSet, draw_batch, training_loss
from plain import plain_generate, plain_loss
from stable_diffusion import random_model


def in_turns(repeats, **ways):
    "Median CPU seconds of each way, called in turns after one call that does not count."
    times = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, f in ways.items():
            began = time.process_time()
            f()
            times[name].append(time.process_time() - began)
    return {name: statistics.median(x[1:]) for name, x in times.items()}


def measure_training(model, cameras, size, repeats):
    "A training step on as many pictures as cameras: the ratio, the share of the floor, the most there could be."
    n = len(cameras)
    pictures = torch.rand(n, 3, *size[::-1], generator=step_generator(0, 0, 'pictures'))
    mean, std = (x[:, None] for x in model.latent_distribution(pictures))
    data = TrainingSet((pictures*255).byte(), [PROMPT], cameras, mean, std)
    config = FitConfig(batch=n, accumulation=1, device='cpu', nested_dropout=0., flip=0.)
    stepper = Stepper(model, config, list(model.mappers))

    def plain_of(_):
        b = draw_batch(model, data, config, 0)
        return plain_loss(model, pictures, [PROMPT]*n, cameras, b.timesteps, b.noise, torch.randn_like(b.latents))
    ours = lambda: stepper.step(lambda _: training_loss(model, draw_batch(model, data, config, 0)), 0)
    plain, rate = lambda: stepper.step(plain_of, 0), product_rate()
    train = in_turns(repeats, plain=plain, ours=ours)
    counted = {'plain': operations(plain), 'ours': operations(ours)}
    return dict(training=train['plain']/train['ours'], floor=counted['ours']/rate/train['ours'],
                most=train['plain']*rate/counted['ours'], pictures=n, size=list(size), operations=counted,
                product_rate=rate, cpu_seconds=dict(training=train))


def measure(name, repeats):
    "Ratios for one model."
    if name == 'sd21': return measure_training(*with_words(random_model('cpu'), 1), (512, 384), repeats)
    model, cameras = with_words(ViewNeTI.from_pretrained(name, device='cpu'), 9)
    (_, h, w), factor = model.latent_shape(), model.backbone.vae_scale_factor
    size, views, seeds = (w*factor, h*factor), cameras[:2], (0, 1, 2)
    found = measure_training(model, cameras, size, repeats)
    one = lambda: plain_generate(model, PROMPT, views[:1], (0,), 30, 7.5, size)
    all_ = lambda: model.generate(PROMPT, views, seeds, 30, 7.5, size, progress=False)
    some = lambda: model.generate(PROMPT, views, seeds, 30, 7.5, size, progress=False, guidance_interval=(200, 800))
    draw = in_turns(1, plain=one, ours=all_, interval=some)
    whole, part, other = all_(), some(), model.generate(PROMPT, views, (3, 4, 5), 30, 7.5, size, progress=False)
    off = lambda x: (x - whole).abs().mean().item()
    found['cpu_seconds']['sampling'] = draw
    return found | dict(sampling=6*draw['plain']/draw['ours'], interval=draw['ours']/draw['interval'],
                        interval_off=off(part), seeds_off=off(other))


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument('--folder', default='runs/benchmark')
    ask.add_argument('--models', nargs='+', default=['tiny', 'models/embedded'])
    ask.add_argument('--repeats', type=int, default=5)
    o = ask.parse_args()
    file = Path(o.folder)/'processor.json'
    machine = f'{platform.machine()}, {torch.get_num_threads()} thread'
    told = (read_json(file) if file.is_file() else {}) | dict(machine=machine, torch=torch.__version__)
    for name in o.models:
        told[name] = measure(name, o.repeats)
        write_json(file, told)
        print(json.dumps({name: told[name]}, indent=1), flush=True)


if __name__ == '__main__': main()
