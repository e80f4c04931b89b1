"""Notebooks as a reader should see them: nbdev's directives obeyed and taken out. Used by readme.py and docs.py."""
import ast
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


TEST = re.compile(r"(test|assert)_\w+|refused|ExceptionExpected")  # names of functions that check something


def tests_in(tree):
    "How many assertions, and calls of functions that check something, stand in parsed code."
    return sum(isinstance(x, ast.Assert) or isinstance(x, ast.Call) and isinstance(x.func, ast.Name)
               and bool(TEST.fullmatch(x.func.id)) for x in ast.walk(tree))


LONG = 5  # lines of code that a reader is not asked to skip


def names_in(tree):
    "What parsed code defines at its top, those names first that are not underlined."
    found = [x.name for x in tree.body if isinstance(x, (ast.FunctionDef, ast.ClassDef))]
    return sorted(found, key=lambda name: name.startswith("_"))


def folded_as(
    source: str,  # code of a cell, without magics
    exported: str = "",  # how it goes into the package: 'export', 'exporti' or not at all; such code is never a test
    outputs=(),  # as the notebook has them
) -> str | None:  # what a reader clicks on to see the code; None where it stays open
    """Imports, tests and internals are for those who look for them: a cell of nothing else is folded, and so is the long
    code of a figure. What else is exported for users stays open, and so does what prints a result."""
    shown = any(k.split("/")[0] == "image" or k in ("text/markdown", "text/html")
                for out in outputs for k in out.get("data", {}))
    try: tree = ast.parse(source)
    except SyntaxError: return None  # another language
    long = len(source.splitlines()) > LONG
    if exported == "exporti" and long and names_in(tree): return f"Show internals: {', '.join(names_in(tree)[:3])}"
    if exported and long and names_in(tree) and all(name.startswith("plot_") for name in names_in(tree)):
        return f"Show the code of {', '.join(names_in(tree))}"
    if shown: return "Show code" if long and not exported else None
    if tree.body and all(isinstance(x, (ast.Import, ast.ImportFrom)) for x in tree.body): return "Show imports"
    tests = 0 if exported else tests_in(tree)
    return "Show tests" if tests > 1 or tests and not outputs else None  # a printed result has its code above it


class Fold:
    "A processor that folds imports, and in a chapter, a notebook that exports code, tests and internals too."
    def __init__(self, nb):
        self.chapter = any(self.has(cell, "default_exp") for cell in nb.cells)

    def has(self, cell, *names): return any(name in (getattr(cell, "directives_", None) or {}) for name in names)

    def __call__(self, cell):
        if cell.cell_type != "code" or cell_options(cell.source)[0].get("code-fold") is not None: return
        exported = next((x for x in ("exporti", "exports", "export") if self.has(cell, x)),
                        "" if self.chapter else "export")
        name = folded_as(cell_options(cell.source)[1], exported, cell.get("outputs", ()))
        if name: cell.source = f'#| code-fold: true\n#| code-summary: "{name}"\n{cell.source}'


def for_reading(
    path: Path,  # A notebook
) -> str:  # Its JSON, without hidden cells and directives; exported code stays, for the notebooks are the code
    "Prepare a notebook for readers, as nbdev does, but with the source of exported functions in place."
    procs = [
        show_output_alone, populate_language, strip_ansi, hide_line, rm_header_dash, clean_magics, hide_, drop_empty
    ]
    proc = NBProcessor(path, procs)
    fold = Fold(proc.nb)
    proc.process()
    for cell in proc.nb.cells: fold(cell)
    return nb2str(proc.nb)
