"""Run every test: each notebook with nbdev_test, each file of tests/ with pytest, but not those that need a browser
(make test-browser). The last line counts them."""
import argparse
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from xml.etree import ElementTree

from execnb.nbio import read_nb
from nbdev.doclinks import nbglob

from notebooks import NBS, ROOT

MINUTES = 20  # the longest that one notebook may take
# Each test has a process of its own, forked from one that has imported these: ten seconds less for each.
PRELOADED = ["nbdev.test", "pytest", "torch", "torchvision", "accelerate", "matplotlib.pyplot", "scipy.stats",
             "skimage.metrics", "transformers.models.clip.modeling_clip", "transformers.models.t5.modeling_t5",
             "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion"]
CONTEXT = multiprocessing.get_context("forkserver")
FIRST = ("tutorials", "runs")  # whole experiments: begun last, they would end long after all others


def is_slow(nb):
    "Whether the first cell of code is marked `#| slow`, as that of a notebook which is slow as a whole."
    first = next((cell.source for cell in read_nb(nb).cells if cell.cell_type == "code"), "")
    return "#| slow" in first.splitlines()


def notebooks(names, slow=False):
    """All notebooks, or those whose path in nbs/ holds one of `names`; never those beside a .notest file, and of those
    that are slow as a whole none unless `slow`."""
    found = [nb for nb in sorted(nbglob(NBS, as_path=True)) if not (nb.parent/".notest").exists()]
    found = [nb for nb in found if not names or any(name in str(nb.relative_to(NBS)) for name in names)]
    return sorted((nb for nb in found if slow or not is_slow(nb)), key=lambda nb: nb.parent.name not in FIRST)


def own_process(connection, folder, run, args, slow, threads):
    "In the new process: `run(*args)`, what it prints in `folder/log`; sends the status and the seconds of processor."
    os.setsid()
    os.chdir(ROOT)
    os.environ |= {"VIEWNETI_SLOW": "1" if slow else "", "TMPDIR": str(folder)}
    tempfile.tempdir = None  # it was found out before
    multiprocessing.set_start_method(None, force=True)  # the platform's own, for what the test itself starts
    out = os.open(folder/"log", os.O_WRONLY | os.O_CREAT)
    for fd in (1, 2): os.dup2(out, fd)
    import torch
    torch.set_num_threads(threads)
    try: status = run(*args)
    except SystemExit as e: status = e.code
    for stream in (sys.stdout, sys.stderr): stream.flush()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    connection.send((int(status or 0), sum(u.ru_utime + u.ru_stime for u in used)))


def in_process(folder, run, args, slow, threads, minutes):
    "Run that in a process: status (None if it died or was not done in time), seconds of processor, what it printed."
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=own_process, args=(theirs, folder, run, args, slow, threads))
    process.start()
    theirs.close()
    try: status, used = ours.recv() if ours.poll(60*minutes) else (None, 0)
    except EOFError: status, used = None, 0
    process.join(0 if status is None else 10)
    try: os.killpg(process.pid, signal.SIGKILL)  # with all that it left running
    except ProcessLookupError: pass
    process.join()
    output = (folder/"log").read_text(errors="replace") if (folder/"log").exists() else ""
    return status, used, output if status is not None else f"{output}\nnot done after {minutes} minutes, or killed"


def execute_notebook(path, flags):
    from nbdev.test import nbdev_test
    return nbdev_test(path=path, flags=flags, do_print=True)


def run_notebook(nb, slow, threads):
    "Run one notebook's cells in order: 1 and 0 if all passed, else 0 and 1, and a report."
    start = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        args = str(nb), "slow" if slow else ""
        status, used, output = in_process(Path(folder), execute_notebook, args, slow, threads, MINUTES)
    passed = status == 0
    report = (f"{'passed' if passed else 'FAILED'}  {time.monotonic() - start:5.0f} s  {used:5.0f} s of processor  "
              f"{nb.relative_to(ROOT)}")
    return int(passed), int(not passed), report if passed else f"{report}\n{output}"


def execute_file(*arguments):
    import pytest
    return pytest.main(list(arguments))


def run_pytest(file, slow, threads):
    "Run one file of tests: numbers of tests passed and failed, and a report. Slow tests look at VIEWNETI_SLOW."
    start = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        xml = Path(folder)/"report.xml"
        args = "-q", "-p", "no:anyio", str(file), f"--junitxml={xml}", f"--basetemp={folder}/tests"
        status, used, output = in_process(Path(folder), execute_file, args, slow, threads, MINUTES*(3 if slow else 1))
        suite = ElementTree.parse(xml).getroot().find("testsuite") if xml.exists() else {}
    count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"] or int(status not in (0, 5))  # 5: pytest found no test
    passed = count["tests"] - count["failures"] - count["errors"] - count["skipped"]
    report = (f"{'FAILED' if failed else 'passed'}  {time.monotonic() - start:5.0f} s  {used:5.0f} s of processor  "
              f"{file.relative_to(ROOT)} ({passed} tests, {count['skipped']} skipped)")
    return passed, failed, f"{report}\n{output}" if failed else report


def run_all(nbs, files, slow):
    "Notebooks and files of tests side by side, one a core: numbers passed and failed."
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = max(1, min(cores, len(nbs) + len(files)))
    threads, counts = max(1, cores//workers), []
    os.environ.setdefault("MPLBACKEND", "Agg")        # read by what is imported, as is the next
    os.environ["OMP_NUM_THREADS"] = str(threads)
    CONTEXT.set_forkserver_preload(PRELOADED)
    with ThreadPoolExecutor(workers) as pool:
        for future in as_completed([pool.submit(run_pytest, f, slow, threads) for f in files]
                                   + [pool.submit(run_notebook, nb, slow, threads) for nb in nbs]):
            *count, report = future.result()
            print(report, flush=True)
            counts.append(count)
    return map(sum, zip(*counts))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="test the notebooks whose path holds one of these, and not tests/")
    parser.add_argument("--slow", action="store_true", help="run the cells marked `#| slow` and the slow tests too")
    args = parser.parse_args()
    nbs = notebooks(args.names, args.slow)
    if args.names and not nbs: sys.exit(f"no notebook's path holds any of: {', '.join(args.names)} (slow ones need --slow)")
    files = [] if args.names else sorted((ROOT/"tests").glob("test_*.py"))
    passed, failed = run_all(nbs, files, args.slow)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__": main()
