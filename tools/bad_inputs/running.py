"""Each case in a process of its own, with a limit of time and memory; and whether what happened is as it should be."""
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from multiprocessing.connection import wait
from pathlib import Path

from viewneti import cli
from viewneti.core import InputError

from .corpus import CASES, Case
from .good import make_good, tiny_parts


SECONDS = 20  # for one case
MEMORY = 3 << 30  # bytes beyond what the process has at its start
LONGEST = 1000  # letters of a message that people still read
OUTCOMES = ("refused", "read", "other")


def contents(folder, writes):
    "What is in a folder: (path, size, time) of everything but what may change."
    found = set()
    for at, folders, files in os.walk(folder):
        folders[:] = [d for d in folders if Path(at)/d not in (folder/"tmp", folder/"here"/writes)]
        for name in folders + files:
            about = os.lstat(os.path.join(at, name))
            found.add((os.path.relpath(os.path.join(at, name), folder), None
                       if name in folders else (about.st_size, about.st_mtime_ns)))
    return found


def read_case(case, folder, pipe):
    "In a process of its own: read, and tell what came of it."
    os.chdir(folder/"here")
    os.environ |= dict(HOME=str(folder/"home"), TMPDIR=str(folder/"tmp"), VIEWNETI_CACHE=str(folder/"tmp/cache"))
    tempfile.tempdir = None
    with open(folder.with_name(f"{folder.name}.txt"), "w") as said:
        for n in (1, 2): os.dup2(said.fileno(), n)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    warnings.simplefilter("ignore")
    own = Path("/proc/self/statm")  # Linux says there how many pages the process has
    most = int(own.read_text().split()[0])*os.sysconf("SC_PAGESIZE") + MEMORY if own.exists() else None
    if most: resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        value = case.kind.read()
        try: right = case.kind.right(value)
        except Exception as e: right, value = False, f"{type(e).__name__}: {e}"
        out = ("read", "") if right and not case.refused else ("other", f"was read: {str(value)[:200]}")
    except (InputError, cli.UserError) as e: out = ("refused", str(e))
    except BaseException as e:
        frames = traceback.extract_tb(e.__traceback__)
        at = ([f for f in frames if "/viewneti/" in f.filename] or frames)[-1]
        out = ("other", f"{type(e).__name__}: {str(e)[:300]} ({Path(at.filename).name}:{at.lineno})")
    pipe.send(out[:1] + (out[1][:5000],))
    os._exit(0)


def judge(case, before, after):
    "Is what happened as it should be?"
    named = [n for n in (case.names, repr(case.names)[1:-1]) if n in case.message]
    told = case.message.replace(named[0], "") if named else case.message
    known = {path for path, _ in before}
    written = sorted({path for path, _ in after - before} - {path for path in known if path.endswith("checkpoints")})
    wrong = None
    if written: wrong = f"wrote {', '.join(written)} ({case.outcome}: {case.message})"
    elif case.outcome == "refused" and not named: wrong = f"names no {case.names!r}: {case.message}"
    elif case.outcome == "refused" and (len(told) > LONGEST or "\n" in told):
        wrong = f"{len(told)} letters on {told.count(chr(10)) + 1} lines: {told[:300]!r}"
    if wrong: case.outcome, case.message = "other", wrong


def start(case, good, folder):
    "Copy the good files, damage one, and read it in a process: (process, pipe, files before, deadline)."
    for d in ("here", "home", "tmp"): (folder/d).mkdir(parents=True)
    for name in case.kind.needs: (shutil.copytree if (good/name).is_dir() else shutil.copy)(good/name,
            folder/"here"/name)
    (folder/"here/secret.yaml").write_text("secret")
    if not case.kind.needs: (folder/"here"/case.kind.file).write_text("")
    back = os.getcwd()
    os.chdir(folder/"here")
    try: case.damage(folder/"here"/case.kind.file)
    finally: os.chdir(back)
    before = contents(folder, case.kind.writes)
    fork, (ours, its) = multiprocessing.get_context("fork"), multiprocessing.Pipe()
    process = fork.Process(target=read_case, args=(case, folder, its))
    process.start()
    its.close()
    return process, ours, before, time.monotonic() + SECONDS


def finish(case, process, pipe, before, deadline, folder):
    "Note what came of a case."
    process.join()
    case.seconds = time.monotonic() + SECONDS - deadline
    try: case.outcome, case.message = pipe.recv() if pipe.poll() else ("other", f"died with {process.exitcode}")
    except EOFError: case.outcome, case.message = "other", f"died with {process.exitcode}"
    judge(case, before, contents(folder, case.kind.writes))
    shutil.rmtree(folder)


def run_cases(cases, good, top, jobs=2):
    "Run all cases, some at once; each is marked with its outcome."
    waiting, running = list(enumerate(cases))[::-1], {}
    while waiting or running:
        while waiting and len(running) < jobs:
            i, case = waiting.pop()
            running[i] = (case, *start(case, good, top/str(i)))
        wait([process.sentinel for _, process, *_ in running.values()], timeout=.2)
        for i, (case, process, pipe, before, deadline) in list(running.items()):
            late = time.monotonic() > deadline
            if process.is_alive() and not late: continue
            if process.is_alive(): process.kill()
            finish(case, process, pipe, before, deadline, top/str(i))
            if late and case.message.startswith("died"): case.message = f"not done after {SECONDS} seconds"
            del running[i]


def count(cases):
    "Kind -> how many were tried, refused, read, other; and all of them."
    rows = {}
    for c in cases:
        for name in (c.kind.name, "all"):
            row = rows.setdefault(name, dict.fromkeys(("tried", *OUTCOMES), 0))
            row["tried"] += 1
            row[c.outcome] += 1
    return rows | dict(all=rows.pop("all"))


def run(words=(), every=1, jobs=2):
    "Make good files, damage them, read them: the cases with their outcomes."
    cases = [c for c in CASES if not words or any(w.lower() in f"{c.kind.name}: {c.name}".lower()
                                                  for w in words)][::every]
    with tempfile.TemporaryDirectory() as top:
        good = Path(top).resolve()/"good"
        good.mkdir()
        maker = multiprocessing.get_context("fork").Process(target=make_good, args=(good,))
        maker.start()
        maker.join()
        if maker.exitcode: sys.exit("the good files could not be made")
        tiny_parts()
        controls = [Case(k, "undamaged", lambda f: None, False) for k in {c.kind.name: c.kind for c in cases
                if c.kind.needs}.values()]
        print(len(cases), "cases")
        for some in controls, cases:
            run_cases(some, good, Path(top).resolve()/"bad", jobs)
            for c in controls:
                if c.outcome != "read": sys.exit(f"{c.kind.name}: the good file was not read: {c.message}")
    return cases
