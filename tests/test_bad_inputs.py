"""A part of the corpus of damaged and hostile files (tools/bad_inputs), and a test of the corpus itself.

VIEWNETI_SLOW=1 (make test-slow) takes the whole corpus.
"""
import os
import pickle
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("resource")  # limits of a process, which Windows has not
sys.path.insert(0, str(Path(__file__).resolve().parent.parent/"tools"))
import bad_inputs as corpus  # noqa: E402
from viewneti.core import InputError  # noqa: E402

SLOW = bool(os.environ.get("VIEWNETI_SLOW"))


def test_the_corpus_is_large_and_always_the_same():
    kinds = Counter(case.kind.name for case in corpus.CASES)
    assert len(corpus.CASES) >= 1000 and len(kinds) >= 30 and min(kinds.values()) >= 7
    names = [(case.kind.name, case.name) for case in corpus.CASES]
    assert len(set(names)) == len(names), [k for k, n in Counter(names).items() if n > 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each case is read in a fork of this process")
def test_every_bad_file_is_refused_clearly_or_read():
    cases = corpus.run(every=1 if SLOW else 16, jobs=1)
    assert len(cases) >= 60 and len({case.kind.name for case in cases}) >= 30
    assert not [f"{c.kind.name}: {c.name}: {c.message}" for c in cases if c.outcome == "other"]
    counted = corpus.count(cases)
    assert counted["all"]["tried"] == len(cases) == counted["all"]["refused"] + counted["all"]["read"]


def refuse(words): raise InputError(words)
def write_outside(): Path("../outside").write_text("x")
def sleep(): time.sleep(60)
def die(): os._exit(3)
def run_its_code(): return pickle.loads(Path("a.bin").read_bytes())
def take_memory(): return bytearray(2*corpus.running.MEMORY)


FAULTS = {  # how a reader can fail, and what the corpus says of it
    "a bare exception": (lambda: {}["b"], "KeyError: 'b'"),
    "no name": (lambda: refuse("what is this?"), "names no 'a.bin'"),
    "many lines": (lambda: refuse("a.bin: one\ntwo"), "on 2 lines"),
    "a flood": (lambda: refuse("a.bin: " + "x"*5000), " letters on 1 lines"),
    "read as if it were good": (lambda: 1, "was read"),
    "written elsewhere": (write_outside, "wrote outside"),
    "written beside": (lambda: Path("new").touch(), "wrote here/new"),
    "its code ran": (run_its_code, "wrote code-ran"),
    "an end without a word": (die, "died with 3"),
    "a hang": (sleep, "not done after"),
    "all memory": (take_memory, "MemoryError"),
    "exit": (lambda: sys.exit(0), "SystemExit")}


@pytest.fixture
def tried(tmp_path):
    "Try a reader on a file that holds a program: the case with its outcome."
    (tmp_path/"good").mkdir()
    (tmp_path/"good/a.bin").write_bytes(b"good")
    def try_reader(read, right=bool, refused=True):
        kind = corpus.Kind("test", "a.bin", read, right, needs=("a.bin",))
        case = corpus.Case(kind, "test", corpus.a_pickle_that_runs_code, refused, "a.bin")
        corpus.run_cases([case], tmp_path/"good", tmp_path/"bad", 1)
        return case
    return try_reader


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each case is read in a fork of this process")
@pytest.mark.parametrize("name", FAULTS)
def test_the_corpus_notices(name, tried, monkeypatch):
    read, said = FAULTS[name]
    if name == "a hang": monkeypatch.setattr(corpus.running, "SECONDS", 1)
    case = tried(read)
    assert case.outcome == "other" and said in case.message, case.message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each case is read in a fork of this process")
def test_the_corpus_accepts_what_is_right(tried):
    assert tried(lambda: refuse("a.bin: expected another file")).outcome == "refused"
    assert tried(lambda: 5, lambda x: x == 5, refused=False).outcome == "read"
    case = tried(lambda: 6, lambda x: x == 5, refused=False)
    assert case.outcome == "other" and "was read: 6" in case.message
