"""Lists of what was asked for, and calibrations of meters."""
import json
from pathlib import Path

import numpy as np

from viewneti.scoring import angles, calibration, meters

from .corpus import JSON_BOMBS, add, bombs, edit, expect, kind, put, wrong_types

ROWS = [dict(file=f"{i}.png", azimuth=40.5*i, elevation=12., category="car", prompt="a car") for i in range(9)]


def good_lists(top):
    "The same list as CSV, as JSON and as ORIBENCH's, and the calibration of a meter."
    text = "file,azimuth,elevation\n" + "".join(f"{r['file']},{r['azimuth']},{r['elevation']}\n" for r in ROWS)
    (top/"asked.csv").write_text(text)
    (top/"asked.json").write_text(json.dumps(ROWS))
    (top/"bench.json").write_text(json.dumps([dict(prompts="a car", orientations=[[[[30*i, 90, 90]]]], phrases=["car"])
                                              for i in range(9)]))
    known = calibration.Known(None, np.arange(20.)*17, np.full(20, 10.), np.array(["car"]*20), np.arange(20))
    seen = [meters.Reading(a+i % 3, 11., recognised=1.) for i, a in enumerate(known.azimuth)]
    found = dict(meter=instrument().identity(), relative=False, pictures=20, seed="x",
                 trials=dict(exact=calibration.trial(known, seen)))
    (top/"calibration.json").write_text(json.dumps(found))


def blind(picture, scene): return None
def instrument(): return meters.find_meter(blind)
def read_calibration(): return calibration.remarks(calibration.find_calibration(instrument(), "calibration.json"))


def bad_lists():
    read = lambda name: lambda: angles.read_asked(name)  # noqa: E731
    right = lambda found: len(found) >= 1 and bool(np.isfinite(found.azimuth).all())  # noqa: E731
    kind("list of views, CSV", "asked.csv", read("asked.csv"), right, True)
    expect("list of views, CSV", ["half"], refused=False)  # a shorter list; the pictures that it lacks are missed later
    for what, text in dict(no_columns="\n\n", only_a_head="file,azimuth\n", quotes='file,azimuth\n"a,3\n',
                           words="file,azimuth\na,b\n",
                           nan="file,azimuth\na,nan\n", huge="file,azimuth\na,1e999\n", long="file,azimuth\na,1,2,3\n",
                           same_columns="azimuth,azimuth\n1,2\n", again="file,azimuth\na,1\na,2\n",
                           wide="file,azimuth\n" + "a"*200_000 + ",1\n").items():
        add("list of views, CSV", what, text, refused=what != "wide")
    for name in ("asked.json", "bench.json"):
        kind(f"list of views, {name}", name, read(name), right, True)
        bombs(f"list of views, {name}", JSON_BOMBS)
    wrong_types("list of views, asked.json", [(0, k) for k in ("file", "azimuth", "category", "prompt")])
    wrong_types("list of views, bench.json", [(0, k) for k in ("prompts", "orientations", "phrases")])
    kind("calibration of a meter", "calibration.json", read_calibration, lambda said: "exact renders" in said[0], True)
    bombs("calibration of a meter", JSON_BOMBS)
    wrong_types("calibration of a meter", [("meter",), ("trials",), ("trials", "exact"),
                                           *[("trials", "exact", k) for k in ("flips_interval", "azimuth_median")]])
