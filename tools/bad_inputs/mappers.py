"""What a run has learned: concepts, mappers, the optimizer's state, and the registry that names view mappers."""
import os
import shutil

import torch

import viewneti.original.configurations as configurations
from viewneti import evaluation, experiment
from viewneti.core import InputError
from viewneti.mappers import load_mapper

from .corpus import DEEP, GONE, JSON_BOMBS, WRONG, YAML_BOMBS, add, bombs, edit, expect, kind, put, wrong_types
from .good import learner, tiny
from .reading import each, finite
from .tensors import bad_tensors, tensors


STEP = "run/checkpoints/step-3"


def read_concepts():
    model = tiny()
    return each(lambda: model.load_mappers("run/checkpoints/step-3"), lambda: experiment.load_view_mapper("run"),
                lambda: evaluation.checkpoint_digest("run/checkpoints/step-3"), resume,
                lambda: fails_only_in_words("run"))


def fails_only_in_words(run):
    "Exporting a run of the embedded model stops for its layers, after its files were read."
    try: configurations.export_run(run, "out")
    except InputError as e:
        if "layers" not in str(e): raise
    return True


def resume():
    run, model = experiment.Run("run"), tiny()
    stepper = learner(run, model)
    step = run.resume(model, stepper.optimizer)
    for p in stepper.parameters: p.grad = torch.ones_like(p)
    stepper.optimizer.step()
    return step == 3 and finite(*(p.detach() for p in stepper.parameters))


def good_mapper(m):
    camera = None if m.encoding is None else torch.zeros(2, m.encoding.dim)
    answer = m(torch.tensor([1., 500.]), torch.tensor([0., 3.]), camera)
    return finite(*(x.detach() for x in answer))


def read_registered(): return experiment.load_view_mapper("mine", registry="view_mappers.yaml")


def bad_mappers():
    data = ("run", "data")
    kind("mappers.json", f"{STEP}/mappers.json", read_concepts, all, True, data)
    expect("mappers.json", GONE, blamed="run")
    bombs("mappers.json", JSON_BOMBS)
    wrong_types("mappers.json", [("concepts",), ("concepts", 0), ("concepts", 0, "token"), ("concepts", 0, "file"),
                                 ("model",)])
    for what, value in dict(above="../../../../outside.safetensors", absolute="{here}/../outside.safetensors",
                            folder=".", home="~/view.safetensors",
                            zero="a\0b", lines="a\nb.safetensors", empty="", subfolder="x/../view.safetensors",
                            absent="other.safetensors").items():
        def damage(file, value=value):
            shutil.copy(file.with_name("view.safetensors"), "../outside.safetensors")
            edit(put(["concepts", 0, "file"], value.format(here=os.getcwd())))(file)
        add("mappers.json", f"file: {what}", damage, names="other.safetensors" if what == "absent" else "")

    def link_outside(file):
        view = file.with_name("view.safetensors").rename("../outside.safetensors").resolve()
        file.with_name("view.safetensors").symlink_to(view)
    add("mappers.json", "a link that leads outside", link_outside, refused=False)
    for what, value in dict(space="<a b>", empty="", path="<../../x>", known="<object>").items():
        add("mappers.json", f"token: {what}", edit(put(["concepts", 0, "token"], value)), refused=what != "path")
    add("mappers.json", "no concepts", edit(put(["concepts"], [])))

    kind("mapper", f"{STEP}/view.safetensors", lambda: load_mapper(f"{STEP}/view.safetensors"), good_mapper,
         needs=("run",))
    bad_tensors("mapper")
    for what, text in dict(no_json="{", deep="["*DEEP, a_list="[]", a_number="7", no_kind="{}", a_text='"x"').items():
        add("mapper", f"configuration: {what}", tensors(numbers=text))
    for key in ("dim", "layers", "hidden", "reference_norm", "alpha", "bypass", "normalize", "nested_dropout",
                "reference", "sigmas", "encoding"):
        for what, value in list(WRONG.items())[len(key) % 4::4]:
            add("mapper", f"{key}: {what}", tensors(numbers=lambda said, key=key, value=value: put(["config", key],
                    value)(said)), refused=False)
    for what, path, value in (("10**12 words", ["config", "dim"], 10**12),
                              ("10**9 hidden", ["config", "hidden"], 10**9), ("0 layers", ["config", "layers"], 0),
                              ("another class", ["kind"], "os.system"), ("a free token", ["kind"], "FreeToken"),
                              ("further argument", ["config", "magic"], 1),
                              ("two sigmas", ["config", "sigmas"], [1, 2]),
                              ("encoding without name", ["config", "encoding", "name"], None),
                              ("encoding as list", ["config", "encoding", "name"], []),
                              ("encoding of 3 numbers", ["config", "encoding", "low"], [1, 2, 3]),
                              ("encoding of nan", ["config", "encoding", "low"], [float("nan")]*12),
                              ("encoding of text", ["config", "encoding", "low"], ["a"]*12),
                              ("encoding with a method", ["config", "encoding", "scale"], [1]),
                              ("encoding without low", ["config", "encoding", "low"], None)):
        add("mapper", what, tensors(numbers=lambda said, path=path, value=value: put(path, value)(said)))

    kind("optimizer state", f"{STEP}/optimizer.safetensors", resume, needs=data)
    bad_tensors("optimizer state")
    for what, text in dict(no_json="{", a_list="[]", no_step="{}", text='{"step": "3"}', negative='{"step": -3}',
                           fraction='{"step": 3.5}', another='{"step": 4}').items():
        add("optimizer state", f"numbers: {what}", tensors(numbers=text))
    for what, change in dict(no_number=lambda t: {k.replace("/0/", "/x/"): v for k, v in t.items()},
                             no_parameter=lambda t: t | {"optimizer/999/step": torch.tensor(1.)},
                             no_name=lambda t: t | {"optimizer/0": torch.tensor(1.)},
                             long_name=lambda t: t | {"optimizer/0/a/b": torch.tensor(1.)},
                             whole_numbers=lambda t: {k: v.long() for k, v in t.items()}).items():
        add("optimizer state", what, tensors(change))

    kind("registry", "view_mappers.yaml", read_registered, good_mapper, True, ("view_mappers.yaml", *data))
    bombs("registry", YAML_BOMBS)
    for what, text in dict(number="mine: 7", list="mine: [a]", nobody="mine: ~nobody-here/x", zero='mine: "a\\0b"',
                           nothing_there="mine: nowhere",
                           registry="mine: view_mappers.yaml", lines='mine: "a\\nb"',
                           folder="mine: run/checkpoints").items():
        add("registry", what, text, names="run/checkpoints" if what == "folder" else "")
