"""Training step, sampling and memory at Stable Diffusion 2.1's size (random weights), against the plain way: a table.

    python benchmarks/stable_diffusion.py --device cuda --folder runs/benchmark
    python benchmarks/stable_diffusion.py --size tiny     # the same on the embedded model, in a minute of a processor
"""
import argparse, gc, json, platform, statistics, tempfile, time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

from viewneti.configuration import FitConfig
from viewneti.cameras import Camera, make_encoding
from viewneti.core import step_generator, write_json
from viewneti.embedded.pretraining import make_tokenizer
from viewneti.models import ViewNeTI
from viewneti.training import Stepper, TrainingSet, draw_batch, training_loss
from plain import plain_conditioning, plain_generate, plain_loss

PROMPT = '<view>. A photo of a <object>'


def random_model(device):
    "Stable Diffusion 2.1's parts with random weights, drawn where they are used."
    with torch.device(device):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=96, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=(5, 10, 20, 20),
            cross_attention_dim=1024, use_linear_projection=True)
        text = CLIPTextModel(CLIPTextConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, vocab_size=49408,
            hidden_act='gelu', projection_dim=512))
        vae = AutoencoderKL(
            down_block_types=('DownEncoderBlock2D',)*4, up_block_types=('UpDecoderBlock2D',)*4,
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=768, scaling_factor=.18215)
    schedule = DDIMScheduler(beta_start=.00085, beta_end=.012, beta_schedule='scaled_linear', clip_sample=False,
                             prediction_type='v_prediction', set_alpha_to_one=False, steps_offset=1)
    for part in (unet, text, vae): part.requires_grad_(False).eval()
    return ViewNeTI(make_tokenizer(tempfile.mkdtemp(), 77), text, vae, unet, schedule, 'random weights')


def add_words(model, cameras):
    g = step_generator(0, 0, 'weights')
    model.add_concept('<view>', model.new_mapper('view', 'view', make_encoding('projection', cameras), generator=g))
    model.add_concept('<object>', model.new_mapper('object', 'thing', generator=g))
    return model


def cast(model, dtype):
    for part in (model.unet, model.text_encoder, model.vae): part.to(dtype)
    return model


class Clock:
    "Median seconds of a call, and the most memory it held; what the first calls set up does not count."
    def __init__(self, device): self.device = torch.device(device)
    def wait(self):
        if self.device.type == 'cuda': torch.cuda.synchronize()
    def __call__(self, f, repeats=5, warm=2):
        for _ in range(warm): f()
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        times = []
        for _ in range(repeats):
            self.wait()
            began = time.perf_counter()
            f()
            self.wait()
            times.append(time.perf_counter()-began)
        held = torch.cuda.max_memory_allocated()/2**30 if self.device.type == 'cuda' else None
        return dict(seconds=statistics.median(times), spread=max(times)-min(times), gigabytes=held)


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    ask.add_argument('--size', default='sd21', choices=('sd21', 'tiny'))
    ask.add_argument('--folder', default='runs/benchmark')
    ask.add_argument('--seconds', type=float, default=1e9, help='nothing new is begun after so many')
    ask.add_argument('--views', type=int, default=34)
    ask.add_argument('--compile', action='store_true')
    o = ask.parse_args()
    began, clock, gpu = time.perf_counter(), Clock(o.device), o.device.startswith('cuda')
    small = o.size == 'tiny'
    train_size, draw_size = ((64, 64), (64, 64)) if small else ((512, 384), (768, 576))
    cameras = [Camera.on_sphere(10*i, 20, 3.1, (0, 0, .4), size=(64, 64)) for i in range(o.views)]
    model = (ViewNeTI.from_pretrained('tiny') if small else random_model(o.device)).to(o.device)
    add_words(model, cameras)
    where = torch.cuda.get_device_name() if gpu else f'{platform.machine()}, {torch.get_num_threads()} threads'
    rows, file = [], Path(o.folder)/f'{o.size}-{"gpu" if gpu else "cpu"}.json'
    file.parent.mkdir(parents=True, exist_ok=True)

    def record(what, how, measured, **more):
        rows.append(dict(what=what, how=how, **measured, **more))
        write_json(file, dict(device=where, torch=torch.__version__, views=o.views, rows=rows))
        print(json.dumps(rows[-1]), flush=True)

    def enough(): return time.perf_counter()-began > o.seconds

    config = FitConfig(batch=3, accumulation=1, device='cuda' if gpu else 'cpu', nested_dropout=0., flip=0.)
    pictures = torch.rand(6, 3, *train_size[::-1], generator=step_generator(0, 0, 'pictures'))
    data = TrainingSet((pictures*255).byte(), [PROMPT], model.raw_cameras(cameras[:6]))
    stepper = Stepper(model, config, list(model.mappers))

    def encode():
        halves = [model.latent_distribution(p[None].float()/255) for p in data.pictures]
        data.mean, data.std = (torch.stack(x) for x in zip(*halves))

    def plain_of(_):
        seen, n = (data.pictures[:3].float()/255).to(o.device), model.latent_shape(train_size)
        g = step_generator(0, 0, 'plain')
        t = torch.randint(1000, (3,), generator=g).to(o.device)
        noise, spread = (torch.randn(3, *n, generator=g).to(o.device) for _ in range(2))
        return plain_loss(model, seen, [PROMPT]*3, data.cameras[:3].to(o.device), t, noise, spread)

    def ours_of(_): return training_loss(model, draw_batch(model, data, config, 0))

    product = {}
    def rate(dtype):
        if dtype not in product:
            n = 4096 if gpu else 1024
            a, b = (torch.randn(n, n, device=o.device, dtype=dtype) for _ in range(2))
            product[dtype] = 2*n**3/clock(lambda: a@b, 10)['seconds']
        return product[dtype]

    def floor(f, dtype):
        with FlopCounterMode(display=False) as count: f()
        return dict(operations=count.get_total_flops(), product_rate=rate(dtype))

    formats = [('float32', torch.float32, False)]
    if gpu: formats += [('TF32', torch.float32, True), ('bfloat16', torch.bfloat16, True)]
    for name, dtype, tf32 in formats:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        cast(model, dtype)
        product.clear()
        encode()
        if name != 'TF32':
            record('training step, batch 3', f'plain, {name}', clock(lambda: stepper.step(plain_of, 0), 5))
        counted = floor(lambda: stepper.step(ours_of, 0), dtype)
        record('training step, batch 3', f'ours, {name}', clock(lambda: stepper.step(ours_of, 0), 10), **counted)

    def both(dtype):  # relative difference of the two ways' conditioning
        cast(model, dtype)
        t = torch.randint(1000, (3,), generator=step_generator(0, 0, 'same')).to(o.device)
        cams = data.cameras[:3].to(o.device)
        with torch.no_grad(): a, b = plain_conditioning(model, [PROMPT]*3, t, cams), model.encode([PROMPT]*3, t, cams)
        return ((a-b).norm()/b.norm()).item()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for name, dtype in [('float32', torch.float32)] + ([('bfloat16', torch.bfloat16)] if gpu else []):
        record('conditioning, relative difference of plain and ours', name, dict(difference=both(dtype)))

    # sampling: the plain way for one picture, ours for all
    fast = torch.bfloat16 if gpu else torch.float32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    raw, steps, seeds = model.raw_cameras(cameras).to(o.device), 30, (0, 1, 2)
    plain_once = lambda: plain_generate(model, PROMPT, raw[:1], (0,), steps, 7.5, draw_size)
    cast(model, torch.float32)
    record('a picture, 30 guided steps', 'plain, one of them, TF32 or float32', clock(plain_once, 2, 1), pictures=1)
    cast(model, fast)
    record('a picture, 30 guided steps', f'plain, one of them, {fast}', clock(plain_once, 2, 1), pictures=1)
    for batch in (16, 64) if gpu else (16,):
        if enough(): break
        some = raw if small else raw[:8]
        ours = lambda: model.generate(PROMPT, some, seeds, steps, 7.5, draw_size, batch_size=batch, progress=False)
        record('a picture, 30 guided steps', f'ours, U-Net batch {batch}, {fast}', clock(ours, 1, int(small)),
               pictures=len(some)*len(seeds))
    if gpu and not enough():
        ours = lambda: model.generate(PROMPT, raw, seeds, steps, 7.5, draw_size, batch_size=64, progress=False)
        record(f'{o.views} views x 3 seeds x 30 steps', f'ours, {fast}', clock(ours, 1, 0), pictures=o.views*len(seeds))
    if o.compile and not enough():
        cast(model, fast)
        encode()
        model.unet.compile()
        compiled = clock(lambda: stepper.step(ours_of, 0), 10, 3)
        record('training step, batch 3', f'ours, compiled U-Net, {fast}', compiled)


if __name__ == '__main__': main()
