"""The house's laws: who imports whom, how many names are public, and that every page's imports are there."""
import ast
import importlib
import io
import json
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, NBS = ROOT/"viewneti", ROOT/"nbs"
WINGS = {p.name for p in PACKAGE.iterdir() if (p/"__init__.py").is_file()}
FIRST_EDITION = "world"  # goes when the second edition of the embedded world takes its place


def modules():
    "Each module's dotted name and its syntax tree."
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.name not in ("_modidx.py", "__init__.py"):
            yield ".".join(file.relative_to(ROOT).with_suffix("").parts), ast.parse(file.read_text(encoding="utf-8"))


def imported(name, tree):
    "The modules of this package that a module imports, when it is loaded and later."
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield ".".join(name.split(".")[:-node.level] + ([node.module] if node.module else []))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("viewneti."): yield node.module
        elif isinstance(node, ast.Import): yield from (a.name for a in node.names if a.name.startswith("viewneti."))


def public(tree):
    "The names in a module's `__all__`."
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__": return ast.literal_eval(node.value)
    return []


def test_the_main_shelf_imports_from_no_wing():
    found = [(name, m) for name, tree in modules() if name.count(".") == 1 for m in imported(name, tree)
             if m.split(".")[1] in WINGS]
    assert found == [] and len(WINGS) >= 4


def test_a_module_imports_only_from_lower_numbers():
    "The order is that of the notebooks' names."
    order = {}
    for file in sorted(NBS.glob("[0-9]*.ipynb")):
        source = "\n".join("".join(c["source"]) for c in json.loads(file.read_text(encoding="utf-8"))["cells"])
        if found := re.search(r"^#\| default_exp (\w+)", source, re.M): order[f"viewneti.{found[1]}"] = file.name[:2]
    upwards = [(name, m) for name, tree in modules() if name in order for m in imported(name, tree)
               if order.get(m, "") > order[name]]
    assert upwards == [] and len(order) > 15


def test_there_are_fewer_than_300_public_names_and_none_has_two_meanings():
    names = Counter(n for name, tree in modules() if name.split(".")[1] != FIRST_EDITION for n in public(tree))
    twice = {n for n, k in names.items() if k > 1}
    assert sum(names.values()) < 300
    assert twice <= {"Measured"}, "it moves to the main shelf with the second edition"


PAGES = sorted(NBS.rglob("*.ipynb"))
FROM = re.compile(r"^from (viewneti[\w.]*) import (\([^)]*\)|[^\n#]+)", re.M)


def signatures(tree):
    "The public functions of a module, and the methods of its public classes, those too that are patched in."
    names, classes = set(public(tree)), {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            first = ast.unparse(node.args.args[0].annotation or ast.Name("")) if node.args.args else ""
            patched = any("patch" in ast.unparse(d) for d in node.decorator_list) and first in names
            if node.name in names or (patched and not node.name.startswith("_")): yield node
        elif isinstance(node, ast.ClassDef) and node.name in names:
            bases = [classes[b.id] for b in node.bases if isinstance(b, ast.Name) and b.id in classes]
            told = {m.name for b in bases for m in b.body if isinstance(m, ast.FunctionDef)}  # there, once
            yield from (m for m in node.body if isinstance(m, ast.FunctionDef) and m.name not in told
                        and (m.name == "__init__" or not m.name.startswith("_")))


ELSEWHERE = {"forward", "step", "on_save", "check", "check_folder", "from_folder", "predict", "embed", "hidden", "norm",
             "latent_distribution", "decode_latents"}  # methods that a class of another module, or PyTorch, describes


def test_every_parameter_of_what_is_public_is_described():
    bare = []
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.name in ("_modidx.py", "__init__.py") or FIRST_EDITION in file.parts: continue
        text = file.read_text(encoding="utf-8")
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = {t.start[0] for t in tokens if t.type == tokenize.COMMENT}
        for f in signatures(ast.parse(text)):
            given = [a for a in f.args.posonlyargs + f.args.args + f.args.kwonlyargs if a.arg not in ("self", "cls")]
            lines = Counter(a.lineno for a in given)  # a comment tells of one parameter
            bare += [f"{file.relative_to(ROOT)}: {f.name}({a.arg})" for a in given
                     if f.name not in ELSEWHERE and (a.lineno not in comments or lines[a.lineno] > 1)]
    assert bare == []


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(NBS)) for p in PAGES])
def test_what_a_page_imports_is_there(page):
    "Also on pages that take too long to be executed at every change."
    for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code": continue
        for name, names in FROM.findall("".join(cell["source"])):
            module = importlib.import_module(name)
            for n in re.split(r"\s*,\s*", re.sub(r"#.*|[()\\]", "", names).strip().rstrip(",")):
                n = n.split(" as ")[0].strip()
                assert hasattr(module, n) or (Path(module.__file__).parent/f"{n}.py").is_file(), f"{name} has no {n}"
