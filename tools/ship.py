"""Copy the notebooks of a run, without outputs, into the package, where a batch finds them: python tools/ship.py"""
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent


def bare(notebook):
    "A notebook as text, without outputs."
    nb = nbformat.read(notebook, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code": cell.outputs, cell.execution_count = [], None
    return nbformat.writes(nb, indent=1, ensure_ascii=False) + "\n"


def ship(source=ROOT/"nbs/runs", target=ROOT/"viewneti/assets/notebooks"):
    "Bring the copies in step; those of notebooks that are gone are removed."
    target.mkdir(exist_ok=True, parents=True)
    texts = {f.name: bare(f) for f in sorted(source.glob("*.ipynb"))}
    for f in target.glob("*.ipynb"):
        if f.name not in texts: f.unlink()
    for name, text in texts.items(): (target/name).write_text(text, encoding="utf-8")
    return sorted(texts)


if __name__ == "__main__": print("in the package:", *ship(*map(Path, sys.argv[1:])))
