"""The original's four configuration files and the commands of its README, on scenes in DTU's layout: 49 and 64 pictures.

The files are written here from what they say, field by field; only the model is another, a small random one. Lines are
the README's, with options of ours after them: few steps, small pictures.
"""
import os
import shlex
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from viewneti import cli
from viewneti.cameras import Camera, ProjectionEncoding, read_projection
from viewneti.evaluation import read_metrics
from viewneti.experiment import Run, open_scene
from viewneti.mappers import Mapper
from viewneti.original import checkpoints
from viewneti.original.checkpoints import load_original, read_original_results, save_original
from viewneti.original.commands import train_options
from viewneti.original.configurations import read_original_config
from viewneti.practice import write_practice_model
from viewneti.readers.dtu import DTU_EVALUATED, DTU_TRAIN_ORDER, DTU_TRAIN_SCANS, REGNERF_VIEWS
from viewneti.world import toys

slow = pytest.mark.skipif(not os.environ.get("VIEWNETI_SLOW"), reason="slow: VIEWNETI_SLOW=1 runs it")
OURS = "--size 64 48 --steps 2 --batch 1 --sampling_steps 1 --device cpu"     # what makes a trial of a training
QUICK = "--num_denoising_steps 1 --masks none --size 64 48 --draw_size 64 48 --meter none --device cpu"

DATA = dict(placeholder_object_token="<object>", fixed_object_token_or_path="object",
            super_category_object_token="object", super_category_view_token="view", dataloader_num_workers=0,
            camera_representation="dtu-12d", dtu_subset=0, dtu_lighting=3, augmentation_key=7)
MODEL = dict(use_nested_dropout=False, nested_dropout_prob=.5, arch_mlp_hidden_dims=64,
             normalize_object_mapper_output=True, normalize_view_mapper_output=True,
             use_positional_encoding_object=True, use_positional_encoding_view=True,
             pe_sigmas=dict(sigma_t=.03, sigma_l=2., sigma_phi=2.,
                            sigma_theta=2.), num_pe_time_anchors=10, output_bypass_object=True, output_bypass_view=True,
             word_embedding_dim=1024, arch_view_disable_tl=False, arch_view_net=15, arch_view_mix_streams=0,
             pe_sigma_exp_key=2, output_bypass_alpha_view=5, output_bypass_alpha_object=5)


def configuration(model, data, shown, every=1500, steps=10000):
    "One of the three files for training: what they share, and what differs."
    return dict(
        learnable_mode=3, log=dict(exp_name="train", overwrite_ok=False, exp_dir="results", save_steps=every,
                                   report_to="tensorboard"),
        data=data | DATA, model=dict(pretrained_model_name_or_path=str(model)) | MODEL,
        eval=dict(validation_steps=every, num_denoising_steps=30, validation_seeds=[0, 1], num_validation_images=2,
                  eval_placeholder_object_tokens=shown),
        optim=dict(max_train_steps=steps, learning_rate="1e-3", train_batch_size=3, gradient_accumulation_steps=3))


def configurations(model):
    "The original's input_configs: file -> fields."
    all88 = [f"scan{n}" for n in DTU_TRAIN_SCANS]
    four = dict(train_data_dir="data/dtu/Rectified", super_category_object_tokens=["object"]*4)
    return {
        "train.yaml": configuration(model, dict(train_data_dir="data/dtu/Rectified/scan114"),
                                    ["<skull>", "<statue>", "<statue2>", "<toy>"]),
        "train_m3.yaml": configuration(model, four | dict(
            train_data_subsets=["scan65", "scan125", "scan7", "scan105"],
            placeholder_object_tokens=["<skull>", "<statue>", "<statue2>", "<toy>"]), ["<skull>", "<statue>", "<toy>"]),
        "train_m3_88scenes.yaml": configuration(model, four | dict(
            train_data_subsets=all88, placeholder_object_tokens=[f"<{s}>" for s in all88]),
            ["<scan97>", "<scan33>", "<scan65>", "<scan20>", "<scan106>", "<scan32>"], 5000, 50000),
        "inference.yaml": dict(input_dir="results/exp", iteration=1500, seeds=[0, 1], torch_dtype="fp16",
                               num_denoising_steps=30)}


def rig64(size):
    "DTU's 49 cameras, and 15 more, as it has for scans from 77 on."
    more = [Camera.on_sphere(20*i - 110, 20 + 3*i, 3.3, toys.LOOK_AT, size=size) for i in range(15)]
    return toys.dtu_rig(size) + more


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A folder as the README's reader has it: data, configurations, a small model with sixteen layers."
    here, top = os.getcwd(), tmp_path_factory.mktemp("original")
    os.chdir(top)
    toys.RIGS["rig64"] = rig64, None
    root = Path("data/dtu")
    whole, part = (toys.export_scene(toys.Toy(*toy), root, n, "rig64", (64, 48))
                   for n, toy in ((114, ("dog", "orange", "sand")), (65, ("house", "yellow", "sand"))))
    for folder, kept in ((whole, 64), (part, 49)):
        for i in range(49, 64):
            file = folder/f"rect_{i + 1:03d}_3_r5000.png"
            file.rename(file.with_name(file.name.replace("r5000", "r7000"))) if kept == 64 else file.unlink()
        assert len(list(folder.glob("*.png"))) == kept
    for i, n in enumerate(sorted({7, *DTU_TRAIN_SCANS} - {65})):
        (root/f"Rectified/scan{n}").symlink_to((whole, part)[i % 2].resolve())
    teapot = Path("data/datasets_mode0/colorful_teapot")
    teapot.mkdir(parents=True)
    for i, file in enumerate(sorted(part.glob("*.png"))[:4]): shutil.copy(file, teapot/f"{i}.png")
    write_practice_model("model", "sd-1.5")
    Path("input_configs").mkdir()
    for name, fields in configurations("model").items(): Path("input_configs", name).write_text(yaml.safe_dump(fields))
    yield top
    os.chdir(here)
    del toys.RIGS["rig64"]


def viewneti(capsys, line, code=0):
    "What a command line prints."
    assert cli.main(shlex.split(line)) == code, capsys.readouterr()
    return capsys.readouterr().out


TRAININGS = dict(
    test_mode2="--config_path input_configs/train.yaml --log.exp_name test_mode2 --learnable_mode 2 "
               "--optim.max_train_steps 3000 "
               "--data.train_data_dir data/dtu/Rectified/scan114 --data.dtu_subset 6",
    mode0_teapot="--config_path input_configs/train.yaml --log.exp_name mode0_teapot --learnable_mode 0 "
                 "--data.train_data_dir "
                 "data/datasets_mode0/colorful_teapot/ --log.save_steps 150 --eval.validation_steps 150 "
                 "--optim.max_train_steps 1000",
    mode2_scan114="--config_path input_configs/train.yaml --log.exp_name mode2_scan114 --learnable_mode 2 "
                  "--optim.max_train_steps 3000 --data.train_data_dir data/dtu/Rectified/scan114 --data.dtu_subset 6",
    mode3_4scenes="--config_path input_configs/train_m3.yaml --log.exp_name mode3_4scenes --learnable_mode 3 "
                  "--data.train_data_dir data/dtu/Rectified --data.dtu_subset 0 --optim.max_train_steps 60000",
    mode5_scan114="--config_path input_configs/train.yaml --log.exp_name mode5_scan114 --learnable_mode 5 "
                  "--data.train_data_dir "
                  "data/dtu/Rectified/scan114 --data.dtu_subset 1 --optim.max_train_steps 3000 "
                  "--model.pretrained_view_mapper_key 8",
    train_m3_88scenes="--config_path input_configs/train_m3_88scenes.yaml --log.exp_name train_m3_88scenes")


def test_what_the_commands_mean(place, capsys):
    meant = {name: train_options(shlex.split(line)) for name, line in TRAININGS.items()}
    assert {c.folder: c.mode for c in meant.values()} == {
        f"results/{name}": mode
        for name, mode in zip(TRAININGS, ("scene", "object", "scene", "scenes", "frozen", "scenes"))
    }
    assert [c.steps for c in meant.values()] == [3000, 1000, 3000, 60000, 3000, 50000]
    many = meant["train_m3_88scenes"]
    assert len(many.scenes) == len(set(many.object_tokens)) == len(many.object_words) == 88
    assert set(many.object_words) == {"object"} and many.scene_per == "batch" and many.size == [512, 384]
    assert "4 words are not one for each of 88 scenes" in capsys.readouterr().out


def test_the_repository_has_the_four_files_too():
    top = Path(__file__).parents[1]/"input_configs"
    assert {f.name for f in top.glob("*.yaml")} == set(configurations(""))
    ours, theirs = (read_original_config(None, dict(c)) for c in (
        yaml.safe_load((top/"train_m3_88scenes.yaml").read_text()), configurations("")["train_m3_88scenes.yaml"]))
    for name in ("train_data_subsets", "placeholder_object_tokens"): assert ours["data"][name] == theirs["data"][name]


def test_results_of_88_scenes_are_converted(place, capsys, monkeypatch):
    complete = checkpoints.original_config
    def as_given(view, objects, config):
        "The original saves what it was given: four words."
        full = complete(view, objects, config)
        full["data"]["super_category_object_tokens"] = ["object"]*4
        return full
    monkeypatch.setattr(checkpoints, "original_config", as_given)
    root = Path("data/dtu")
    P = torch.stack([read_projection(f).flatten() for f in sorted((root/"Calibration/cal18").glob("*.txt"))])
    g = torch.Generator().manual_seed(0)
    new = lambda encoding=None: Mapper(32, 16, encoding, reference_norm=2., alpha=5., generator=g)
    mappers = {"<view>": new(ProjectionEncoding().fit(P))} | {f"<scan{n}>": new() for n in DTU_TRAIN_SCANS}
    config = read_original_config("input_configs/train_m3_88scenes.yaml")
    save_original(mappers, "results/theirs", 50000, config)
    saved = load_original("results/theirs").config["data"]
    assert (len(saved["super_category_object_tokens"]), len(saved["placeholder_object_tokens"])) == (4, 88)
    viewneti(capsys, "convert results/theirs --folder results/ours")
    run = Run("results/ours")
    assert len(run.objects) == 88 and run.steps == [50000]
    assert torch.equal(
        run.load_model(device="cpu").mappers["<scan97>"].net[0].weight, mappers["<scan97>"].net[0].weight)


def test_negative_subsets(place, capsys):
    for number, count in ((-1, 24), (-2, 12), (-3, 8)):
        config = train_options(shlex.split(f"{TRAININGS['mode2_scan114']} --data.dtu_subset {number}"))
        for folder in (config.scene, "data/dtu/Rectified/scan65"):
            scene = open_scene(config, folder)
            assert [v.number for v in scene.train] == list(range(12, 36, -number)) and len(scene.train) == count
            assert {v.number for v in scene.test} == set(DTU_EVALUATED) - set(range(12, 36, -number))


def test_the_readme_from_end_to_end(place, capsys):
    Path("view_mappers.yaml").write_text("8: results/mode3_4scenes/mapper-steps-2_view.pt\n")   # as the README names it
    more = dict(mode2_scan114="--validation_views all --masks none "
                              "--log.overwrite_ok", mode3_4scenes="--original_files")
    for name, line in TRAININGS.items():
        told = viewneti(capsys, f"train {line} {OURS} {more.get(name, '')}")
        assert told.startswith("In our terms: viewneti train") and Run(f"results/{name}").steps == [2], told
    before, after = (Run(f"results/{n}").load_model(device="cpu").mappers["<view>"]
                     for n in ("mode3_4scenes", "mode5_scan114"))
    for k, v in before.state_dict().items():
        assert torch.equal(v, after.state_dict()[k]), "mode 5 leaves the view mapper"
    assert len(Run("results/train_m3_88scenes").objects) == 88
    sheets = {f.name for f in Path("results/mode2_scan114/validation").iterdir()}
    assert sheets == {"step-2-object-seed-0.png", "step-2-object-seed-1.png", "step-2-scores.json"}

    theirs = "results/20230805_scan114_subs_1_m5_alpha5_augs7_pretrainkey8"
    viewneti(capsys, f"convert results/mode5_scan114 --to original --folder {theirs}")
    inference = "evaluate --config_path input_configs/inference.yaml"
    told = viewneti(capsys, f"{inference} --input_dir {theirs} --iteration 2 {QUICK} --save_pt")
    assert f"{theirs}/viewneti" in told and "PSNR of test views" in told, told
    pictures = torch.load(f"{theirs}/viewneti/inference/results_all_iter_2.pt", weights_only=True)
    assert (len(pictures["imgs_pred"]), pictures["imgs_gt"].shape) == (2, (34, 3, 48, 64))
    found, = read_original_results(f"{theirs}/viewneti/inference/results_all_iter_2.pt")
    assert found.pictures.shape == (2, 34, 3, 48, 64) and set(found.scores) >= {"psnr_test_mean", "ssim_test_mean"}

    viewneti(capsys, f"""{inference} --input_dir results/train_m3_88scenes --iteration 2 --seeds '[0,1]' {QUICK} --save_pt
             --eval_placeholder_object_tokens '["<scan33>", "<scan9>"]'""")
    kept = torch.load("results/train_m3_88scenes/inference/results_all_iter_2.pt", weights_only=True)
    assert set(kept) == {"<scan33>", "<scan9>"} and len(kept["<scan9>"]["imgs_pred"]) == 2
    told = viewneti(capsys, "summarize 'results/20230805*/viewneti' --folder table")
    assert Path("table/summary.csv").is_file() and "PSNR" in told
    assert DTU_TRAIN_ORDER[0] == 25 and [v.number for v in Run("results/mode5_scan114").load_scene().train] == [25]


@slow
def test_the_archives_masks_of_25_views_are_enough(place, capsys):
    "As RegNeRF's archive unpacks: for scan 114 in a folder `mask`, numbered from 0, for its 25 test views alone."
    viewneti(capsys, f"train {TRAININGS['test_mode2']} {OURS} --log.exp_name masked --validate_every 0")
    archive = Path("data/dtu/submission_data/idrmasks/scan114/mask")
    archive.mkdir(parents=True)
    for n in REGNERF_VIEWS: shutil.copy(f"data/dtu/masks/scan114/{n:03d}.png", archive)
    Path("data/dtu/masks").rename("data/dtu/all_masks")
    try:
        line = f"evaluate --config_path input_configs/inference.yaml --input_dir results/masked --iteration 2 {QUICK}"
        viewneti(capsys, line.replace("--masks none ", ""))
    finally: Path("data/dtu/all_masks").rename("data/dtu/masks")
    results = read_metrics("results/masked/evaluation/metrics.json")
    assert results["evaluation"]["masks"] == "given" and results["regnerf_views"] == 25
    assert 0 < results["regnerf_psnr"] < 60 and results["test_psnr"] is None, "all 34 have not"
    assert "no masks of views" in results["test_reason"]
