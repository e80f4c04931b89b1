"""Scenes: calibration, scene.json, pictures and masks; transforms.json; COLMAP; LLFF and IDR."""
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from viewneti import scenes
from viewneti.readers import dtu
from viewneti.world import toys

from .corpus import GONE, JSON_BOMBS, KINDS, add, bombs, edit, expect, flipped_bits, kind, put, rewrite, wrong_types
from .pictures import bad_pictures, exif, saved_as
from .reading import finite


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


def bad_data():
    kind("calibration", "data/Calibration/cal18/pos_001.txt", lambda: dtu.read_calibration("data/Calibration/cal18"),
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


def bad_arrays():
    for label, file in (("LLFF", "llff/poses_bounds.npy"), ("IDR", "idr/cameras.npz")):
        folder = file.split("/")[0]
        kind(label, file, lambda folder=folder: open_scene(folder, masks="none"), good_scene)
        expect(label, GONE, refused=False, blamed=folder)  # no cameras: a plain folder of pictures, or none
    for what, rows in dict(nan=np.full((6, 17), np.nan), zero=np.zeros((6, 17)), few=np.ones((6, 16)),
                           huge=np.full((6, 17), 1e300), words=np.array([["a"]*17]*6), objects=np.array([None]*6),
                           fewer_rows=np.ones((5, 17))).items():
        add("LLFF", what, lambda f, rows=rows: np.save(f, rows, allow_pickle=True))
    for what, M in dict(nan=np.full((4, 4), np.nan), zero=np.zeros((4, 4)), three=np.eye(3), number=np.array(3.),
                        words=np.array(["a"]), objects=np.array([None])).items():
        add("IDR", what, lambda f, M=M: np.savez(f, **{f"world_mat_{i}": M for i in range(6)}))


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
        add("transforms.json", f"matrix: {what}", edit(put(["frames", 0, "transform_matrix"], value)),
            refused=what != "three_rows")  # the fourth says nothing new
    for what, value in dict(text="a", numbers=[1], nowhere=["images/none.png"]).items():
        add("transforms.json", f"train_filenames: {what}", edit(put(["train_filenames"], value)))
    add("transforms.json", "a strong lens", edit(lambda d: d | dict(k1=-1e6)), names="rect_")
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
        add("COLMAP cameras.txt", what, text, names="sparse", refused=what != "fisheye")
    for part in ("cameras", "images"):
        add(f"COLMAP {part}.bin", "2**60 entries", lambda f: rewrite(f, lambda b: struct.pack("<Q", 1 << 60) + b[8:]),
            names="sparse")
        for i in range(4): add(f"COLMAP {part}.bin", f"bits flipped again ({i})", lambda f, i=i: flipped_bits(f, 1 + i),
                               False, "sparse")
