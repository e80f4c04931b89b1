"""A run that is stopped, killed, started twice, or short of room or memory: real processes and real file systems.
Nothing that was saved is lost, and whoever reads the message knows what to do."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from jupyter_client.manager import start_new_kernel

from viewneti import cli
from viewneti.experiment import Run
from viewneti.training import read_progress
from viewneti.world.toys import export_world

PROGRAM = Path(sys.executable).with_name("viewneti")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
LONG = 100_000  # steps: more than any test waits for
STEPS = 12


def options(scene, folder, steps=STEPS, **more):
    "The words of `viewneti train` for quick steps."
    named = dict(folder=folder, steps=steps, save_every=LONG, batch=1, accumulation=1, tracker="none",
                 device="cpu") | more
    return ["train", str(scene), *(word for name, value in named.items() for word in (f"--{name}", str(value)))]


def start(words):
    "The program, as a process of its own that takes signals as usual, also where this one ignores them."
    heed = lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGTERM)]
    return subprocess.Popen([PROGRAM, *words], env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, preexec_fn=heed)


def wait_until(reached, process=None, seconds=120):
    "Wait for something, but not for ever, and not for a process that has ended."
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not come so far"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(.05)


def is_at(folder, step):
    "Whether a process that is learning has done some steps."
    found = read_progress(folder)
    return found is not None and found["step"] >= step


def sentence(text):
    "The one sentence of the program for people, below progress bars; there must be no traceback."
    assert "Traceback" not in text, text
    found = [line for line in re.split(r"[\n\r]", text) if line.startswith("viewneti: ")]
    assert len(found) == 1, text
    return found[0]


def check_whole(folder):
    "Every checkpoint can be read, and nothing half-written lies about; returns the steps."
    run = Run(folder)
    for step in run.steps: run.load_model(step, "cpu")
    assert run.steps and not list(run.folder.rglob(".*.part"))
    return run.steps


def weights(folder):
    "All numbers that a run has learned."
    return [p.detach() for p in Run(folder).load_model(device="cpu").mappers.parameters()]


def same(folder, other): return all(torch.equal(a, b) for a, b in zip(weights(folder), weights(other)))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return export_world(tmp_path_factory.mktemp("world"), 1)[0]


@pytest.fixture(scope="module")
def calm(scene, tmp_path_factory):
    "The folder of a run that nothing disturbed."
    folder = tmp_path_factory.mktemp("calm")/"run"
    assert cli.main(options(scene, folder)) == 0
    return folder


@pytest.fixture
def disk(tmp_path):
    "A small disk of its own: a folder, and a function that mounts it again with other options."
    folder = tmp_path/"disk"
    folder.mkdir()
    mount = lambda *words: subprocess.run(["mount", *words, folder], capture_output=True).returncode == 0
    try: mounted = mount("-t", "tmpfs", "-o", "size=2200k", "none")
    except FileNotFoundError: mounted = False
    if not mounted: pytest.skip("no file system can be mounted here")
    try: yield folder, lambda how: mount("-o", f"remount,{how}")
    finally: subprocess.run(["umount", folder], check=True)


def test_signals_save_and_end_as_usual_and_a_second_process_is_refused(scene, tmp_path):
    folder, steps = tmp_path/"run", []
    for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        first = start(options(scene, folder, LONG))
        wait_until(lambda: is_at(folder, (steps or [0])[-1] + 1), first)
        if signum == signal.SIGTERM:
            second = start(options(scene, folder, LONG))
            message = sentence(second.communicate(timeout=120)[1])
            assert second.returncode == 2 and "another process is at work" in message
            assert f"process {first.pid} on " in message
            before = read_progress(folder)["step"]
            wait_until(lambda: is_at(folder, before + 1), first)  # the first goes on
        first.send_signal(signum)
        errors = first.communicate(timeout=120)[1]
        assert first.returncode == code and "Traceback" not in errors, errors
        steps = check_whole(folder)
        assert steps[-1] == read_progress(folder)["step"] < LONG
    assert len(steps) == 2 and Run(folder).log[-1]["step"] == steps[-1]//10*10


def test_a_kernel_that_is_interrupted_saves_and_can_go_on(scene, tmp_path):
    folder = tmp_path/"run"
    words = (f"FitConfig({str(scene)!r}, {str(folder)!r}, steps=%s, save_every={LONG}, batch=1, accumulation=1, "
             "tracker='none', device='cpu')")
    manager, client = start_new_kernel(env=ENVIRONMENT)
    try:
        asked = client.execute(("from viewneti.training import fit, "
                                "FitConfig\nrun = fit(") + words % LONG + ", progress=False)")
        wait_until(lambda: is_at(folder, 3))
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=120)
        while reply["parent_header"].get("msg_id") != asked: reply = client.get_shell_msg(timeout=120)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        step, = check_whole(folder)
        assert step == read_progress(folder)["step"] < LONG
        reply = client.execute(f"run = fit({words % (step + 2)}, progress=False)", reply=True, timeout=120)
        assert reply["content"]["status"] == "ok" and Run(folder).steps == [step, step + 2]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_full_and_read_only_disks_keep_what_was_saved(scene, calm, disk, capsys):
    (place, remount
     ), train = disk, lambda folder: (cli.main(options(scene, folder, save_every=1)), sentence(capsys.readouterr().err))
    folder = place/"run"
    code, message = train(folder)
    steps = check_whole(folder)
    assert code == 2 and 0 < steps[-1] < STEPS
    assert f"{folder}: the disk is full; the checkpoint of step {steps[-1]} is kept; free at least " in message
    code, message = train(folder)  # told before anything is learned
    assert code == 2 and "a checkpoint takes " in message and check_whole(folder) == steps
    assert remount("ro")
    for where in (folder, place/"new"):
        code, message = train(where)
        assert code == 2 and f"{where}: the disk is read-only; " in message and not (place/"new").exists()
    assert check_whole(folder) == steps
    assert remount("rw,size=64m")
    assert cli.main(options(scene, folder, save_every=1)) == 0
    assert Run(folder).steps == list(range(1, STEPS + 1)) and same(folder, calm)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(scene, tmp_path, capsys):
    tmp_path.chmod(0o500)
    try: assert cli.main(options(scene, tmp_path/"run")) == 2
    finally: tmp_path.chmod(0o700)
    assert "no permission" in sentence(capsys.readouterr().err)


# A process that has loaded everything starts children that learn. Each kills itself in the middle of something that it
# does in `save`: (function, where that is, a part of the path that is written or removed, which of such calls).
KILLED = """
import os, signal
from viewneti import experiment, training
MOMENTS = [('save_state', experiment, 'step-', 3), ('save_mappers', training.ViewNeTI, 'step-', 1),
           ('rmtree', experiment.shutil, 'step-2.', 1), ('write_text', training.Path, 'log.jsonl', 2)]

def killed(real, part, call):
    calls = []
    def at_work(*args, **options):
        path = next(a for a in args if isinstance(a, training.Path))
        calls.extend([path]*(part in str(path)))
        if part not in str(path) or len(calls) != call: return real(*args, **options)
        if real.__name__ == 'rmtree': (path/'optimizer.safetensors').unlink()
        elif real.__name__ == 'write_text': path.write_bytes(args[1].encode()[:20])
        else: real(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    return at_work

for name, where, part, call in MOMENTS:
    child = os.fork()
    if not child:
        setattr(where, name, killed(getattr(where, name), part, call))
        training.fit(training.FitConfig(**CONFIG), progress=False)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    run = experiment.Run(CONFIG['folder'])
    print(name, code, run.last_step, *[f.name for f in run.folder.rglob('.*.part')], flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_inside_a_checkpoint_ends_as_if_nothing_had_happened(scene, calm, tmp_path):
    folder = tmp_path/"run"
    config = dict(scene=str(scene), folder=str(folder), steps=STEPS, save_every=1, keep=1, batch=1, accumulation=1,
                  tracker="none", device="cpu")
    done = subprocess.run([sys.executable, "-c", f"CONFIG = {config!r}\n{KILLED}"], env=ENVIRONMENT, text=True,
                          capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [re.sub(r"[.][0-9]+[.]part", "", line) for line in done.stdout.splitlines()]
    assert found == [
        "save_state -9 2 .step-3", "save_mappers -9 2 .step-3", "rmtree -9 3 .step-2", "write_text -9 4 .log.jsonl"
    ]
    assert cli.main(options(scene, folder, save_every=1, keep=1)) == 0
    assert check_whole(folder) == [STEPS] and same(folder, calm) and Run(folder).log == Run(calm).log


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")
def test_missing_memory_is_told_and_the_run_goes_on_with_more(scene, calm, tmp_path):
    folder, room = tmp_path/"run", 3*2**28
    code = f"""
import resource, sys, torch
from viewneti import cli, training
used = int(open('/proc/self/statm').read().split()[0])*resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {room}, used + {room}))
first = cli.main({options(scene, tmp_path/"large", batch=20_000)!r})
hungry = lambda run, model, step: dict(view=torch.ones(3, 2**14, 2**14))
training.fit.__defaults__ = (True, hungry, *training.fit.__defaults__[2:])
sys.exit(10*first + cli.main({options(scene, folder, validate_every=5)!r}))"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, text=True, capture_output=True, timeout=120)
    assert done.returncode == 22, done.stderr[-2000:]
    large, hungry = (line for line in re.split(r"[\n\r]", done.stderr) if "viewneti: " in line)
    assert "large: not enough memory" in large and "; nothing was saved yet; try a smaller batch" in large
    assert (f"{folder}: not enough memory for 3.22 GB more; the checkpoint of step 5 is kept; try a "
            "smaller batch") in hungry
    assert check_whole(folder) == [5]
    assert cli.main(options(scene, folder)) == 0 and same(folder, calm)
