"""Notebooks as a reader should see them: nbdev's directives obeyed and taken out. Used by readme.py and docs.py."""
import re
from pathlib import Path

import yaml
from execnb.nbio import nb2str
from nbdev.process import NBProcessor
from nbdev.processors import clean_magics, hide_, hide_line, populate_language, rm_header_dash, strip_ansi

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/"nbs"
OPTION = re.compile(r"#\|\s*([\w-]+):\s+(.+)")


def cell_options(source):
    "The options `#| key: value` above a cell's code, and the code without any directives."
    lines = source.splitlines()
    n = next((i for i, line in enumerate(lines) if not line.startswith("#|")), len(lines))
    found = [m for m in map(OPTION.fullmatch, lines[:n]) if m]
    return {m[1]: yaml.safe_load(m[2]) for m in found}, "\n".join(lines[n:]).strip("\n")


def drop_empty(cell):
    "Drop a code cell of which only directives are left, such as `default_exp`."
    lines = cell.source.splitlines()
    if cell.cell_type == "code" and all(line.startswith("#|") for line in lines): del cell["source"]


def show_output_alone(cell):
    "Turn a code cell with `#| echo: false` whose output is Markdown into that Markdown."
    if cell.cell_type != "code" or "#| echo: false" not in cell.source.splitlines(): return
    cell.source = "".join("".join(out["data"]["text/markdown"]) for out in cell.outputs
                          if "text/markdown" in out.get("data", {}))
    cell.cell_type = "markdown"
    for name in ("outputs", "execution_count"): cell.pop(name, None)


def for_reading(
    path: Path,  # A notebook
) -> str:  # Its JSON, without hidden cells and directives; exported code stays, for the notebooks are the code
    "Prepare a notebook for readers, as nbdev does, but with the source of exported functions in place."
    procs = [
        show_output_alone, populate_language, strip_ansi, hide_line, rm_header_dash, clean_magics, hide_, drop_empty
    ]
    proc = NBProcessor(path, procs)
    proc.process()
    return nb2str(proc.nb)
