"""Names that no file has."""
from pathlib import Path

import viewneti.original.checkpoints as compat
import viewneti.original.configurations as configurations
from viewneti import evaluation, experiment, tables, scenes
from viewneti.core import read_json
from viewneti.mappers import load_mapper
from viewneti.models import ViewNeTI
from viewneti.readers import dtu, dtu_masks
from viewneti.world import meter

from .corpus import CASES, KINDS, Case, Kind
from .reading import command


PATHS = dict(zero="a\0b", nobody="~nobody-here/x", lines="a\nb", long="x"*5000, empty="",
             dots="../../../../../../nowhere", loop="loop", spaces="   ", percent="%s%n{0}",
             option="--help-me")


def bad_paths():
    "Names that no file has, to every reader."
    readers = dict(load_scene=scenes.load_scene, Run=experiment.Run, load_mapper=load_mapper, read_json=read_json,
                   load_judge=lambda p: meter.load_judge(p or "."), read_calibration=dtu.read_calibration,
                   load_original=lambda p: compat.load_original(p or "nowhere"),
                   read_results=lambda p: evaluation.read_results(p or "nowhere"),
                   load_predictions=evaluation.load_predictions,
                   find_runs=lambda p: evaluation.find_runs(p or "nowhere"),
                   find_view_mapper=lambda p: experiment.find_view_mapper(p or "nowhere"),
                   from_pretrained=lambda p: ViewNeTI.from_pretrained(p or "?"),
                   read_yaml=configurations.read_yaml, read_points=dtu_masks.read_points,
                   check_scene=lambda p: command("check", "scene", p),
                   train=lambda p: command("train", "--config_path", p or "nowhere"),
                   evaluate=lambda p: command("evaluate", p), convert=lambda p: command("convert", p, "--folder",
                           "out/x"), check_model=lambda p: command("check", "model", p),
                           summarize=lambda p: command("summarize", p))
    for reader, read in readers.items():
        KINDS[reader] = Kind(f"path for {reader}", "name", lambda read=read: read(Path("name").read_text()),
                             lambda _: False, False, ())
        for what, path in PATHS.items():
            program = reader in ("check_scene", "train", "evaluate", "convert", "check_model", "summarize")
            if what in (("zero", "option", "spaces") if program else ("long",)): continue
            def damage(file, path=path):
                file.write_text(path)
                Path("loop").symlink_to("loop")
            CASES.append(Case(KINDS[reader], what, damage, True, path[:20].strip() or ":"))
