"""The original implementation's files: configurations, checkpoints, results."""
import zipfile

import torch

import viewneti.original.checkpoints as compat
import viewneti.original.configurations as configurations
from viewneti import experiment, scenes

from .corpus import GONE, JSON_BOMBS, YAML_BOMBS, Marker, add, bombs, edit, edit_yaml, expect, kind, put, wrong_types
from .mappers import good_mapper
from .reading import finite


def read_theirs(file):
    found = configurations.read_original_config(file)
    return configurations.to_fit_config(configurations.translate_config(found, where=file)[0])


def read_original():
    found = compat.load_original("original", 5, "data")
    return found, compat.read_view_mapper("original/mapper-steps-5_view.pt",
                                          scenes.load_scene("data/Rectified/scan1").cameras), \
        configurations.convert_run("original", "out/run", calibration="data", scene="data/Rectified/scan1")


def good_original_parts(found): return all(map(good_mapper, [*found[0].concepts.values(),
                                                             found[1]])) and found[2].steps == [5]


def good_results(found): return all(r.pictures.shape == (2, 2, 3, 6, 8) and finite(r.pictures, r.truth) for r in found)


def bad_original_configurations():
    for end in ("yaml", "json"):
        name, file = f"original's {end.upper()}", f"original.{end}"
        kind(name, file, lambda file=file: read_theirs(file), lambda c: isinstance(c, experiment.FitConfig), True)
        bombs(name, YAML_BOMBS if end == "yaml" else JSON_BOMBS)
        fields = [tuple(k.split(".")) for k in compat.dotted(compat.ORIGINAL_DEFAULTS)]
        wrong_types(name, fields[:: 1 if end == "yaml" else 4] + [("data",), ("model",)], edit_yaml
                    if end == "yaml" else edit)
        add(name, "unknown field", edit_yaml(lambda c: c | dict(magic=1)))


def theirs(change):
    "Damage to a file of the original."
    def damage(file):
        content = compat.read_checkpoint(file)
        for entry in content.get("mappers", {}).values():
            held = entry["encoder"]
            entry["encoder"] = compat.FourierPositionalEncodingNDims(held._parameters["w"].detach(), held.sigmas)
        change(content)
        compat.write_checkpoint(content, file)
    return damage


def first_entry(**values): return lambda c: next(iter(c["mappers"].values())).update(values)


def weights(change):
    def changed(content):
        for entry in content["mappers"].values(): entry["state_dict"] = change(entry["state_dict"])
    return changed


def packed(file):
    "The same archive with its parts compressed, and a part that unpacks to 5 GB."
    with zipfile.ZipFile(file) as z: parts = {i.filename: z.read(i) for i in z.infolist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in parts.items():
            with z.open(name, "w", force_zip64=True) as part:
                part.write(content)
                if name.endswith("data.pkl"):
                    for _ in range(5): part.write(bytes(1 << 30))


def parts_elsewhere(file):
    with zipfile.ZipFile(file, "a") as z: z.writestr("../../evil", "x")


def bad_originals():
    needs = ("original", "data")
    for what, file in dict(view="mapper-steps-5_view.pt", object="mapper-steps-5_object.pt",
                           embeddings="learned_embeds-steps-5.bin").items():
        name = f"original's {what}"
        kind(name, f"original/{file}", read_original, good_original_parts, needs=needs)
        add(name, "an archive of 5 GB when unpacked", packed)
        add(name, "parts with paths", parts_elsewhere, refused=False)
        add(name, "code in torch's own form", lambda f: torch.save(dict(cfg=Marker(), mappers={}), f))
        add(name, "code in torch's old form", lambda f: torch.save(dict(cfg=Marker()), f,
                                                                   _use_new_zipfile_serialization=False))
        add(name, "a list", lambda f: torch.save([1, 2], f))
        if what == "embeddings":
            expect(name, GONE, refused=False)
            continue
        if what == "object": expect(name, GONE, blamed="original")
        for key, value in dict(arch_view_net=7, word_embedding_dim=10**12, target_norm_view="x", target_norm_object=[1],
                               output_bypass_alpha_object="x",
                               use_nested_dropout=[], nested_dropout_prob=9., output_bypass_view=None).items():
            add(name, f"model.{key}", theirs(lambda c, key=key, value=value: put(["cfg", "model", key], value)(c)),
                refused=False)
        for what2, change in dict(
                no_configuration=lambda c: c.pop("cfg"), configuration_as_list=put(["cfg"], []),
                no_model=put(["cfg", "model"], None),
                no_mappers=put(["mappers"], {}), mappers_as_list=put(["mappers"], [1]),
                entry_as_number=put(["mappers", "x"], 1),
                no_tensors=first_entry(state_dict={"a": 1}), token_as_number=first_entry(placeholder_object_token=7),
                token_as_list=first_entry(placeholder_object_token=[]),
                no_encoder=first_entry(encoder=None), encoder_as_text=first_entry(encoder="x"),
                one_vector=first_entry(state_dict=dict(ti_embeddings=torch.zeros(0, 16))),
                scalars=weights(lambda s: {k: torch.tensor(1.) for k in s}),
                nan=weights(lambda s: {k: v*float("nan") for k, v in s.items()}),
                stretched=weights(lambda s: s | {"net.0.bias": torch.zeros(1).expand(10**13)}),
                fewer=weights(lambda s: dict(list(s.items())[:-1])),
                another_type=weights(lambda s: {k: v > 0 for k, v in s.items()})).items():
            add(name, what2, theirs(change), refused=not what2.startswith(("token", "no_encoder", "encoder", "entry")))
        laughs = [0]
        for _ in range(30): laughs = [laughs]*9
        add(name, "laughs", theirs(put(["cfg", "model", "arch_view_net"], laughs)))
        for what2, value in dict(zero="a\0b", number=7, nobody="~nobody-here", list=[1]).items():
            add(name, f"train_data_dir: {what2}", theirs(put(["cfg", "data", "train_data_dir"], value)), refused=False)

    name = "original's results"
    kind(name, "original/results_all_iter_5.pt", lambda: compat.read_original_results("original/results_all_iter_5.pt"),
         good_results, needs=("original",))
    change = lambda **values: lambda f: torch.save(torch.load(f) | values, f)  # noqa: E731
    for what, values in dict(no_list=dict(imgs_pred=7), texts=dict(imgs_pred=["a"]),
                             shapes=dict(imgs_pred=[torch.zeros(3), torch.zeros(4)]), none=dict(imgs_pred=[]),
                             truth_as_list=dict(imgs_gt=[1]), masks_as_text=dict(masks="x"),
                             small_masks=dict(masks=torch.ones(2, 1, 6, 8)), nothing=dict(imgs_gt=None),
                             flat=dict(imgs_pred=[torch.zeros(3)], imgs_gt=torch.zeros(3), masks=torch.zeros(3)),
                             nan=dict(imgs_gt=torch.full((2, 3, 6, 8), float("nan")))).items():
        add(name, what, change(**values))
    add(name, "an archive of 5 GB when unpacked", packed)
