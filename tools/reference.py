"""The pages of reference as smalldocs writes them, for the readers of this package. Used by docs.py."""
import json
import re
import typing
from pathlib import Path

from fastcore.basics import _clsmethod
from smalldocs import api

EXPORTS, TITLE = re.compile(r"^#\| default_exp ([\w.]+)", re.M), re.compile(r"^# (.+)", re.M)
WIDEST = 100  # characters of a signature in one line; what is longer gets a line for each parameter
DOOR = "13_front_door.ipynb"


def with_patched(
    unwrapped,  # smalldocs' function that finds the function behind what a class holds
    methods,  # smalldocs' function that lists what a class holds
    entry,  # smalldocs' function that writes one symbol
):
    "Those functions, made to know properties too, and the class methods that fastcore's `patch` makes."
    properties = set()

    def methods_(klass, private=False):
        for name, held in vars(klass).items():
            if isinstance(held, property) and held.fget.__name__ == "<lambda>":  # it is called as the property is
                held.fget.__name__, held.fget.__qualname__ = name, f"{klass.__qualname__}.{name}"
                held.fget.__doc__ = held.__doc__
        return methods(klass, private)

    def unwrapped_(obj):
        if isinstance(obj, property): properties.add(obj.fget)
        return obj.fget if isinstance(obj, property) else obj.f if isinstance(obj, _clsmethod) else unwrapped(obj)

    def entry_(sym, level):
        text = entry(sym, level)
        return text.replace(f"{sym.__qualname__}()", sym.__qualname__, 1) if sym in properties else text

    return unwrapped_, methods_, entry_


def classes_first(own):
    "smalldocs' function that lists what a module defines, with classes before functions."
    return lambda mod, private=False: sorted(own(mod, private), key=lambda o: not isinstance(o, type))


def without_checks(type_text):
    "smalldocs' function that writes a type, without what pydantic checks beside it."
    return lambda anno, mod: type_text(typing.get_args(anno)[0] if typing.get_origin(anno) is typing.Annotated and not
                                       api.name_of(anno, mod) else anno, mod)


def shortened(default_text):
    "smalldocs' function that writes a default, with the class alone of a large object."
    def text(value):
        found = default_text(value)
        plain = isinstance(value, (str, int, float, tuple, list, dict, set, type(None)))
        return found if plain or len(found) < 40 else f"{type(value).__name__}(...)"
    return text


def parts(text):
    "The pieces between the commas of a parameter list, those inside brackets and quotes left alone."
    depth, quote, start = 0, "", 0
    for i, c in enumerate(text):
        if quote: quote = "" if c == quote and text[i - 1] != "\\" else quote
        elif c in "'\"": quote = c
        elif c in "([{": depth += 1
        elif c in ")]}": depth -= 1
        elif c == "," and not depth:
            yield text[start:i].strip()
            start = i + 1
    if text[start:].strip(): yield text[start:].strip()


def one_a_line(signature):
    "smalldocs' function that writes a signature, with a line for each parameter where it is long."
    def text(sym, mod):
        found = signature(sym, mod)
        if len(sym.__qualname__ + found) <= WIDEST: return found
        inside, _, after = found[1:].rpartition(")") if ") -> " not in found else found[1:].rpartition(") -> ")
        back = f") -> {after}" if ") -> " in found else ")"
        return "(\n" + "".join(f"    {p},\n" for p in parts(inside)) + back
    return text


def chapters(sources: Path):
    "Module's name in the package -> (the notebook that makes it, its title)."
    found = {}
    for file in sorted(sources.rglob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        source = "\n".join("".join(c["source"]) for c in cells)
        if made := EXPORTS.search(source): found[made[1]] = file.relative_to(sources).as_posix(), TITLE.search(source)[1]
    return found


def link_chapters(pages, package, sources: Path):
    "Under the title of each page of reference, a link to the chapter where its names are explained and tested."
    known, door = chapters(sources), (sources/DOOR).read_text(encoding="utf-8")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        module = re.search(r'title: "(?:%s\.)?([\w.]+)"' % package, text)[1]
        if module not in known: continue
        notebook, title = known[module]
        note = f"Explained in the chapter [{title}](../{notebook})."
        if f"'{module}': [" in door: note += f" Examples of the names that people use most: [The front door](../{DOOR})."
        head, _, body = text.partition("\n---\n")
        page.write_text(f"{head}\n---\n\n{note}\n{body}", encoding="utf-8")


def write_reference(
    site: Path,     # the folder of prepared pages
    root: Path,     # of the repository
    sources: Path,  # of the notebooks
    package: str,   # its name
    address: str,   # where its source can be read
):
    "Write a page of reference for each module, and the index by which names in backticks become links."
    api.unwrapped, api.methods, api.entry = with_patched(api.unwrapped, api.methods, api.entry)
    api.own, api.type_text = classes_first(api.own), without_checks(api.type_text)
    api.default_text, api.signature = shortened(api.default_text), one_a_line(api.signature)
    pages = api.build(api.Settings(site=site, packages=[package], root=root, source=address))
    link_chapters(pages, package, sources)
