"""Properties that hold for any input: of cameras, encodings, configurations, and everything that reads a file."""
import json
import math
import re
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import save_file

from viewneti import core, evaluation, experiment, scenes, tables
from viewneti.original import configurations
from viewneti.readers import dtu, dtu_masks
from viewneti.world import meter
from viewneti.augmentation import draw_crop
from viewneti.cameras import (Camera, Encoding, ProjectionEncoding, SphericalEncoding, check_size, orbit,
                              read_projection, spherical, to_array, view_angle, write_projection)
from viewneti.core import InputError, quoted
from viewneti.mappers import load_mapper
from viewneti.models import read_concepts
from viewneti.world.toys import export_world

settings.register_profile("same each time", derandomize=True, deadline=None, max_examples=40, database=None,
                          suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
settings.load_profile("same each time")


def numbers(low, high): return st.floats(low, high, allow_nan=False, width=64)
def vectors(most): return arrays(np.float64, 3, elements=numbers(-most, most))


sizes = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
places = st.fixed_dictionaries(dict(azimuth=numbers(-179, 179), elevation=numbers(-85, 85), radius=numbers(.1, 1000),
                                    target=vectors(100)))


@st.composite
def cameras(draw):
    "Cameras of any turn, with focal lengths, principal points and skew as calibrations have them."
    turn = torch.linalg.qr(torch.tensor(draw(arrays(np.float64, (3, 3), elements=numbers(-1, 1)))) + 3*torch.eye(3))[0]
    R = turn*torch.linalg.det(turn).sign()
    w, h = draw(sizes)
    fx, fy = (draw(numbers(.2, 20))*w for _ in range(2))
    cx, cy, skew = draw(numbers(-.5, 1.5))*w, draw(numbers(-.5, 1.5))*h, draw(numbers(-.1, .1))*w
    return Camera([[fx, skew, cx], [0, fy, cy], [0, 0, 1]], R, draw(vectors(100)), (w, h))


# Cameras

@given(places, sizes)
def test_a_place_on_the_sphere_is_found_again(place, size):
    camera = Camera.on_sphere(**place, size=size)
    azimuth, elevation, radius = spherical(camera, place["target"])
    assert math.isclose(radius, place["radius"], rel_tol=1e-9)
    assert np.allclose((azimuth, elevation), (place["azimuth"], place["elevation"]), atol=1e-6)


@given(places)
def test_a_camera_sees_its_target_in_the_middle(place):
    camera = Camera.on_sphere(**place, size=(40, 30))
    assert np.allclose(camera.project(place["target"][None]), [[19.5, 14.5]], atol=1e-6)


@given(st.integers(1, 50), numbers(-80, 80), numbers(.1, 100))
def test_an_orbit_is_even_and_closes(n, elevation, radius):
    ring = orbit(n, elevation, radius)
    assert len(ring) == n and all(math.isclose(spherical(c)[2], radius, rel_tol=1e-9) for c in ring)
    steps = [view_angle(a, b, torch.zeros(3)) for a, b in zip(ring, ring[1:] + ring[:1])]
    assert n == 1 or max(steps) - min(steps) < 1e-5


@given(cameras())
def test_a_camera_survives_being_written_down(camera):
    again = Camera.from_dict(json.loads(json.dumps(camera.to_dict())))
    assert all(torch.equal(getattr(again, k), getattr(camera, k)) for k in "KRt") and again.size == camera.size


@given(cameras())
def test_a_calibration_file_keeps_every_bit(camera):
    with tempfile.TemporaryDirectory() as folder:
        write_projection(Path(folder)/"pos_001.txt", camera.projection)
        assert torch.equal(read_projection(Path(folder)/"pos_001.txt"), camera.projection)


@given(cameras(), numbers(1e-6, 1e6), st.sampled_from((-1, 1)))
def test_a_projection_matrix_is_taken_apart_at_any_scale(camera, scale, sign):
    assert Camera.from_projection(sign*scale*camera.projection, camera.size).isclose(camera, 1e-6)


@given(cameras(), numbers(.1, 100), st.data())
def test_a_pixel_is_where_its_ray_leads(camera, distance, data):
    camera = camera.resized((data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))))
    origin, directions = camera.rays()
    h, w = directions.shape[:2]
    u, v = data.draw(st.integers(0, w - 1)), data.draw(st.integers(0, h - 1))
    assert np.allclose(camera.project((origin + distance*directions[v, u])[None]), [[u, v]], atol=1e-5)


@given(cameras(), sizes, vectors(100))
def test_a_resized_camera_sees_a_point_at_the_same_place(camera, size, point):
    other = camera.resized(size)
    (a,), (b,) = ((c.project(point[None]) + .5)/torch.tensor(c.size) for c in (camera, other))
    assert np.allclose(a, b, rtol=1e-6, atol=1e-6, equal_nan=True)
    assert other.resized(camera.size).isclose(camera, 1e-9)


@given(sizes, numbers(.05, 1), numbers(0, .9), numbers(.3, 1), numbers(1, 3), st.integers(0, 99))
def test_a_crop_lies_in_its_picture(size, low, more, narrow, wide, seed):
    top, left, h, w = draw_crop(size, (low, low + more), (narrow, wide), torch.Generator().manual_seed(seed))
    assert 0 <= top and 0 <= left and 0 < h and 0 < w and top + h <= size[1] and left + w <= size[0]


# Encodings

@given(st.lists(cameras(), min_size=2, max_size=5))
def test_fitted_cameras_fill_the_range(found):
    encoding = ProjectionEncoding().fit(found)
    scaled = encoding.scale(encoding._values(found))
    assert scaled.abs().max() <= 1 + 1e-6
    changing = encoding.high > encoding.low
    assert np.allclose(scaled[:, changing].min(0).values, -1) and np.allclose(scaled[:, changing].max(0).values, 1)
    assert not scaled[:, ~changing].any()


@given(st.lists(numbers(-179, 179), min_size=3, max_size=6, unique=True), numbers(-60, 60), numbers(1, 100),
       vectors(10))
def test_an_encoding_survives_being_written_down(azimuths, elevation, radius, target):
    ring = [Camera.on_sphere(a, elevation + i, radius, target) for i, a in enumerate(azimuths)]
    for encoding in (ProjectionEncoding(), SphericalEncoding(target, (0, 0, 1))):
        encoding.fit(ring)
        again = Encoding.from_state(json.loads(json.dumps(encoding.state())))
        assert again.state() == encoding.state()
        assert torch.equal(again.scale(again.raw(ring)), encoding.scale(encoding.raw(ring)))


# Files

words = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
fields_of = {f.name for f in fields(experiment.FitConfig)} | set("K R t size frames concepts file step seeds".split())
names = st.sampled_from(sorted(fields_of)) | words
plain = st.none() | st.booleans() | st.integers(-10**30, 10**30) | st.floats() | words
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
                      max_leaves=12)
objects = st.dictionaries(names, values, max_size=6)


def texts_of(encode): return values.map(encode) | objects.map(encode)


JSON_TEXTS = texts_of(json.dumps)
YAML_TEXTS = texts_of(lambda x: yaml.safe_dump(x, allow_unicode=True))
SYNTAX = st.text("{}[]():,-&*!|>%@`\"'# \n\t\\0123456789.eE+abcnulltruefalseinfnan~?<", max_size=80)
CONTENTS = st.one_of(st.binary(max_size=200), *(t.map(lambda t: t.encode("utf-8", "replace")) for t in (words, SYNTAX,
        JSON_TEXTS, YAML_TEXTS)))
TENSORS = st.dictionaries(words.filter(lambda k: k != "__metadata__"),
                          st.lists(st.floats(width=32), max_size=4).map(torch.tensor), max_size=3)


def scene_with(name):
    "A reader of a scene of which this is one file."
    def read(file): return scenes.load_scene(file.parent)
    return name, read


@pytest.fixture(scope="module")
def world(tmp_path_factory): return export_world(tmp_path_factory.mktemp("world"), 1, size=(8, 6))[0]


READERS = {
    "text": ("a.txt", core.read_text), "JSON": ("a.json", core.read_json),
    "YAML": ("a.yaml", core.read_yaml),
    "log": ("log.jsonl", core.read_log), "tensors": ("a.safetensors", core.read_tensors),
    "mapper": ("a.safetensors", load_mapper), "mappers.json": ("mappers.json", lambda f: read_concepts(f.parent)),
    "calibration": ("pos_001.txt", read_projection), "calibrations": ("pos_001.txt",
                                                                      lambda f: dtu.read_calibration(f.parent)),
    "picture": ("a.png", scenes.load_picture), "size of a picture": ("a.png", scenes.picture_size),
    "mask": ("a.png", scenes.load_mask),
    "scene.json": ("scene.json", lambda f: scenes.read_info(f.parent)),
    "transforms.json": scene_with("transforms.json"),
    "run": ("config.yaml", lambda f: experiment.Run(f.parent)), "registry": ("view_mappers.yaml",
            experiment.read_registry),
    "configuration": ("fit.yaml", lambda f: draccus_fit(f)), "original's configuration": ("a.yaml",
            configurations.read_original_config),
    "scores": ("metrics.json", evaluation.read_metrics), "rows of scores": ("metrics.json",
            lambda f: tables.file_rows(f, "scene")),
    "predictions": ("a.safetensors", evaluation.load_predictions), "judge": ("a.safetensors", meter.load_judge),
    "points": ("a.ply", dtu_masks.read_points), "plane": ("a.mat", dtu_masks.read_plane)}


def draccus_fit(file):
    from viewneti.cli import UserError, read_options
    from viewneti.original.commands import train_options
    fit = experiment.FitConfig
    try: return train_options(["--config_path", str(file)]) or fit(**read_options(fit, file))
    except UserError as e: raise InputError(str(e)) from None


def read_or_refuse(name, content):
    "What a reader says to a file: its value, or an `InputError` that names the file; anything else is raised."
    file, read = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)/file
        if callable(content): content(path)
        else: path.write_bytes(content)
        before = sorted(Path(folder).rglob("*"))
        try: return read(path)
        except InputError as e:
            assert Path(folder).name in str(e) and "\n" not in str(e).replace(str(path), "") and len(str(e)) < 2000
            return e
        finally: assert sorted(Path(folder).rglob("*")) == before


@pytest.mark.parametrize("name", READERS)
@given(content=CONTENTS)
@example(content=b"")
@example(content=b"\xff\xfe\x00")
@example(content="٣ ²\n".encode())
def test_any_file_is_read_or_refused(name, content): read_or_refuse(name, content)


@pytest.mark.parametrize("name", [k for k, (file, _) in READERS.items() if file.endswith(".safetensors")])
@given(tensors=TENSORS, about=st.dictionaries(st.sampled_from(("viewneti", "mapper", "captions")), words | JSON_TEXTS,
                                              max_size=3))
def test_any_tensors_are_read_or_refused(name, tensors, about):
    read_or_refuse(name, lambda path: save_file(tensors, path, metadata=about or None))


@given(objects)
def test_values_survive_json(content):
    with tempfile.TemporaryDirectory() as folder:
        core.write_json(Path(folder)/"a.json", content)
        assert quoted(core.read_json(Path(folder)/"a.json")) == quoted(json.loads(json.dumps(content)))


@given(st.dictionaries(words.filter(lambda k: k != "<<"),
                       st.none() | st.booleans() | st.integers() | words | st.lists(words, max_size=3), max_size=5))
def test_values_survive_yaml(content):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder)/"a.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        assert core.read_yaml(Path(folder)/"a.yaml") == content


@given(values)
def test_any_value_is_quoted_on_one_short_line(value):
    assert len(quoted(value)) <= 240 and len(quoted(value).splitlines()) <= 1


@given(values)
def test_any_value_is_an_array_or_refused(value):
    for check in (lambda: to_array(value, (3,), "x"), lambda: check_size(value), lambda: Camera.from_dict(value),
                  lambda: Encoding.from_state(value)):
        try: check()
        except InputError as e: assert len(str(e).splitlines()) == 1


# Order and configurations

@given(st.lists(words, max_size=6))
def test_any_names_can_be_sorted(found): assert sorted(sorted(found, key=scenes.natural_order)) == sorted(found)


@given(words.filter(lambda t: not t[-1:].isdigit()), st.lists(st.integers(0, 10**12), max_size=6))
def test_numbers_in_names_count(front, found):
    assert sorted((f"{front}{n}" for n in found), key=scenes.natural_order) == [f"{front}{n}" for n in sorted(found)]


def finite_number(value): return not isinstance(value, float) or math.isfinite(value)


@st.composite
def fit_configs(draw):
    "Configurations that can be, resolved."
    mode = draw(st.sampled_from(list(experiment.MODES)))
    many, n = experiment.MODES[mode].many, draw(st.integers(1, 3))
    word = st.text(st.characters(categories=("L", "Nd"), max_codepoint=0x3ff), min_size=1, max_size=8)
    hints = get_type_hints(experiment.FitConfig, include_extras=True)  # ranges and choices, as their annotations say
    limited = {k: v for k, v in hints.items() if re.search("Annotated|Literal", str(v)) and "list" not in str(v)}
    chosen = {k: draw(st.from_type(v).filter(finite_number)) for k, v in limited.items()
              if k not in ("mode", "tracker")}
    tokens = [f"<{i}{draw(word)}>" for i in range(n)]
    scene = dict(scenes=[draw(words) for _ in tokens],
                 object_tokens=tokens) if many else dict(scene=draw(words.filter(bool)))
    return experiment.FitConfig(**chosen | dict(lr=draw(numbers(1e-9, 1e3))), **scene, mode=mode,
                                betas=[draw(numbers(0, .9999)) for _ in range(2)],
        model=draw(words), split=draw(word), seed=draw(st.integers(0, 2**40)),
        prompt=draw(st.none() | words),
        size=draw(st.none() | st.lists(st.integers(1, 8000), min_size=2, max_size=2)),
        captions=draw(st.none() | st.lists(words, max_size=3)),
        object_words=[draw(word) for _ in tokens] if many else [], variant=draw(st.none() | word),
        scale_lr=draw(st.booleans()),
        view_normalize=draw(st.none() | st.booleans()), textual_inversion=draw(st.booleans()), tracker="none")


@settings(max_examples=60)
@given(fit_configs())
def test_any_configuration_of_a_run_is_read_back(config):
    with tempfile.TemporaryDirectory() as folder:
        config.folder = str(Path(folder)/"run")
        assert experiment.open_run(config).config == experiment.Run(config.folder).config == config
