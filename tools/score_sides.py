"""Do models of the embedded world know the sides of things? For each: the gain of the true phrase over that of another
side, by category, and how often samples obey each phrase. Results are added to nbs/embedded/sides.json under the names
of the models' folders; the notebook on pretraining shows them.

    python tools/score_sides.py models/embedded runs/curriculum/two/model
"""
import argparse
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from viewneti.core import read_json, write_json
from viewneti.embedded.meter import load_meter
from viewneti.embedded.pretraining import card_history
from viewneti.embedded.scores import phrase_gain, score_phrases

FILE = Path(__file__).parent.parent/"nbs/embedded/sides.json"


def score(folder, each):
    "Samples that the denoiser learned from, gains and shares."
    pipe = DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    samples = [c["denoiser_steps"]*c["config"]["batch"] for c in card_history(read_json(folder/"card.json"))]
    phrases, _ = score_phrases(pipe, load_meter("first"), each)
    gains = {str(turn): phrase_gain(pipe, turn, 32) for turn in (90, 180)}
    return dict(samples=samples, gains=gains, phrases=phrases, each=each)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="folders of models")
    parser.add_argument("--each", type=int, default=8, help="samples a phrase")
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    found = read_json(options.file) if options.file.is_file() else {}
    for folder in options.models:
        name = folder.parent.name if folder.name == "model" else folder.name
        found[name] = score(folder, options.each)
        write_json(options.file, found)
        print(name, {turn: round(sum(g.values())/len(g), 4) for turn, g in found[name]["gains"].items()})


if __name__ == "__main__": main()
