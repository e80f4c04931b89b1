"""Damaged and hostile files of every kind that the package reads. Each must be refused in one sentence that names the
file, or be read correctly. Everything else is a fault: a bare traceback, a crash, a hang, a file written elsewhere,
code of the file that ran.

    python tools/bad_inputs.py [WORD ...] [--list] [--every N] [--jobs N]

Each case has a process of its own, with a limit of time and memory. WORD chooses kinds of files; --every 3 takes every
third case.
"""
import argparse
import copy
import io
import json
import multiprocessing
import os
import pickle
import random
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from multiprocessing.connection import wait
from pathlib import Path
from typing import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process with one thread can be forked
os.environ |= dict(TRANSFORMERS_VERBOSITY="error", DIFFUSERS_VERBOSITY="error", HF_HUB_OFFLINE="1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file, safe_open, save_file  # noqa: E402
from scipy.io import savemat  # noqa: E402

import viewneti.original.checkpoints as compat  # noqa: E402
import viewneti.original.configurations as configurations  # noqa: E402
from viewneti import cli, evaluation, experiment, protocol, scenes, training  # noqa: E402
from viewneti.batch import plans  # noqa: E402
from viewneti.readers import dtu  # noqa: E402
from viewneti.world import meter, pretraining, toys  # noqa: E402
from viewneti.cameras import ProjectionEncoding  # noqa: E402
from viewneti.core import InputError, read_json, write_json  # noqa: E402
from viewneti.mappers import Mapper, load_mapper  # noqa: E402
from viewneti.models import ViewNeTI  # noqa: E402

SECONDS = 20  # for one case
MEMORY = 3 << 30  # bytes beyond what the process has at its start
LONGEST = 1000  # letters of a message that people still read
OUTCOMES = ("refused", "read", "other")


@dataclass
class Kind:
    "A kind of files: a good one, who reads it, and how to tell that it was read correctly."
    name: str
    file: str  # the one that is damaged, in the folder of good files
    read: Callable  # called in a copy of the good files; returns what was read
    right: Callable = bool  # of what was read: is it what the file says?
    text: bool = False  # the file is text
    needs: tuple = ()  # which of the good files and folders are copied; those with `file` if there are none
    writes: str = "out"  # the folder that reading may change


@dataclass
class Case:
    "One bad file."
    kind: Kind
    name: str
    damage: Callable  # of the path of the file
    refused: bool = True  # reading it, even without an exception, is a fault
    names: str = ""  # must be in the message: the file's name, unless another one is to blame
    outcome: str = field(default="", init=False)
    seconds: float = field(default=0., init=False)
    message: str = field(default="", init=False)


KINDS, CASES = {}, []


def kind(name, file, read, right=bool, text=False, needs=(), writes="out"):
    "Register a kind, and the damage that can happen to every file."
    k = KINDS[name] = Kind(name, file, read, right, text, needs or (file.split("/")[0],), writes)
    for damage, refused in ANY_FILE.items(): add(name, damage.__name__, damage, refused)
    for damage, refused in (TEXT if text else {}).items(): add(name, damage.__name__, damage, refused)
    return k


def add(kind, name, damage, refused=True, names=""):
    "Register a case. `damage` is a function of the file, or its new content."
    if isinstance(damage, (bytes, str)):
        content = damage if isinstance(damage, bytes) else damage.encode()
        damage = lambda file: file.write_bytes(content)  # noqa: E731
    k = KINDS[kind]
    CASES.append(Case(k, name.replace("_", " "), damage, refused, names or Path(k.file).name))


# Damage that any file can suffer

def chance(file): return random.Random(f"{file.name}/{file.stat().st_size}")
def rewrite(file, change): file.write_bytes(change(file.read_bytes()))


def replace_file(file, make):
    file.unlink()
    make(file)


def empty(file): file.write_bytes(b"")
def missing(file): file.unlink()
def half(file): rewrite(file, lambda b: b[:len(b)//2])
def noise(file): rewrite(file, lambda b: chance(file).randbytes(len(b)))
def all_zero(file): rewrite(file, lambda b: bytes(len(b)))
def a_folder(file): replace_file(file, Path.mkdir)
def a_link_to_itself(file): replace_file(file, lambda f: f.symlink_to(f.name))
def a_link_to_nowhere(file): replace_file(file, lambda f: f.symlink_to("nowhere"))


def flipped_bits(file, n=12):
    rng, content = chance(file), bytearray(file.read_bytes())
    for _ in range(n): content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


class Marker:
    "Its pickle writes a file when it is read, if it is read as a program."
    def __reduce__(self): return exec, ("open('../code-ran', 'w')",)


def a_pickle_that_runs_code(file): file.write_bytes(pickle.dumps(Marker()))


ANY_FILE = {empty: True, missing: True, half: True, noise: True, all_zero: True, a_folder: True, a_link_to_itself: True,
            a_link_to_nowhere: True, flipped_bits: False, a_pickle_that_runs_code: True}


def utf_16(file): rewrite(file, lambda b: b.decode().encode("utf-16"))
def byte_order_mark(file): rewrite(file, lambda b: b"\xef\xbb\xbf" + b)
def latin_1(file): rewrite(file, lambda b: b[:-2] + "é".encode("latin-1") + b[-2:])
def a_zero_byte(file): rewrite(file, lambda b: b[:20] + b"\0" + b[20:])
def twice(file): rewrite(file, lambda b: b + b)


TEXT = {utf_16: True, byte_order_mark: False, latin_1: True, a_zero_byte: True, twice: False}
WRONG = dict(nothing=None, yes=True, negative=-1, fraction=.5, huge=10**400, text="<b>\n\0", nested=[[[]]],
             object={"a": 1},
             not_a_number=float("nan"), infinite=float("inf"))


def edit(change, load=json.loads, dump=json.dumps):
    "Damage to what a text file holds."
    def damage(file):
        content = load(file.read_text(encoding="utf-8"))
        new = change(content)
        file.write_text(dump(content if new is None else new), encoding="utf-8")
    return damage


def edit_yaml(change): return edit(change, yaml.safe_load, yaml.safe_dump)


def put(path, value):
    "A change: the value at a path of keys and places."
    def change(content):
        for key in path[:-1]: content = content[key]
        content[path[-1]] = value
    return change


def wrong_types(kind, fields, edit=edit, refused=False):
    "Cases: each field with a value of another type, two of the ways in turn."
    ways = list(WRONG.items())
    for i, path in enumerate(fields):
        for name, value in (ways[(2*i + j) % len(ways)] for j in range(2)):
            add(kind, f"{'.'.join(map(str, path))}: {name}", edit(put(path, value)), refused)


DEEP = 200_000
JSON_BOMBS = dict(deep="["*DEEP, deep_and_whole="["*DEEP + "]"*DEEP, deep_objects='{"a":'*DEEP, a_list="[1, 2]",
                  a_number="7",
                  nothing="null", a_text='"x"', many_digits='{"a": ' + "9"*10_000 + "}")
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}']*9)}]\n" for i in range(9))
YAML_BOMBS = dict(
    deep="a: " + "["*20_000, deep_blocks="".join(" "*i + "a:\n" for i in range(3000)), a_list="- 1\n- 2\n",
    a_number="7",
    nothing="null", broken="a: [1, 2\nb: }", tabs="a:\n\t- 1", many_digits="seed: " + "9"*10_000,
    no_date="seed: 2020-13-45",
    no_number="seed: 0b_", no_key="? [a, b]\n: 1", laughs=LAUGHS, laughs_in_a_field=LAUGHS + "scene: *j\n",
    itself="scene: &a [*a]",
    python_object="scene: !!python/object/apply:os.system ['touch ../code-ran']",
    python_name="scene: !!python/name:os.system",
    python_new="scene: !!python/object/new:os.system ['touch ../code-ran']",
    python_module="scene: !!python/module:os", include="scene: !include secret.yaml", unknown_tag="scene: !surprise 1",
    no_base64="scene: !!binary '%%%'", merge="<<: 7",
    a_huge_alias_list=f"a: &a {[0]*1000}\nscene: {['*a']*1000}".replace("'", ""))


GONE = ("missing", "a folder", "a link to itself", "a link to nowhere")
BYTES = ("not a number", "infinite", "one tensor too many")  # pictures know no nan, and nobody asks what is beside them


def expect(kind, names=None, refused=None, blamed=None):
    "Some cases of a kind, or all, may be read, or another file is to blame."
    for c in CASES:
        if c.kind.name == kind and (names is None or c.name in names):
            if refused is not None: c.refused = refused
            if blamed is not None: c.names = blamed


def bombs(kind, many):
    for name, text in many.items(): add(kind, name, text)


# Pictures

def chunk(name, data): return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(width, height):
    "A whole PNG file of one bit a pixel, all black: some hundred kilobytes."
    packer, row = zlib.compressobj(9), bytes(1 + -(-width//8))
    data = b"".join(packer.compress(row*100) for _ in range(height//100)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def with_chunk(name, data):
    "Damage: a further chunk in a PNG file, after its header."
    return lambda file: rewrite(file, lambda b: b[:33] + chunk(name, data) + b[33:])


def saved_as(format, mode="RGB", size=None, **options):
    "Damage: the picture in another format or mode, or of another size, under its old name."
    def damage(file):
        picture = Image.open(file).convert("RGB").resize(size or Image.open(file).size).convert(mode)
        picture.save(file, format, **options)
    return damage


def exif(data): return lambda file: Image.open(file).save(file, exif=b"Exif\0\0" + data)


def bad_pictures(name, png=True):
    "Cases of a kind that reads pictures."
    add(name, "60000 x 60000 pixels in a small file", lambda f: f.write_bytes(huge_png(60_000, 60_000)))
    add(name, "9000 x 9000 pixels", lambda f: f.write_bytes(huge_png(9000, 9000)))
    add(name, "a header of 2 billion pixels each way", lambda f: f.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0,
                                                          0)) + chunk(b"IDAT", b"")))
    add(name, "of no size", lambda f: f.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")))
    add(name, "a program in PostScript",
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(../code-ran) (w) file\n%%EOF\n")
    add(name, "a drawing in SVG", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    add(name, "sixteen bits", saved_as("PNG", "I;16"), refused=False)
    add(name, "numbers with fractions", saved_as("TIFF", "F"))
    for format in ("BMP", "TIFF", "GIF", "WEBP"): add(name, f"{format} under this name", saved_as(format),
                                                      refused=False)
    if png:
        add(name, "a text that unpacks to 100 MB", with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))),
            refused=False)
        add(name, "a colour profile that unpacks to 100 MB", with_chunk(b"iCCP",
                b"a\0\0" + zlib.compress(bytes(100_000_000))), False)
        add(name, "a broken chunk", with_chunk(b"tRNS", b"abc"), refused=False)
        add(name, "an unknown chunk that matters", with_chunk(b"ABCD", b"abc"), refused=False)
        add(name, "a wrong checksum", lambda f: rewrite(f, lambda b: b[:29] + b"abcd" + b[33:]))
        add(name, "its last byte missing", lambda f: rewrite(f, lambda b: b[:-13]), refused=False)
    for i in range(6): add(name, f"bits flipped again ({i})", lambda f, i=i: flipped_bits(f, 1 + i), refused=False)


# Files of tensors

def tensors(change=None, numbers=None):
    "Damage to a safetensors file: to its tensors, or to the JSON beside them."
    def damage(file):
        with safe_open(file, "pt") as f: about = f.metadata()
        content = load_file(file)
        if change: content = change(content)
        key = next((k for k in about or {} if k != "format"), None)
        if numbers and isinstance(numbers, str): about[key] = numbers
        elif numbers:
            said = json.loads(about[key])
            about[key] = json.dumps(numbers(said) or said)
        save_file({k: v.contiguous() for k, v in content.items()}, file, metadata=about)
    return damage


def header(change):
    "Damage to the header of a safetensors file."
    def damage(file):
        content = file.read_bytes()
        n = struct.unpack("<Q", content[:8])[0]
        head = json.dumps(change(json.loads(content[8:8 + n]))).encode()
        file.write_bytes(struct.pack("<Q", len(head)) + head + content[8 + n:])
    return damage


def first_tensor(**values):
    def change(head):
        name = sorted(k for k in head if k != "__metadata__")[0]
        head[name] |= values
        return head
    return change


def bad_tensors(name):
    "Cases of a kind that reads safetensors."
    add(name, "a header of 2**60 bytes", struct.pack("<Q", 1 << 60) + b"{}")
    add(name, "a header of 90 MB", lambda f: f.write_bytes(struct.pack("<Q", 90 << 20) + b" "*(90 << 20)))
    add(name, "a deep header", struct.pack("<Q", 2*DEEP) + b"["*DEEP + b"]"*DEEP)
    add(name, "no header", struct.pack("<Q", 2) + b"{}")
    add(name, "10**15 rows", header(first_tensor(shape=[10**15, 64])))
    add(name, "rows without columns", header(first_tensor(shape=[10**18, 0], data_offsets=[0, 0])))
    add(name, "negative rows", header(first_tensor(shape=[-1])))
    add(name, "offsets beyond the end", header(first_tensor(data_offsets=[0, 10**15])))
    add(name, "an unknown type", header(first_tensor(dtype="F7")))
    add(name, "another type", header(first_tensor(dtype="BOOL")))
    add(name, "a name with a path", tensors(lambda t: {f"../../{k}": v for k, v in t.items()}))
    add(name, "one tensor too few", tensors(lambda t: dict(sorted(t.items())[1:])))
    add(name, "one tensor too many", tensors(lambda t: t | dict(zz=torch.ones(3))))
    add(name, "columns and rows exchanged", tensors(lambda t: {k: v.transpose(0, -1) if v.ndim > 1 else v[None] for k,
                                                               v in t.items()}))
    add(name, "not a number", tensors(lambda t: {k: v*float("nan") if v.is_floating_point() else v for k,
                                                 v in t.items()}))
    add(name, "infinite", tensors(lambda t: {k: v + float("inf") if v.is_floating_point() else v for k,
                                             v in t.items()}))


# The good files

def good_data(top):
    "A scene of the embedded world with a few pictures; the same as COLMAP and nerfstudio give it; loose pictures."
    folder = toys.export_world(top/"data", 1, size=(32, 24))[0]
    splits = scenes.read_info(folder)["splits"]["3"]
    kept = [*splits["train"], *splits["test"][:3]]
    for f in [*folder.glob("*.png"), *(top/"data/masks/scan1").glob("*.png")]:
        number = int(f.stem) if f.stem.isdigit() else int(f.stem.split("_")[1]) - 1
        if number not in kept: f.unlink()
    (top/"plain").mkdir()
    (top/"nerf/images").mkdir(parents=True)
    for i, f in enumerate(sorted(folder.glob("*.png"))):
        if i < 2: Image.open(f).save(top/f"plain/{i}.jpg",
                                     exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
        shutil.copy(f, top/"nerf/images")
    scene = scenes.load_scene(folder)
    (top/"nerf/masks").mkdir()
    for v in scene.views: shutil.copy(v.mask_file, top/"nerf/masks"/v.path.name)
    frames = [dict(file_path=f"images/{v.path.name}", mask_path=f"masks/{v.path.name}",
                   transform_matrix=to_opengl(v.camera)) for v in scene.views]
    K = scene.views[0].camera.K
    write_json(top/"nerf/transforms.json", dict(fl_x=K[0, 0].item(), fl_y=K[1, 1].item(), cx=K[0, 2].item() + .5,
                                                cy=K[1, 2].item() + .5, w=32, h=24, frames=frames))
    good_colmap(top, scene)


def to_opengl(camera):
    M = torch.eye(4, dtype=torch.float64)
    M[:3, :3], M[:3, 3] = camera.R.T*torch.tensor([1, -1, -1]), camera.center
    return M.tolist()


def good_colmap(top, scene):
    "The scene as a model of COLMAP, as text and binary."
    try: import pycolmap
    except ImportError: return
    found, v = pycolmap.Reconstruction(), scene.views[0].camera
    found.add_camera_with_trivial_rig(pycolmap.Camera(camera_id=1, model="PINHOLE", width=32, height=24, params=[
        v.K[0, 0], v.K[1, 1], v.K[0, 2] + .5, v.K[1, 2] + .5]))
    for i, view in enumerate(scene.views):
        pose = pycolmap.Rigid3d(np.concatenate([view.camera.R.numpy(), view.camera.t[:, None].numpy()], 1))
        found.add_image_with_trivial_frame(pycolmap.Image(name=view.path.name, camera_id=1, image_id=i + 1), pose)
    for name, write in dict(colmap=found.write_text, colmapbin=found.write_binary).items():
        (top/name/"sparse/0").mkdir(parents=True)
        write(top/name/"sparse/0")
        shutil.copytree(top/"nerf/images", top/name/"images")


@lru_cache(1)
def tiny_parts(): return ViewNeTI.from_pretrained("tiny", device="cpu")


def tiny():
    "The embedded model without mappers. It is read once: the processes of the cases share it."
    m = tiny_parts()
    return ViewNeTI(copy.deepcopy(m.tokenizer), m.text_encoder, m.vae, m.unet, m.scheduler, "tiny")


def good_run(top):
    "A run of three steps that nobody trained, and its evaluation; a pretrained view mapper under a name."
    config = experiment.resolve(experiment.FitConfig(scene="data/Rectified/scan1", folder="run", split="3", steps=3,
                                                     tracker="none"))
    run, model = experiment.open_run(config), ViewNeTI.from_pretrained("tiny", device="cpu")
    stepper = learner(run, model)
    loss = sum(p.square().sum() for p in stepper.parameters)
    loss.backward()
    stepper.optimizer.step()
    run.save(model, stepper.optimizer, 3, [dict(step=n, loss=.5, lr=.009) for n in (1, 2, 3)])
    evaluation.evaluate(run, steps=1, guidance=1., masks="none", meter="none", progress=False)
    (top/"view_mappers.yaml").write_text("mine: run/checkpoints/step-3/view.safetensors\nother: elsewhere\n")


def learner(run, model):
    "A model with a run's mappers, and their optimizer."
    learned = training.add_mappers(model, run.config, {run.config.object_token: run.load_scene()})
    return training.Stepper(model, run.config, learned)


def good_original(top):
    "The original's files: a checkpoint, results, configurations in YAML and JSON."
    cameras = scenes.load_scene("data/Rectified/scan1").cameras
    new = lambda encoding=None: Mapper(16, 16, encoding, generator=torch.Generator().manual_seed(0))  # noqa: E731
    config = dict(learnable_mode=2, data=dict(train_data_dir="data/Rectified/scan1", placeholder_object_token="<thing>",
                                              dtu_subset=3,
                                              camera_representation="dtu-12d", dtu_preprocess_key=2),
                  model=dict(word_embedding_dim=16), log=dict(exp_name="mine"))
    compat.save_original({"<view>": new(ProjectionEncoding().fit(cameras)), "<thing>": new()}, "original", 5, config)
    V = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    torch.save(dict(imgs_pred=[V, V], imgs_gt=V, masks=torch.ones(2, 3, 6, 8), psnr=20.),
               "original/results_all_iter_5.pt")
    whole = compat.merge_config(config)
    whole["model"] |= dict(arch_view_net=15, arch_view_disable_tl=False, arch_mlp_hidden_dims=64, pe_sigma_exp_key=2)
    Path("original.yaml").write_text(yaml.safe_dump(whole))
    Path("original.json").write_text(json.dumps(whole))
    values, _ = configurations.translate_config(configurations.read_original_config("original.yaml"))
    Path("plan.yaml").write_text(yaml.safe_dump(dict(
        defaults=dict(model="tiny", steps=2, size=[32, 24], split="3"), evaluation=dict(sampling_steps=1),
        notebooks=["train"],
        grid=dict(scene=["data/Rectified/scan1"], mode=["scene", "object"], seed=[0, 1]), exclude=[dict(seed=1)],
        rules=[dict(when=dict(mode="object"), set=dict(lr=.01))], runs=dict(more=dict(scene="data/Rectified/scan1")))))
    Path("fit.yaml").write_text(yaml.safe_dump(values | dict(model="tiny", size=[32, 24],
                                                             scene="data/Rectified/scan1")))


def good_rest(top):
    "Models, a judge, a point cloud, a plane, a record of masks, pictures of the world."
    shutil.copytree(Path(cli.__file__).parent/"assets/tiny", top/"tiny")
    shutil.copy(Path(cli.__file__).parent/"assets/judge.safetensors", top)
    points = np.random.default_rng(0).normal(size=(50, 3)).astype("<f4")
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 50\n" + "".join(f"property float {k}\n"
            for k in "xyz") + "end_header\n"
    (top/"points.ply").write_bytes(head.encode() + points.tobytes())
    savemat(top/"plane.mat", dict(P=np.array([[0.], [0.], [1.], [2.]])))
    (top/"masks").mkdir()
    write_json(top/"masks/recomputed.json", dict(note="made", settings=dict(seed=0)))
    (top/"pictures").mkdir()
    save_file(dict(pictures=torch.zeros(4, 3, 8, 8, dtype=torch.uint8)), top/"pictures/00000.safetensors",
              metadata=dict(captions=json.dumps([["a"]]*4)))
    (top/"secret.yaml").write_text("secret")


def make_good(top):
    "All good files, in an empty folder."
    os.chdir(top)
    for make in (good_data, good_run, good_original, good_rest): make(top)


# Who reads what

def each(*calls):
    "Several readers of one file: the worst that happens counts."
    found, refused = [], None
    for call in calls:
        try: found.append(call())
        except (InputError, cli.UserError) as e: refused = refused or e
    if refused: raise refused
    return found


def finite(*values): return all(torch.as_tensor(v).isfinite().all() for v in values)
def good_view(v): return v.image().isfinite().all() and v.mask().dtype == torch.bool and (v.camera is None
        or finite(v.camera.K, v.camera.t))


def open_scene(folder, split=None, masks="auto"):
    scene = scenes.load_scene(folder, split, masks=masks)
    scene.check()
    for v in scene.views: v.mask()
    return scene


def good_scene(scene):
    facts = (scene.center, scene.up, scene.encoding().low) if len(scene.cameras) > 1 else ()
    return scene.views and all(map(good_view, scene.views)) and finite(*facts)


def read_world():
    scene = open_scene("data/Rectified/scan1", "3")
    return scene, toys.toy_of(scene), dtu.check_dtu("data").text


def right_camera(cameras):
    file = Path("data/Calibration/cal18/pos_001.txt")
    if not file.is_file(): return 0 not in cameras and len(cameras) == 47
    written = np.loadtxt(file, encoding="utf-8-sig")
    P = cameras[0].projection.numpy()
    return len(cameras) == 48 and np.allclose(P/abs(P).max(), written/abs(written).max()*np.sign((P*written).sum()))


def read_run():
    run = experiment.Run("run")
    return run, run.objects, run.prompt, run.load_scene(), run.checkpoint(), training.describe(run.config)


def read_log():
    run = experiment.Run("run")
    training.Journal(run, 3, progress=False).close()
    training.plot_losses(run)
    return run.log


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


def read_fit(): return experiment.resolve(cli.train_options(experiment.FitConfig, ["--config_path", "fit.yaml"],
                                                            "scene"))


def read_batch_plan():
    plan = plans.read_plan("plan.yaml")
    try: return plans.jobs_of(plan)
    except InputError as e: raise InputError(f"plan.yaml: {e}") from None  # a run is to blame


def good_jobs(jobs): return 0 < len(jobs) <= 20 and all("/" not in job["name"] for job in jobs)


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


def good_model(model):
    drawn = model.generate("a photo of a red car", steps=1, guidance=1., progress=False)
    return finite(model.encode("a photo of a red car", 500).detach()) and drawn.shape == (1, 1, 3, 64, 64)


def read_evaluation():
    run = experiment.Run("run")
    return each(lambda: evaluation.read_results("run", 3), lambda: protocol.summary_markdown(protocol.summarize("run")),
                lambda: evaluation.evaluate(run, steps=1, guidance=1., masks="none", meter="none", progress=False,
                                            again=False))


def read_predictions():
    file = "run/evaluation/step-3/predictions-step-3.safetensors"
    evaluation.drawn_before(file, {}, [], [0])
    return evaluation.load_predictions(file)


def good_predictions(found):
    pictures, about = found
    return pictures.dtype == torch.uint8 and pictures.ndim == 5 and len(about["views"]) == len(pictures)


def read_registered(): return experiment.load_view_mapper("mine", registry="view_mappers.yaml")
def read_world_pictures(): return pretraining.read_pictures(pretraining.PretrainConfig(folder="."))


def command(*words):
    "The program itself: its error, as people see it."
    said, before = io.StringIO(), sys.stderr
    sys.stderr = said
    try: code = cli.main([str(w) for w in words])
    finally: sys.stderr = before
    if code == 2: raise cli.UserError(re.sub(r"^.*viewneti: ", "", said.getvalue().strip(), flags=re.S))
    return code == 0


STEP = "run/checkpoints/step-3"
MODEL_PARTS = ("tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json",
               "text_encoder/config.json",
               "text_encoder/model.safetensors", "vae/config.json", "unet/config.json",
               "unet/diffusion_pytorch_model.safetensors")


def bad_data():
    kind("calibration", "data/Calibration/cal18/pos_001.txt", lambda: scenes.read_calibration("data/Calibration/cal18"),
         right_camera, True)
    name = "calibration"
    expect(name, ("missing",), refused=False)  # one camera fewer
    for what, text in dict(
            nan="nan 0 0 0\n0 1 0 0\n0 0 1 0", infinite="inf 0 0 0\n0 1 0 0\n0 0 1 0",
            overflow="1e999 0 0 0\n0 1 0 0\n0 0 1 0",
            singular="1 0 0 0\n1 0 0 0\n0 0 1 0", zero="0 0 0 0\n"*3, two_lines="1 0 0 0\n0 1 0 0",
            five_words="1 0 0 0 5\n"*3,
            hexadecimal="0x10 0 0 0\n0 1 0 0\n0 0 1 0", words="a b c d\n"*3,
            commas="1,0,0,0\n0,1,0,0\n0,0,1,0").items():
        add(name, what, text)
    add(name, "huge numbers", "1e200 0 0 0\n0 1e200 0 0\n0 0 1e200 0", refused=False)
    add(name, "tiny numbers", "1e-200 0 0 0\n0 1e-200 0 0\n0 0 1e-200 0", refused=False)
    add(name, "100 MB", lambda f: f.write_bytes(b"1 2 3 4\n"*12_500_000))

    kind("scene.json", "data/Rectified/scan1/scene.json", read_world, lambda found: good_scene(found[0]) and found[2],
         True)
    expect("scene.json", GONE, blamed="scan1")
    bombs("scene.json", JSON_BOMBS)
    wrong_types("scene.json", [(k,) for k in ("toy", "caption", "rig", "center", "up", "unit", "splits",
                                              "calibration_size")]
                + [("toy", k) for k in ("category", "color", "floor", "shape", "size")]
                + [("splits", "3"), ("splits", "3", "train"), ("splits", "3", "test")])
    for what, path, value in (("no direction", ["up"], [0, 0, 0]), ("nan in the centre", ["center"], [float("nan")]*3),
                              ("10**6 pixels", ["calibration_size"], [10**9, 10**9]),
                              ("a training camera twice", ["splits", "3", "train"], [1, 1]),
                              ("a camera that there is not", ["splits", "3", "train"], [10**30]),
                              ("two numbers", ["center"], [1, 2]),
                              ("an infinite toy", ["toy", "size"], float("inf")),
                              ("a shape of lists", ["toy", "shape"], [[1], [2], [3]])):
        add("scene.json", what, edit(put(path, value)), names="scan1")

    kind("picture PNG", "data/Rectified/scan1/rect_022_3_r5000.png", lambda: open_scene("data/Rectified/scan1"),
         good_scene)
    expect("picture PNG", ("missing",), refused=False)  # one picture fewer
    bad_pictures("picture PNG")
    add("picture PNG", "another shape", saved_as("PNG", size=(24, 24)), refused=False)
    kind("picture JPEG", "plain/0.jpg", lambda: open_scene("plain", masks="none"), good_scene)
    expect("picture JPEG", GONE, refused=False)
    bad_pictures("picture JPEG", png=False)
    add("picture JPEG", "four colours", saved_as("JPEG", "CMYK"), refused=False)
    for what, data in dict(cut=b"MM\0*\0\0\0\x08\0\xff", no_header=b"XXXXXXXX", loop=b"MM\0*\0\0\0\x08\0\x00\0\0\0\x08",
                           turn_by_text=b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01abcd\0\0\0\0",
                           turn_by_99=b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
                           far_away=b"MM\0*\xff\xff\xff\xff\0\x01",
                           two_turns=b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x02\0\x06\0\x06\0\0\0\0").items():
        add("picture JPEG", f"EXIF: {what}", exif(data), refused=False)
    kind("mask", "data/masks/scan1/021.png", lambda: open_scene("data/Rectified/scan1"), good_scene)
    bad_pictures("mask")


def bad_posed():
    kind("transforms.json", "nerf/transforms.json", lambda: open_scene("nerf"), good_scene, True)
    expect("transforms.json", GONE, blamed="nerf")
    bombs("transforms.json", JSON_BOMBS)
    wrong_types("transforms.json", [(k,) for k in ("fl_x", "fl_y", "cx", "cy", "w", "h", "frames", "camera_model", "k1",
                                                   "is_fisheye")]
                + [("frames", 0)] + [("frames", 0, k) for k in ("file_path", "transform_matrix", "mask_path")])
    for what, value in dict(above="../data/Rectified/scan1/rect_022_3_r5000.png", absolute="/etc/passwd",
                            home="~/a.png", zero="a\0b",
                            lines="images/a\nb.png", folder="images", empty="", itself="transforms.json").items():
        add("transforms.json", f"file_path: {what}", edit(put(["frames", 0, "file_path"], value)))
        add("transforms.json", f"mask_path: {what}", edit(put(["frames", 0, "mask_path"], value)),
            refused=what != "empty")
    M = np.eye(4).tolist()
    for what, value in dict(nan=[[float("nan")]*4]*4, three_rows=M[:3], zero=np.zeros((4, 4)).tolist(),
                            sheared=(np.eye(4) + np.eye(4, k=1)).tolist(),
                            huge=(np.eye(4)*1e300).tolist(), text=[["1"]*4]*4).items():
        add("transforms.json", f"matrix: {what}", edit(put(["frames", 0, "transform_matrix"], value)))
    add("transforms.json", "an angle of 400", edit(lambda d: dict(frames=d["frames"], camera_angle_x=400)))
    add("transforms.json", "a picture twice", edit(lambda d: put(["frames", 1], d["frames"][0])(d)), refused=False)

    for name, end in (("colmap", "txt"), ("colmapbin", "bin")):
        if not find_spec("pycolmap"): break
        for part in ("cameras", "images"):
            label, file = f"COLMAP {part}.{end}", f"{name}/sparse/0/{part}.{end}"
            kind(label, file, lambda name=name: open_scene(name, masks="none"), good_scene, end == "txt")
            expect(label, blamed="sparse")
            expect(label, GONE, refused=False, blamed=name)  # no model: a plain folder of pictures, or none
            if end == "txt": expect(label, ("latin 1", "a zero byte"), refused=False)  # they may be in a comment
    if "COLMAP images.txt" not in KINDS: return
    line = lambda *words: " ".join(map(str, words)) + "\n\n"  # noqa: E731
    for what, text in dict(above=line(1, 1, 0, 0, 0, 0, 0, 0, 1, "../../data/x.png"),
                           absolute=line(1, 1, 0, 0, 0, 0, 0, 0, 1, "/etc/passwd"),
                           no_camera=line(1, 1, 0, 0, 0, 0, 0, 0, 7, "rect_001_3_r5000.png"),
                           nan=line(1, *["nan"]*7, 1, "rect_001_3_r5000.png"),
                           zero=line(1, *[0]*7, 1, "rect_001_3_r5000.png"), words=line(*"abcdefghij"),
                           short=line(1, 1, 0)).items():
        add("COLMAP images.txt", what, text, names="sparse")
    for what, text in dict(fisheye="1 OPENCV_FISHEYE 32 24 9 9 9 9 0 0 0 0\n", unknown="1 MAGIC 32 24 9\n",
                           few="1 PINHOLE 32 24 9\n",
                           negative="1 PINHOLE -32 24 9 9 9 9\n", nan="1 PINHOLE 32 24 nan 9 9 9\n",
                           zero="1 PINHOLE 32 24 0 0 0 0\n",
                           huge="1 PINHOLE 99999999999999999999 24 9 9 9 9\n").items():
        add("COLMAP cameras.txt", what, text, names="sparse")
    for part in ("cameras", "images"):
        add(f"COLMAP {part}.bin", "2**60 entries", lambda f: rewrite(f, lambda b: struct.pack("<Q", 1 << 60) + b[8:]),
            names="sparse")
        for i in range(4): add(f"COLMAP {part}.bin", f"bits flipped again ({i})", lambda f, i=i: flipped_bits(f, 1 + i),
                               False, "sparse")


def bad_runs():
    data = ("run", "data")
    kind("config.yaml of a run", "run/config.yaml", read_run, lambda found: found[0].config.steps >= 0
         and found[3].train, True, data)
    bombs("config.yaml of a run", YAML_BOMBS)
    add("config.yaml of a run", "half its lines", lambda f: rewrite(f, lambda b: b"".join(b.splitlines(True)[:25])))
    wrong_types("config.yaml of a run", [(k,) for k in yaml.safe_load(yaml.safe_dump(vars(experiment.FitConfig())))],
                edit_yaml)
    for what, names, changes in (
            ("unknown mode", "", dict(mode="magic")), ("unknown field", "", dict(magic=1)),
            ("no prompt", "", dict(prompt=None)),
            ("scenes without tokens", "", dict(mode="scenes", scenes=["data/Rectified/scan1"])),
            ("no scene", "", dict(scene="")),
            ("two scenes, one token", "", dict(mode="scenes", scenes=["a", "b"], object_tokens=["<a>"])),
            ("a scene with zero", "a", dict(scene="a\0b")), ("a scene with lines", "a\nb", dict(scene="a\nb")),
            ("a scene of nobody", "~nobody-here/x", dict(scene="~nobody-here/x")),
            ("no split", "scan1", dict(split="77"))):
        add("config.yaml of a run", what, edit_yaml(lambda c, changes=changes: c | changes), names=names)
    expect("config.yaml of a run", ("masks: huge", "masks: text"), blamed="masks")

    kind("log.jsonl", "run/log.jsonl", read_log, lambda log: all(set(line) >= {"step", "loss"} for line in log), True,
         data,
         "run")
    expect("log.jsonl", ("empty", "twice", *GONE), refused=False)
    bombs("log.jsonl", JSON_BOMBS)
    for what, line in dict(no_step='{"loss": 1}', no_loss='{"step": 1}', text='{"step": "1", "loss": 1}',
                           list='{"step": [1], "loss": 1}',
                           loss_as_text='{"step": 1, "loss": "1"}', cut='{"step": 1, "lo').items():
        add("log.jsonl", what, line + "\n")

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


def bad_configurations():
    kind("FitConfig", "fit.yaml", read_fit, lambda c: isinstance(c, experiment.FitConfig), True)
    bombs("FitConfig", YAML_BOMBS)
    expect("FitConfig", ("half", "empty", "nothing"), blamed="scene")  # the field that it lacks
    wrong_types("FitConfig", [(k,) for k in yaml.safe_load(yaml.safe_dump(vars(experiment.FitConfig())))], edit_yaml)
    for c in CASES:  # the field is enough: one file was given
        if c.kind.name == "FitConfig" and ":" in c.name: c.names = c.name.split(":")[0].replace(" ", "_")
    for what, changes in dict(hidden=dict(hidden=10**9), size=dict(size=[10**6, 10**6]), lr=dict(lr=float("nan")),
                              alpha=dict(alpha=float("inf")),
                              betas=dict(betas=[.9]), magic=dict(magic=1), mode=dict(mode="magic")).items():
        add("FitConfig", what, edit_yaml(lambda c, changes=changes: c | changes), names=what)
    kind("plan", "plan.yaml", read_batch_plan, good_jobs, True, ("plan.yaml", "data"))
    bombs("plan", YAML_BOMBS)
    fields = [(k,) for k in vars(plans.Plan())] + [("grid", "seed"), ("grid", "seed", 0), ("exclude", 0), ("rules", 0),
              ("rules", 0, "when"), ("rules", 0, "set"), ("runs", "more"), ("defaults", "steps"),
              ("evaluation", "sampling_steps")]
    wrong_types("plan", fields, edit_yaml)
    for what, changes in dict(no_runs=dict(grid={}, runs={}), unknown_field=dict(magic=1), unknown_option=dict(
            defaults=dict(magic=1)), unknown_notebook=dict(notebooks=["magic"]), too_many=dict(grid={
            k: [0]*1000 for k in ("seed", "steps", "batch", "hidden")}),
            starts_from_itself=dict(rules=[dict(start_from="more")])).items():
        add("plan", what, edit_yaml(lambda c, changes=changes: c | changes))
    add("plan", "a run above", edit_yaml(lambda c: c | dict(runs={"../../x": c["runs"]["more"]})), refused=False)
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


def bad_rest():
    kind("point cloud", "points.ply", lambda: dtu.read_points("points.ply"), finite)
    head = "ply\nformat binary_little_endian 1.0\nelement vertex {}\n" + "".join(f"property float {k}\n"
            for k in "xyz") + "end_header\n"
    for what, text in dict(many=head.format(10**15), negative=head.format(-1), no_count=head.format("x"),
                           text=head.format(1).replace("binary_little_endian", "ascii") + "a b c\n",
                           nan=head.format(1).replace("binary_little_endian", "ascii") + "nan 0 0\n",
                           no_points=head.format(0), endless="ply\n" + "comment x\n"*10**5,
                           lists=head.format(1).replace("property float x",
                                                        "property list uchar float x") + "\xff").items():
        add("point cloud", what, text)
    kind("plane", "plane.mat", lambda: dtu.read_plane("plane.mat"), finite)
    kind("record of masks", "masks/recomputed.json", lambda: dtu.mask_record("masks/000.png"), lambda r: r is None
         or "note" in r, True)
    bombs("record of masks", JSON_BOMBS)
    expect("record of masks", GONE, refused=False)
    kind("pictures of the world", "pictures/00000.safetensors", read_world_pictures,
         lambda found: found[0].shape == (4, 3, 8, 8) and len(found[1]) == 4)
    bad_tensors("pictures of the world")
    expect("pictures of the world", BYTES, refused=False)
    expect("pictures of the world", GONE, blamed="pictures")


PATHS = dict(zero="a\0b", nobody="~nobody-here/x", lines="a\nb", long="x"*5000, empty="",
             dots="../../../../../../nowhere", loop="loop", spaces="   ", percent="%s%n{0}",
             option="--help-me")


def bad_paths():
    "Names that no file has, to every reader."
    readers = dict(load_scene=scenes.load_scene, Run=experiment.Run, load_mapper=load_mapper, read_json=read_json,
                   load_judge=lambda p: meter.load_judge(p or "."), read_calibration=scenes.read_calibration,
                   load_original=lambda p: compat.load_original(p or "nowhere"),
                   read_results=lambda p: evaluation.read_results(p or "nowhere"),
                   load_predictions=evaluation.load_predictions,
                   find_runs=lambda p: protocol.find_runs(p or "nowhere"),
                   find_view_mapper=lambda p: experiment.find_view_mapper(p or "nowhere"),
                   from_pretrained=lambda p: ViewNeTI.from_pretrained(p or "?"),
                   read_yaml=configurations.read_yaml, read_points=dtu.read_points,
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


for register in (bad_data, bad_posed, bad_runs, bad_configurations, bad_originals, bad_models, bad_results, bad_rest,
                 bad_paths): register()


# Running them

def contents(folder, writes):
    "What is in a folder: (path, size, time) of everything but what may change."
    found = set()
    for at, folders, files in os.walk(folder):
        folders[:] = [d for d in folders if Path(at)/d not in (folder/"tmp", folder/"here"/writes)]
        for name in folders + files:
            about = os.lstat(os.path.join(at, name))
            found.add((os.path.relpath(os.path.join(at, name), folder), None
                       if name in folders else (about.st_size, about.st_mtime_ns)))
    return found


def read_case(case, folder, pipe):
    "In a process of its own: read, and tell what came of it."
    os.chdir(folder/"here")
    os.environ |= dict(HOME=str(folder/"home"), TMPDIR=str(folder/"tmp"))
    tempfile.tempdir = None
    with open(folder.with_name(f"{folder.name}.txt"), "w") as said:
        for n in (1, 2): os.dup2(said.fileno(), n)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    warnings.simplefilter("ignore")
    own = Path("/proc/self/statm")  # Linux says there how many pages the process has
    most = int(own.read_text().split()[0])*os.sysconf("SC_PAGESIZE") + MEMORY if own.exists() else None
    if most: resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        value = case.kind.read()
        try: right = case.kind.right(value)
        except Exception as e: right, value = False, f"{type(e).__name__}: {e}"
        out = ("read", "") if right and not case.refused else ("other", f"was read: {str(value)[:200]}")
    except (InputError, cli.UserError) as e: out = ("refused", str(e))
    except BaseException as e:
        frames = traceback.extract_tb(e.__traceback__)
        at = ([f for f in frames if "/viewneti/" in f.filename] or frames)[-1]
        out = ("other", f"{type(e).__name__}: {str(e)[:300]} ({Path(at.filename).name}:{at.lineno})")
    pipe.send(out[:1] + (out[1][:5000],))
    os._exit(0)


def judge(case, before, after):
    "Is what happened as it should be?"
    named = [n for n in (case.names, repr(case.names)[1:-1]) if n in case.message]
    told = case.message.replace(named[0], "") if named else case.message
    known = {path for path, _ in before}
    written = sorted({path for path, _ in after - before} - {path for path in known if path.endswith("checkpoints")})
    wrong = None
    if written: wrong = f"wrote {', '.join(written)} ({case.outcome}: {case.message})"
    elif case.outcome == "refused" and not named: wrong = f"names no {case.names!r}: {case.message}"
    elif case.outcome == "refused" and (len(told) > LONGEST or "\n" in told):
        wrong = f"{len(told)} letters on {told.count(chr(10)) + 1} lines: {told[:300]!r}"
    if wrong: case.outcome, case.message = "other", wrong


def start(case, good, folder):
    "Copy the good files, damage one, and read it in a process: (process, pipe, files before, deadline)."
    for d in ("here", "home", "tmp"): (folder/d).mkdir(parents=True)
    for name in case.kind.needs: (shutil.copytree if (good/name).is_dir() else shutil.copy)(good/name,
            folder/"here"/name)
    (folder/"here/secret.yaml").write_text("secret")
    if not case.kind.needs: (folder/"here"/case.kind.file).write_text("")
    back = os.getcwd()
    os.chdir(folder/"here")
    try: case.damage(folder/"here"/case.kind.file)
    finally: os.chdir(back)
    before = contents(folder, case.kind.writes)
    fork, (ours, its) = multiprocessing.get_context("fork"), multiprocessing.Pipe()
    process = fork.Process(target=read_case, args=(case, folder, its))
    process.start()
    its.close()
    return process, ours, before, time.monotonic() + SECONDS


def finish(case, process, pipe, before, deadline, folder):
    "Note what came of a case."
    process.join()
    case.seconds = time.monotonic() + SECONDS - deadline
    try: case.outcome, case.message = pipe.recv() if pipe.poll() else ("other", f"died with {process.exitcode}")
    except EOFError: case.outcome, case.message = "other", f"died with {process.exitcode}"
    judge(case, before, contents(folder, case.kind.writes))
    shutil.rmtree(folder)


def run_cases(cases, good, top, jobs=2):
    "Run all cases, some at once; each is marked with its outcome."
    waiting, running = list(enumerate(cases))[::-1], {}
    while waiting or running:
        while waiting and len(running) < jobs:
            i, case = waiting.pop()
            running[i] = (case, *start(case, good, top/str(i)))
        wait([process.sentinel for _, process, *_ in running.values()], timeout=.2)
        for i, (case, process, pipe, before, deadline) in list(running.items()):
            late = time.monotonic() > deadline
            if process.is_alive() and not late: continue
            if process.is_alive(): process.kill()
            finish(case, process, pipe, before, deadline, top/str(i))
            if late and case.message.startswith("died"): case.message = f"not done after {SECONDS} seconds"
            del running[i]


def count(cases):
    "Kind -> how many were tried, refused, read, other; and all of them."
    rows = {}
    for c in cases:
        for name in (c.kind.name, "all"):
            row = rows.setdefault(name, dict.fromkeys(("tried", *OUTCOMES), 0))
            row["tried"] += 1
            row[c.outcome] += 1
    return rows | dict(all=rows.pop("all"))


def run(words=(), every=1, jobs=2):
    "Make good files, damage them, read them: the cases with their outcomes."
    cases = [c for c in CASES if not words or any(w.lower() in f"{c.kind.name}: {c.name}".lower()
                                                  for w in words)][::every]
    with tempfile.TemporaryDirectory() as top:
        good = Path(top).resolve()/"good"
        good.mkdir()
        maker = multiprocessing.get_context("fork").Process(target=make_good, args=(good,))
        maker.start()
        maker.join()
        if maker.exitcode: sys.exit("the good files could not be made")
        tiny_parts()
        controls = [Case(k, "undamaged", lambda f: None, False) for k in {c.kind.name: c.kind for c in cases
                if c.kind.needs}.values()]
        print(len(cases), "cases")
        for some in controls, cases:
            run_cases(some, good, Path(top).resolve()/"bad", jobs)
            for c in controls:
                if c.outcome != "read": sys.exit(f"{c.kind.name}: the good file was not read: {c.message}")
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only kinds and cases whose name holds one of these")
    parser.add_argument("--list", action="store_true", help="show every case and its message")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth case")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0))
                        if hasattr(os, "sched_getaffinity") else os.cpu_count(), metavar="N")
    args = parser.parse_args()
    cases = run(args.words, args.every, args.jobs)
    for c in cases:
        if args.list or c.outcome == "other":
            print(f"{c.outcome:8} {c.kind.name}: {c.name} ({c.seconds:.1f} s)\n         {c.message}")
    print(cli.table([[name, *row.values()] for name, row in count(cases).items()],
                    ["kind", "tried", "refused clearly", "read", "other"]))
    sys.exit(any(c.outcome == "other" for c in cases))


if __name__ == "__main__": main()
