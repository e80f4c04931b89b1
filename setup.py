"""Packaging. Everything is read from settings.ini, which nbdev reads too."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=["="], interpolation=None)
parser.read(here/"settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]
names = "docs", "notebooks", "colmap", "lora", "heic", "video", "t5", "8bit", "ray", "slurm"
extras = {name: cfg[f"{name}_requirements"].split() for name in names}

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here/"README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=cfg["keywords"].split(),
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    license="Apache-2.0",
    classifiers=[
        "Development Status :: 3 - Alpha",
        f"Intended Audience :: {cfg['audience']}",
        f"Natural Language :: {cfg['language']}",
        f"Programming Language :: Python :: {cfg['min_python']}",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    packages=find_packages(include=["viewneti", "viewneti.*"]),
    include_package_data=True,  # the embedded model: see MANIFEST.in
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg["requirements"].split(),
    extras_require={**extras, "dev": cfg["dev_requirements"].split() + sum(extras.values(), [])},
    entry_points={
        "console_scripts": cfg["console_scripts"].split(),
        "nbdev": ["viewneti=viewneti._modidx:d"],  # lets other nbdev projects link to this one's documentation
    },
    zip_safe=False,
)
