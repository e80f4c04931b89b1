"""Models of the embedded world, and its judge."""
import torch

from viewneti.models import ViewNeTI
from viewneti.world import meter

from .corpus import GONE, JSON_BOMBS, Marker, add, edit, expect, kind, put
from .reading import finite
from .tensors import bad_tensors, tensors


MODEL_PARTS = ("tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json",
               "text_encoder/config.json",
               "text_encoder/model.safetensors", "vae/config.json", "unet/config.json",
               "unet/diffusion_pytorch_model.safetensors")


def good_model(model):
    drawn = model.generate("a photo of a red car", steps=1, guidance=1., progress=False)
    return finite(model.encode("a photo of a red car", 500).detach()) and drawn.shape == (1, 1, 3, 64, 64)


def bad_models():
    for part in MODEL_PARTS:
        name = f"model: {part.split('/')[0]}" + (" weights" if part.endswith("tensors") else " options"
                                                 if "_config" in part and "token" in part else "")
        kind(name, f"tiny/{part}", lambda: ViewNeTI.from_pretrained("./tiny", device="cpu"), good_model,
             part.endswith("json"))
        expect(name, blamed="tiny")
    for name in ("model: text_encoder weights", "model: unet weights"):
        add(name, "a tensor too few", tensors(lambda t: dict(sorted(t.items())[1:])), names="tiny")
        add(name, "another shape", tensors(lambda t: {k: v[..., :-1] for k, v in t.items()}), names="tiny")
        add(name, "code in a file .bin", lambda f: (torch.save(dict(a=Marker()), f.with_suffix(".bin")), f.unlink()),
            names="tiny")
    expect("model: tokenizer options", GONE, refused=False)
    for name, changes in {
            "model: unet": dict(block_out_channels=[-1], cross_attention_dim="x", sample_size=None,
                                layers_per_block=10**9, in_channels=10**12, down_block_types=["os.system"],
                                attention_head_dim=0, act_fn="exec", _class_name="os.system", sample_size_huge=10**12),
            "model: vae": dict(block_out_channels=[], scaling_factor="x", latent_channels=-4, sample_size=10**12,
                               norm_num_groups=0),
            "model: text_encoder": dict(hidden_size=10**9, num_hidden_layers=10**9, vocab_size=-1,
                                        num_attention_heads=0, hidden_act="exec",
                                        auto_map={"AutoModel": "evil.py--Evil"},
                                        max_position_embeddings="x"),
            "model: scheduler": dict(num_train_timesteps=10**12, beta_schedule="magic", prediction_type="magic",
                                     beta_end="x", beta_start=float("nan"))}.items():
        for key, value in changes.items():
            add(name, f"{key}: {str(value)[:12]}", edit(put([key.replace("_huge", "")], value)), refused=False,
                names="tiny")
        bombs_here = dict(JSON_BOMBS)
        for what in ("deep", "a_list", "many_digits"): add(name, what, bombs_here[what], refused=what != "many_digits",
                                                           names="tiny")
    add("model: tokenizer", "no vocabulary", edit(put(["model", "vocab"], {})), names="tiny")
    add("model: tokenizer", "numbers beyond the embeddings", edit(lambda t: t["model"]["vocab"].update(zzz=10**6)),
        names="tiny")
    add("model: tokenizer options", "longest prompt as text", edit(put(["model_max_length"], "x")), refused=False,
        names="tiny")
    add("model: tokenizer options", "a class of its own", edit(put(["auto_map"],
                                                                   {"AutoTokenizer": ["evil.py--Evil", None]})),
                                                                   refused=False, names="tiny")
    kind("judge", "judge.safetensors", lambda: meter.load_judge("judge.safetensors"),
         lambda j: finite(*(p.detach() for p in j.parameters())))
    bad_tensors("judge")
