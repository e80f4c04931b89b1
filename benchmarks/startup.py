"""CPU seconds of starting, each a process of its own, in turns: help, import, and the embedded model's first picture,
with the light imports and with the ordinary ones that they replace.

    python benchmarks/startup.py --folder runs/benchmark
"""
import argparse, json, os, platform, resource, statistics, subprocess, sys
from pathlib import Path

from viewneti.core import write_json

ORDINARY = '''import roma
from diffusers import AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler, StableDiffusionPipeline
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer'''
PICTURE = '''from viewneti import ViewNeTI
ViewNeTI.from_pretrained('tiny', device='cpu').generate('a photo of an orange duck on snow', steps=10, progress=False)'''
CASES = {
    'python': ['-c', 'pass'],
    'import viewneti': ['-c', 'import viewneti'],
    'viewneti --help': ['-m', 'viewneti.cli', '--help'],
    'viewneti train --help': ['-m', 'viewneti.cli', 'train', '--help'],
    'a wrong option': ['-m', 'viewneti.cli', 'train', '--stepz', '3'],
    'import torch': ['-c', 'import torch'],
    'first picture': ['-c', PICTURE],
    'first picture, ordinary imports': ['-c', f'{ORDINARY}\n{PICTURE}'],
}


def cpu_seconds(words):
    "CPU seconds of a process and its children."
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], capture_output=True, env=os.environ | dict(OMP_NUM_THREADS='1'))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument('--folder', default='runs/benchmark')
    ask.add_argument('--repeats', type=int, default=5)
    o = ask.parse_args()
    found = {name: [] for name in CASES}
    for _ in range(o.repeats):
        for name, words in CASES.items(): found[name].append(cpu_seconds(words))
    median = {name: statistics.median(x) for name, x in found.items()}
    told = dict(machine=f'{platform.machine()}, one thread', repeats=o.repeats, cpu_seconds=median,
                spread={name: max(x)-min(x) for name, x in found.items()},
                ratio=median['first picture, ordinary imports']/median['first picture'])
    write_json(Path(o.folder)/'startup.json', told)
    print(json.dumps(told, indent=1))


if __name__ == '__main__': main()
