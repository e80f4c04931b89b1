"""Run every test: each notebook with nbdev_test in a process of its own, then tests/, but not those that need a browser
(make test-browser). The last line counts them."""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from xml.etree import ElementTree

from nbdev.doclinks import nbglob

from notebooks import NBS, ROOT

MINUTES = 20  # the longest that one notebook may take


def notebooks(names):
    "All notebooks, or those whose path in nbs/ holds one of `names`; never those beside a .notest file."
    found = [nb for nb in sorted(nbglob(NBS, as_path=True)) if not (nb.parent/".notest").exists()]
    return [nb for nb in found if not names or any(name in str(nb.relative_to(NBS)) for name in names)]


def run_notebook(nb, slow, threads):
    "Run one notebook's cells in order: whether all passed, and a report."
    command = [Path(sys.executable).with_name("nbdev_test"), "--path", nb, "--do_print"]
    if slow: command += ["--flags", "slow"]
    env = {"MPLBACKEND": "Agg", **os.environ, "OMP_NUM_THREADS": str(threads)}
    start = time.monotonic()
    try: done = subprocess.run(command, cwd=ROOT, env=env, timeout=60*MINUTES, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired: passed, output = False, f"not done after {MINUTES} minutes"
    else: passed, output = done.returncode == 0, done.stdout
    report = f"{'passed' if passed else 'FAILED'}  {time.monotonic() - start:5.0f} s  {nb.relative_to(ROOT)}"
    return passed, report if passed else f"{report}\n{output}"


def run_notebooks(nbs, slow):
    "Run notebooks side by side, one a core: numbers of notebooks passed and failed."
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = max(1, min(cores, len(nbs)))
    count = {True: 0, False: 0}
    with ThreadPoolExecutor(workers) as pool:
        for future in as_completed([pool.submit(run_notebook, nb, slow, max(1, cores//workers)) for nb in nbs]):
            passed, report = future.result()
            print(report, flush=True)
            count[passed] += 1
    return count[True], count[False]


def run_pytest(slow):
    "Run tests/ where there is one, without tests/browser: numbers of tests passed and failed. Slow tests look at VIEWNETI_SLOW."
    if not (ROOT/"tests").is_dir(): return 0, 0
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp)/"report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "tests", "--ignore=tests/browser", f"--junitxml={report}"]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "VIEWNETI_SLOW": "1" if slow else ""})
        suite = ElementTree.parse(report).getroot().find("testsuite") if report.exists() else {}
    count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    return passed, failed or int(done.returncode not in (0, 5))  # 5: pytest found no test


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="test the notebooks whose path holds one of these, and not tests/")
    parser.add_argument("--slow", action="store_true", help="run the cells marked `#| slow` and the slow tests too")
    args = parser.parse_args()
    nbs = notebooks(args.names)
    if args.names and not nbs: sys.exit(f"no notebook's path holds any of: {', '.join(args.names)}")
    counts = [run_notebooks(nbs, args.slow), (0, 0) if args.names else run_pytest(args.slow)]
    passed, failed = map(sum, zip(*counts))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__": main()
