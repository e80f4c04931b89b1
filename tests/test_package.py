"""Tests of what is installed: both distributions hold all files, and the wheel draws away from the checkout."""
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ["setup.py", "settings.ini", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md",
           "CONTRIBUTING.md"]
PROMPT = "a photo of a red car on a wooden floor"

# In a process of its own: where the package lies, and a picture's shape, range and contrast
DRAW = f"""
import json, viewneti
from viewneti.models import ViewNeTI
picture = ViewNeTI.from_pretrained('tiny', device='cpu').generate({PROMPT!r}, seeds=[0], steps=20, progress=False)
print(json.dumps(dict(file=viewneti.__file__, shape=picture.shape, low=picture.min().item(), high=picture.max().item(),
                      contrast=picture.std((-1, -2)).mean().item())))
"""


def run(*command, cwd, **environment):
    "What a command prints, run without the checkout on Python's path; its errors are shown where it fails."
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=inherited | environment, text=True,
                          capture_output=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def package_files():
    "Every file of the package as it should be shipped, relative to the top."
    return {file.relative_to(ROOT).as_posix() for file in (ROOT/"viewneti").rglob("*")
            if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    "The source distribution and the wheel made from it. Built of a copy: what earlier builds left here cannot help."
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES: shutil.copy(ROOT/name, source)
    shutil.copytree(ROOT/"viewneti", source/"viewneti", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-c", "from setuptools import build_meta; build_meta.build_sdist('dist')", cwd=source)
    sdist, = (source/"dist").glob("*.tar.gz")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive: archive.extractall(unpacked, filter="data")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
        "--wheel-dir", source/"dist", next(unpacked.iterdir()), cwd=unpacked)
    wheel, = (source/"dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory):
    "The Python of a new environment with the wheel. It finds libraries beside ours, but not this checkout."
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder/("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", distributions[1],
        cwd=folder)
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # .pth files in these folders, such as that of the editable installation, are not read
    Path(site, "libraries.pth").write_text("\n".join(libraries))
    return python


def test_source_distribution_holds_every_file(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert package_files() | set(SOURCES) <= names


def test_wheel_holds_every_file_unchanged(distributions):
    files = package_files()
    assert {"viewneti/models.py", "viewneti/assets/judge.safetensors",
            "viewneti/assets/tiny/unet/diffusion_pytorch_model.safetensors"} <= files
    with zipfile.ZipFile(distributions[1]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        changed = {name for name in files & names if archive.read(name) != (ROOT/name).read_bytes()}
    assert names == files and not changed


def test_wheel_asks_for_the_libraries_of_settings_and_gives_the_command(distributions):
    config = ConfigParser(delimiters=["="], interpolation=None)
    config.read(ROOT/"settings.ini", encoding="utf-8")
    with zipfile.ZipFile(distributions[1]) as archive:
        inside = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    asked = Parser().parsestr(inside["METADATA"]).get_all("Requires-Dist")
    expected = {Requirement(text) for text in config["DEFAULT"]["requirements"].split()}
    assert {Requirement(text) for text in asked if "extra ==" not in text} == expected
    assert config["DEFAULT"]["console_scripts"] in inside["entry_points.txt"].replace(" ", "")


def test_wheel_draws_offline_and_away_from_the_checkout(installed, tmp_path):
    hub = dict(HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path/"hub"))  # nothing to download, and nothing cached
    found = json.loads(run(installed, "-c", DRAW, cwd=tmp_path, **hub).splitlines()[-1])
    assert Path(found["file"]).is_relative_to(installed.parent.parent), "the installed package, not the checkout"
    assert found["shape"] == [1, 1, 3, 64, 64]
    assert found["low"] >= 0 and found["high"] <= 1 and found["contrast"] > .05, "a picture, and not a flat one"


def test_wheel_gives_the_command(installed, tmp_path):
    assert "viewneti COMMAND" in run(installed.with_name("viewneti"), "--help", cwd=tmp_path)
