"""Scores and drawn pictures."""
import torch

from viewneti import evaluation, experiment, tables

from .corpus import DEEP, GONE, JSON_BOMBS, BYTES, add, bombs, edit, expect, kind, put, wrong_types
from .reading import each
from .tensors import bad_tensors, tensors


def read_evaluation():
    run = experiment.Run("run")
    return each(lambda: evaluation.read_results("run", 3), lambda: tables.summary_markdown(tables.summarize("run")),
                lambda: evaluation.evaluate(run, steps=1, guidance=1., masks="none", meter="none", progress=False,
                                            again=False))


def read_predictions():
    file = "run/evaluation/step-3/predictions-step-3.safetensors"
    evaluation.drawn_before(file, {}, [])
    return evaluation.load_predictions(file)


def good_predictions(found):
    pictures, about = found
    return pictures.dtype == torch.uint8 and pictures.ndim == 5 and len(about["views"]) == len(pictures)


def bad_results():
    file, data = "run/evaluation/step-3/metrics.json", ("run", "data")
    kind("metrics.json", file, read_evaluation, lambda found: found[0]["step"] == 3 and found[1].startswith("#"), True,
         data, "run/evaluation")
    expect("metrics.json", GONE, blamed="run")
    bombs("metrics.json", JSON_BOMBS)
    wrong_types("metrics.json", [(k,) for k in ("step", "evaluation", "seeds", "files", "notes", "views", "test_psnr",
                                                "nearest_view_psnr", "test_views", "train_views")]
                + [("evaluation", k) for k in ("scene", "split", "seeds", "asked", "size", "checkpoint")] + [("files",
                        "predictions"), ("files", "grids")]
                + [("seeds", 0)] + [("seeds", 0, k) for k in ("test_psnr", "seed", "retrieval_angle_median")])
    for what, value in dict(above="../../../outside.png", absolute="/etc/passwd", zero="a\0b", number=7).items():
        add("metrics.json", f"grids: {what}", edit(put(["files", "grids"], [value])))
        add("metrics.json", f"predictions: {what}", edit(put(["files", "predictions"], value)))
    name = "predictions"
    kind(name, "run/evaluation/step-3/predictions-step-3.safetensors", read_predictions, good_predictions, needs=data)
    bad_tensors(name)
    expect(name, BYTES, refused=False)
    for what, text in dict(no_json="{", deep="["*DEEP, a_list="[]", no_seeds="{}", seeds_as_text='{"seeds": "ab"}',
                           many_seeds='{"seeds": [0, 1, 2]}', no_seed='{"seeds": []}',
                           no_views='{"seeds": [0]}',
                           few_views='{"seeds": [0], "views": ["a"], "numbers": [1]}').items():
        add(name, f"about: {what}", tensors(numbers=text))
    add(name, "fractions", tensors(lambda t: {k: v.float() for k, v in t.items()}))
    add(name, "grey", tensors(lambda t: {k: v[:, :1] for k, v in t.items()}))
    add(name, "of other sizes", tensors(lambda t: {k: v[..., :-1] for k, v in t.items()}), refused=False)
