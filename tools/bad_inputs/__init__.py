"""Damaged and hostile files of every kind that the package reads. Each must be refused in one sentence that names the
file, or be read correctly. Everything else is a fault: a bare traceback, a crash, a hang, a file written elsewhere,
code of the file that ran.

    python tools/bad_inputs [WORD ...] [--list] [--every N] [--jobs N]

Each case has a process of its own, with a limit of time and memory. WORD chooses kinds of files; --every 3 takes every
third case. `corpus` says what a case is, `good` makes the good files, `running` tries them; the other modules are the
kinds.
"""
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process with one thread can be forked
os.environ |= dict(TRANSFORMERS_VERBOSITY="error", DIFFUSERS_VERBOSITY="error", HF_HUB_OFFLINE="1")

from . import lists, mappers, models, originals, others, paths, plans, results, runs, running, scenes  # noqa: E402
from .corpus import CASES, KINDS, Case, Kind, a_pickle_that_runs_code  # noqa: E402, F401
from .running import count, run, run_cases  # noqa: E402, F401

for register in (scenes.bad_data, scenes.bad_posed, scenes.bad_arrays, runs.bad_runs, mappers.bad_mappers,
                 plans.bad_configurations, originals.bad_original_configurations, originals.bad_originals,
                 models.bad_models, results.bad_results, others.bad_rest, lists.bad_lists, paths.bad_paths): register()
