"""Point clouds, planes, records of masks, and drawn pictures of the world."""
from viewneti import scenes
from viewneti.readers import dtu_masks
from viewneti.world import pretraining

from .corpus import BYTES, GONE, JSON_BOMBS, add, bombs, expect, kind
from .reading import finite
from .tensors import bad_tensors


def read_world_pictures(): return pretraining.read_pictures(pretraining.PretrainConfig(folder="."))


def bad_rest():
    kind("point cloud", "points.ply", lambda: dtu_masks.read_points("points.ply"), finite)
    head = "ply\nformat binary_little_endian 1.0\nelement vertex {}\n" + "".join(f"property float {k}\n"
            for k in "xyz") + "end_header\n"
    for what, text in dict(many=head.format(10**15), negative=head.format(-1), no_count=head.format("x"),
                           text=head.format(1).replace("binary_little_endian", "ascii") + "a b c\n",
                           nan=head.format(1).replace("binary_little_endian", "ascii") + "nan 0 0\n",
                           no_points=head.format(0), endless="ply\n" + "comment x\n"*10**5,
                           lists=head.format(1).replace("property float x",
                                                        "property list uchar float x") + "\xff").items():
        add("point cloud", what, text)
    kind("plane", "plane.mat", lambda: dtu_masks.read_plane("plane.mat"), finite)
    kind("record of masks", "masks/recomputed.json", lambda: scenes.mask_record("masks/000.png"), lambda r: r is None
         or "note" in r, True)
    bombs("record of masks", JSON_BOMBS)
    expect("record of masks", GONE, refused=False)
    kind("pictures of the world", "pictures/00000.safetensors", read_world_pictures,
         lambda found: found[0].shape == (4, 3, 8, 8) and len(found[1]) == 4)
    bad_tensors("pictures of the world")
    expect("pictures of the world", BYTES, refused=False)
    expect("pictures of the world", GONE, blamed="pictures")
