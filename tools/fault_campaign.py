"""Kill every run of a batch with SIGKILL, at moments that are drawn, and start the batch again until all are done. What
comes out must be what an undisturbed batch gives, bit for bit, and nothing may be half-written.

    python tools/fault_campaign.py [--runs 50] [--at_once 2] [--folder runs/faults] [--seed 0]
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nbformat  # noqa: E402
import psutil  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from viewneti.batch.batches import read_batch  # noqa: E402
from viewneti.batch.executors import read_state  # noqa: E402
from viewneti.world.toys import export_world  # noqa: E402

STEPS = 12
# the moments that are looked for, in turn
WHAT = ("anywhere", "learning", "writing a checkpoint", "writing the notebook")


def write_plan(folder, runs):
    "A plan of small runs that save at every second step."
    scene, = export_world(folder/"data", scenes=1, size=(32, 24))
    plan = dict(
        notebooks=["train"], retries=0, grid=dict(seed=list(range(runs))),
        defaults=dict(scene=str(scene), steps=STEPS, save_every=2, split="3", tracker="none", batch=2, accumulation=1,
                      sampling_steps=2))
    (folder/"plan.yaml").write_text(yaml.safe_dump(plan))
    return folder/"plan.yaml"


def start_batch(plan, folder, at_once):
    "The command, as a process of its own."
    command = [
        Path(sys.executable).with_name("viewneti"), "batch", plan, "--folder", folder, "--at_once",
        str(at_once), "--retry", "true"
    ]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=open(f"{folder}.txt", "a"),
                            stderr=subprocess.STDOUT)


def moment(job):
    "What a run is doing right now, as far as its folder tells."
    folder = Path(job["folder"])
    if any((folder/"run/checkpoints").glob(".step-*")): return WHAT[2]
    saved = len(list((folder/"run/checkpoints").glob("step-*")))
    if saved*2 >= STEPS: return WHAT[3]
    return WHAT[1] if saved else WHAT[0]


def processes_of(job):
    "The process of a run and its kernel, where they live."
    try: own = psutil.Process(read_state(job["folder"])["process"])
    except (KeyError, psutil.NoSuchProcess): return []
    return [own, *own.children()]


def strike(job, rng):
    "Kill a run's process or its kernel; whether there was one."
    found = processes_of(job)
    if not found: return False
    try: rng.choice(found).send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess: return False
    return True


def disturb(plan, folder, at_once, rng):
    "Run the batch, killing each run once, at times the batch itself; again until all is done: what was killed, rounds."
    aims, killed, rounds, batch, jobs = {}, Counter(), 0, None, []
    while True:
        if batch is None or batch.poll() is not None:
            if jobs and all(read_state(job["folder"])["state"] == "done" for job in jobs): return killed, rounds
            if batch and batch.poll() == 2 and not jobs: sys.exit(Path(f"{folder}.txt").read_text())
            batch, rounds = start_batch(plan, folder, at_once), rounds + 1
        time.sleep(.01)
        if not jobs and (folder/"batch.json").is_file(): jobs = read_batch(folder)
        for i, job in enumerate(jobs):
            if aims.get(job["id"]) == "killed" or read_state(job["folder"])["state"] != "running": continue
            aim, since = aims.setdefault(job["id"], (WHAT[i % len(WHAT)], time.monotonic() + rng.uniform(0, 12)))
            now = moment(job)
            due = time.monotonic() > since if aim == WHAT[0] else now == aim
            if not (due or now == WHAT[3]) or not strike(job, rng): continue  # nobody ends unharmed
            killed[now], aims[job["id"]] = killed[now] + 1, "killed"
            if rng.random() < .1:
                batch.kill()
                killed["the batch itself"] += 1


def broken_files(folder):
    "Files that are not whole, and what writing left behind."
    readers = {
        ".json": lambda f: json.loads(f.read_text()),
        ".jsonl": lambda f: [json.loads(line)
                             for line in f.read_text().splitlines()], ".yaml": lambda f: yaml.safe_load(f.read_text()),
        ".safetensors": load_file, ".ipynb": lambda f: nbformat.validate(nbformat.read(f, 4))
    }
    found = [f"{f} (left behind)" for f in folder.rglob(".*part*")]
    for f in folder.rglob("*"):
        try: readers.get(f.suffix, lambda f: None)(f)
        except Exception as e: found.append(f"{f} ({type(e).__name__})")
    return found


def same(one, other):
    "Whether two runs learned the same, bit for bit: their last mappers and the optimizer's moments."
    files = [sorted((Path(f)/f"run/checkpoints/step-{STEPS}").glob("*.safetensors")) for f in (one, other)]
    if not files[0] or [f.name for f in files[0]] != [f.name for f in files[1]]: return False
    pairs = [(load_file(a), load_file(b)) for a, b in zip(*files)]
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in pairs)


def campaign(folder, runs, at_once, seed):
    "The whole: a dict of counts."
    folder, start = Path(folder), time.monotonic()
    folder.mkdir(parents=True)
    plan, rng = write_plan(folder, runs), random.Random(seed)
    start_batch(plan, folder/"undisturbed", at_once).wait()
    print(f"{runs} runs undisturbed: {time.monotonic() - start:.0f} s", flush=True)
    killed, rounds = disturb(plan, folder/"disturbed", at_once, rng)
    pairs = list(zip(read_batch(folder/"undisturbed"), read_batch(folder/"disturbed")))
    done = [read_state(b["folder"])["state"] == "done" for _, b in pairs]
    broken = broken_files(folder/"disturbed")
    for f in broken: print("broken:", f)
    return dict(runs=len(pairs), killed=dict(killed), started=rounds, done=sum(done),
                same=sum(same(a["folder"], b["folder"]) for a, b in pairs), broken=len(broken),
                seconds=round(time.monotonic() - start))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--at_once", type=int, default=2)
    parser.add_argument("--folder", default="runs/faults", help="a new one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if Path(args.folder).exists(): sys.exit(f"{args.folder}: there already, expected a new folder")
    found = campaign(args.folder, args.runs, args.at_once, args.seed)
    print(f"{found['runs']} runs; killed with SIGKILL: " + ", ".join(f"{n} {what}"
                                                                     for what, n in found["killed"].items()))
    print(f"the batch was started {found['started']} times; {found['done']} of {found['runs']} done, {found['same']} "
          "the same as undisturbed, "
          f"{found['broken']} files broken or left behind; {found['seconds']} s in all")
    sys.exit(found["done"] < found["runs"] or found["same"] < found["runs"] or found["broken"] > 0)


if __name__ == "__main__": main()
