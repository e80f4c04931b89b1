"""Digests of a whole DTU before a batch: every picture read once, then known by its size and time. The pictures are
files without contents (sparse), so what is measured is the processor's work; reading from a disk comes on top.

    python benchmarks/hashing.py --folder runs/benchmark
"""
import argparse, os, platform, shutil, tempfile, time
from pathlib import Path

from viewneti.batch.plans import kept_digests
from viewneti.core import write_json


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument('--folder', default='runs/benchmark')
    ask.add_argument('--scans', type=int, default=88)
    ask.add_argument('--pictures', type=int, default=343, help='of a scan: 49 cameras with seven lights')
    ask.add_argument('--bytes', type=int, default=2_450_000, help="of a picture: the mean of DTU's rectified ones")
    o = ask.parse_args()
    place, seconds = Path(tempfile.mkdtemp()), {}
    os.environ['VIEWNETI_CACHE'] = str(place/'cache')
    for scan in range(o.scans):
        (place/f'scan{scan}').mkdir()
        for i in range(o.pictures):
            with open(place/f'scan{scan}'/f'rect_{i:03}.png', 'wb') as f: f.truncate(o.bytes + i)
    for turn in ('first', 'again'):
        began, clock = time.process_time(), time.perf_counter()
        for scan in range(o.scans): kept_digests(sorted((place/f'scan{scan}').glob('*.png')))
        seconds[turn] = dict(processor=time.process_time() - began, clock=time.perf_counter() - clock)
    shutil.rmtree(place)
    found = dict(machine=f'{platform.machine()}, {os.cpu_count()} cores', scans=o.scans, pictures=o.pictures,
                 bytes=o.bytes, seconds=seconds)
    write_json(Path(o.folder)/'hashing.json', found)
    print(found)


if __name__ == '__main__': main()
