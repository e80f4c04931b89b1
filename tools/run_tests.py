"""Run every test: each notebook with nbdev_test, each file of tests/ with pytest, but not those that need a browser
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
    "Run one notebook's cells in order: 1 and 0 if all passed, else 0 and 1, and a report."
    command = [Path(sys.executable).with_name("nbdev_test"), "--path", nb, "--do_print"]
    if slow: command += ["--flags", "slow"]
    env = {"MPLBACKEND": "Agg", **os.environ, "OMP_NUM_THREADS": str(threads)}
    start = time.monotonic()
    try: done = subprocess.run(command, cwd=ROOT, env=env, timeout=60*MINUTES, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired: passed, output = False, f"not done after {MINUTES} minutes"
    else: passed, output = done.returncode == 0, done.stdout
    report = f"{'passed' if passed else 'FAILED'}  {time.monotonic() - start:5.0f} s  {nb.relative_to(ROOT)}"
    return int(passed), int(not passed), report if passed else f"{report}\n{output}"


def run_pytest(file, slow, threads):
    "Run one file of tests: numbers of tests passed and failed, and a report. Slow tests look at VIEWNETI_SLOW."
    start, env = time.monotonic(), {
        "MPLBACKEND": "Agg", **os.environ, "OMP_NUM_THREADS": str(threads), "VIEWNETI_SLOW": "1" if slow else ""
    }
    with tempfile.TemporaryDirectory() as tmp:
        xml = Path(tmp)/"report.xml"
        command = [sys.executable, "-m", "pytest", "-q", file, f"--junitxml={xml}", f"--basetemp={tmp}/tests"]
        try:
            done = subprocess.run(command, cwd=ROOT, env=env, timeout=60 * MINUTES * (3 if slow else 1), text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired: return 0, 1, f"FAILED  {file.relative_to(ROOT)}: not done in time"
        suite = ElementTree.parse(xml).getroot().find("testsuite") if xml.exists() else {}
    count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"] or int(done.returncode not in (0, 5))  # 5: pytest found no test
    passed = count["tests"] - count["failures"] - count["errors"] - count["skipped"]
    report = (f"{'FAILED' if failed else 'passed'}  {time.monotonic() - start:5.0f} s  {file.relative_to(ROOT)} "
              f"({passed} tests, {count['skipped']} skipped)")
    return passed, failed, f"{report}\n{done.stdout}" if failed else report


def run_all(nbs, files, slow):
    "Notebooks and files of tests side by side, one a core: numbers passed and failed."
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = max(1, min(cores, len(nbs) + len(files)))
    threads, counts = max(1, cores//workers), []
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
    nbs = notebooks(args.names)
    if args.names and not nbs: sys.exit(f"no notebook's path holds any of: {', '.join(args.names)}")
    files = [] if args.names else sorted((ROOT/"tests").glob("test_*.py"))
    passed, failed = run_all(nbs, files, args.slow)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__": main()
