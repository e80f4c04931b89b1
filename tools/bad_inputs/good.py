"""The good files: a scene in several layouts, a run, the original's files, models, and the rest."""
import copy
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

import viewneti.original.checkpoints as compat
import viewneti.original.configurations as configurations
from viewneti import cli, evaluation, experiment, scenes, training
from viewneti.cameras import ProjectionEncoding
from viewneti.core import write_json
from viewneti.mappers import Mapper
from viewneti.models import ViewNeTI
from viewneti.world import toys

from .lists import good_lists


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
    for name in ("llff", "idr"): shutil.copytree(top/"nerf/images", top/name/"image")
    (top/"llff/image").rename(top/"llff/images")
    rows = [np.append(np.stack([c.R[1], c.R[0], -c.R[2], c.center, np.array([24, 32, c.K[0, 0]])], 1), [1, 9])
            for c in (v.camera for v in scene.views)]
    np.save(top/"llff/poses_bounds.npy", np.array(rows))
    matrices = {f"world_mat_{i}": v.camera.projection.numpy() for i, v in enumerate(scene.views)}
    np.savez(top/"idr/cameras.npz", **matrices)


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
    for make in (good_data, good_run, good_original, good_rest, good_lists): make(top)
