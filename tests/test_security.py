"""Nothing that the package reads runs code, writes outside its folder, or gives a secret away."""
import ast
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from viewneti import cli, explorer, scenes
from viewneti.world import toys as world
from viewneti.core import InputError
from viewneti.evaluation import evaluate
from viewneti.experiment import FitConfig, Run, load_view_mapper
from viewneti.models import ViewNeTI
from viewneti.training import fit

PACKAGE = Path(explorer.__file__).parent
LIBRARY = sorted(PACKAGE.rglob("*.py"))
SECRETS = dict(HF_TOKEN="hf_marker", WANDB_API_KEY="wandb_marker", AWS_SECRET_ACCESS_KEY="aws_marker")
FORBIDDEN = re.compile(
    r"(.*\.)?(c?[pP]ickle|cloudpickle|dill|joblib|shelve|marshal|yaml)\."
    r"(load|loads|open|load_all|unsafe_load|unsafe_load_all|full_load|full_load_all|Unpickler)"
    r"|(builtins\.)?(eval|exec|compile|__import__)|os\.(system|popen)|runpy\..*|pandas\.read_pickle|tempfile\.mktemp"
    r"|socketserver\..*|http\.server\..*")


# What the code says

def dotted(node):
    "A name such as torch.load as it is written; empty for any other expression."
    if isinstance(node, ast.Name): return node.id
    if isinstance(node, ast.Attribute) and dotted(node.value): return f"{dotted(node.value)}.{node.attr}"
    return ""


def given(call, name): return next((k.value for k in call.keywords if k.arg == name), None)
def said(call, name, value): return isinstance(given(call, name), ast.Constant) and given(call, name).value is value


def dangers(source):
    "Lines of a module that run what they read, or a shell: (number, name)."
    tree, found = ast.parse(source), []
    origin = {a.asname or a.name: f"{node.module}.{a.name}" for node in ast.walk(tree)
              if isinstance(node, ast.ImportFrom)
              for a in node.names} | {a.asname: a.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                                      for a in node.names if a.asname}
    for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
        first, _, rest = dotted(call.func).partition(".")
        name = ".".join(filter(None, (origin.get(first, first), rest)))
        if (FORBIDDEN.fullmatch(name) or name == "torch.load" and not said(call, "weights_only", True)
                or name.endswith(("np.load", "numpy.load")) and given(call, "allow_pickle")
                and not said(call, "allow_pickle", False)
                or given(call, "shell") and not said(call, "shell", False)
                or given(call, "trust_remote_code") and not said(call, "trust_remote_code", False)):
            found.append((call.lineno, name))
    return found


@pytest.mark.parametrize("file", LIBRARY, ids=lambda f: f.stem)
def test_no_module_runs_what_it_reads(file):
    assert dangers(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", [
    "import pickle; pickle.load(f)", "from pickle import loads; loads(b)", "import pickle as p; p.Unpickler(f)",
    "torch.load(f)",
    "torch.load(f, weights_only=False)", "from torch import load; load(f)", "yaml.load(t, yaml.Loader)",
    "yaml.unsafe_load(t)",
    "from yaml import full_load as read; read(t)", "eval(t)", "exec(t)", "os.system(t)",
    "subprocess.run(t, shell=True)",
    "np.load(f, allow_pickle=True)", "AutoModel.from_pretrained(f, trust_remote_code=True)"])
def test_the_check_finds_what_is_dangerous(line): assert dangers(line)


@pytest.mark.parametrize("line", ["torch.load(f, weights_only=True)", "yaml.safe_load(t)", "json.load(f)",
                                  "model.eval()",
                                  "np.load(f)", "subprocess.run([t])", "re.compile(t)"])
def test_the_check_lets_the_rest_pass(line): assert not dangers(line)


def test_pictures_are_opened_in_one_place_under_a_limit(tmp_path, monkeypatch):
    lines = [(f.stem, line) for f in LIBRARY for line in f.read_text(encoding="utf-8").splitlines()
             if "Image.open(" in line]
    assert [module for module, _ in lines] == ["scenes"]
    assert not [f for f in LIBRARY if re.search(r"MAX_IMAGE_PIXELS|LOAD_TRUNCATED_IMAGES|\bimread\b|read_image",
                                                f.read_text())]
    Image.new("1", (100, 50)).save(tmp_path/"a.png")
    monkeypatch.setattr(scenes, "MAX_PIXELS", 100*50 - 1)
    for read in (scenes.open_picture, scenes.load_picture, scenes.picture_size, scenes.load_mask):
        with pytest.raises(InputError, match="a.png: expected at most 4999 pixels"): read(tmp_path/"a.png")


# What is shown

SCRIPT = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    "The elements of a page, their attributes, and the text of its scripts."
    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self.inside, self.scripts = [], [], None, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.inside = tag

    def handle_endtag(self, tag): self.inside = None
    def handle_data(self, data): self.scripts += [data] if self.inside == "script" else []


def structure(text):
    page = Elements(explorer.page_of(dict(name=text, prompt=text, objects=[text], **{text: text}), text).html)
    return page.names, sorted(page.attributes), len(page.scripts)


def test_a_page_of_the_explorer_escapes_names_and_prompts():
    assert structure(SCRIPT) == structure("a duck") and "img" not in structure(SCRIPT)[0]
    page = explorer.page_of(dict(name=SCRIPT), SCRIPT)
    assert page.html.count("alert(1)") == 2*3 and SCRIPT not in page.html  # title, label and data, escaped
    data = next(s for s in Elements(page.html).scripts if s.startswith("{"))
    assert json.loads(data) == dict(name=SCRIPT)
    frame = Elements(page._repr_html_())
    assert frame.names == ["iframe"] and sorted(frame.attributes) == ["height", "srcdoc", "style", "title", "width"]


def test_the_scripts_of_the_explorer_write_text_and_no_markup():
    for file in (PACKAGE/"assets").glob("*.js"):
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function",
                           file.read_text())
        assert not found, file.name


def test_the_explorer_is_served_to_this_machine_alone(monkeypatch):
    import subprocess
    from types import SimpleNamespace
    started = []
    monkeypatch.setattr(subprocess, "run", lambda words, **_: started.append(words) or SimpleNamespace(returncode=0))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    assert cli.main(["explore"]) in (0, None)
    assert [w for w in started[0] if ".ip=" in w] == ["--Voila.ip=127.0.0.1"]


def test_no_module_opens_a_port():
    imports = re.compile(r"^\s*(?:import|from)\s+(?:socket|http\.server|socketserver|aiohttp|flask|uvicorn|tornado)\b",
                         re.M)
    assert not [f.name for f in LIBRARY if imports.search(f.read_text(encoding="utf-8"))]


# What a run leaves behind

@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    "A short run and its evaluation, with secrets in the environment: the folder above."
    top = tmp_path_factory.mktemp("security")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items(): patch.setenv(name, value)
        scene = world.export_world(top/"data", 1, size=(32, 24))[0]
        config = FitConfig(scene=str(scene), folder=str(top/"run"), split="3", steps=2, batch=1, accumulation=1,
                           save_every=1,
                           validate_every=1, validation_views=1, sampling_steps=1, device="cpu")
        run = fit(config, progress=False)
        evaluate(run, steps=1, guidance=1., masks="none", progress=False)
    return top


def test_no_secret_lands_in_the_folder_of_a_run(trained):
    files = [f for f in (trained/"run").rglob("*") if f.is_file()]
    assert {"config.yaml", "log.jsonl", "mappers.json", "optimizer.safetensors", "metrics.json"} <= {f.name
            for f in files}
    assert any("tfevents" in f.name for f in files)
    for file in files:
        for name, value in SECRETS.items():
            assert value.encode() not in file.read_bytes() and name.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("name", ["../view.safetensors", "/etc/passwd", "x/../view.safetensors", "~/view.safetensors",
                                  "a\0.safetensors", ""])
def test_names_in_mappers_json_stay_in_its_folder(trained, tmp_path, name):
    folder = tmp_path/"run"
    shutil.copytree(trained/"run", folder)
    step = Run(folder).checkpoint()
    shutil.copy(step/"view.safetensors", step.parent)  # a good file where it does not belong
    said = json.loads((step/"mappers.json").read_text())
    said["concepts"][0]["file"] = name
    (step/"mappers.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="mappers.json: concepts.0.: file"): load_view_mapper(str(folder))


def test_a_token_with_a_path_is_saved_in_its_own_folder(trained, tmp_path):
    from viewneti.mappers import FreeToken
    model = ViewNeTI.from_pretrained("tiny", device="cpu")
    model.add_concept("</outside/b>", FreeToken(model.text_encoder.config.hidden_size))
    model.save_mappers(tmp_path/"deep/folder")
    assert {f.relative_to(tmp_path).parts[:2] for f in tmp_path.rglob("*") if f.is_file()} == {("deep", "folder")}


def test_pictures_named_by_a_scene_stay_in_its_folder(trained, tmp_path):
    (tmp_path/"scene").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path/"outside.png")
    frame = dict(transform_matrix=[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]])
    for name in ("../outside.png", str(tmp_path/"outside.png")):
        frames = [frame | dict(file_path=name)]*2
        (tmp_path/"scene/transforms.json").write_text(json.dumps(dict(fl_x=9, fl_y=9, cx=4, cy=4, w=8, h=8,
                                                                      frames=frames)))
        with pytest.raises(InputError, match="transforms.json"): scenes.load_scene(tmp_path/"scene")
