"""Kinds of files and what can be wrong with them: the list of all cases, and the damage that any file can suffer."""
import json
import pickle
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import yaml


@dataclass
class Kind:
    "A kind of files: a good one, who reads it, and how to tell that it was read correctly."
    name: str
    file: str  # the one that is damaged, in the folder of good files
    read: Callable  # called in a copy of the good files; returns what was read
    right: Callable = bool  # of what was read: is it what the file says?
    text: bool = False  # the file is text
    needs: tuple = ()  # which of the good files and folders are copied; those with `file` if there are none
    writes: str = "out"  # the folder that reading may change


@dataclass
class Case:
    "One bad file."
    kind: Kind
    name: str
    damage: Callable  # of the path of the file
    refused: bool = True  # reading it, even without an exception, is a fault
    names: str = ""  # must be in the message: the file's name, unless another one is to blame
    outcome: str = field(default="", init=False)
    seconds: float = field(default=0., init=False)
    message: str = field(default="", init=False)


KINDS, CASES = {}, []


def kind(name, file, read, right=bool, text=False, needs=(), writes="out"):
    "Register a kind, and the damage that can happen to every file."
    k = KINDS[name] = Kind(name, file, read, right, text, needs or (file.split("/")[0],), writes)
    for damage, refused in ANY_FILE.items(): add(name, damage.__name__, damage, refused)
    for damage, refused in (TEXT if text else {}).items(): add(name, damage.__name__, damage, refused)
    return k


def add(kind, name, damage, refused=True, names=""):
    "Register a case. `damage` is a function of the file, or its new content."
    if isinstance(damage, (bytes, str)):
        content = damage if isinstance(damage, bytes) else damage.encode()
        damage = lambda file: file.write_bytes(content)  # noqa: E731
    k = KINDS[kind]
    CASES.append(Case(k, name.replace("_", " "), damage, refused, names or Path(k.file).name))


# Damage that any file can suffer

def chance(file): return random.Random(f"{file.name}/{file.stat().st_size}")
def rewrite(file, change): file.write_bytes(change(file.read_bytes()))


def replace_file(file, make):
    file.unlink()
    make(file)


def empty(file): file.write_bytes(b"")
def missing(file): file.unlink()
def half(file): rewrite(file, lambda b: b[:len(b)//2])
def noise(file): rewrite(file, lambda b: chance(file).randbytes(len(b)))
def all_zero(file): rewrite(file, lambda b: bytes(len(b)))
def a_folder(file): replace_file(file, Path.mkdir)
def a_link_to_itself(file): replace_file(file, lambda f: f.symlink_to(f.name))
def a_link_to_nowhere(file): replace_file(file, lambda f: f.symlink_to("nowhere"))


def flipped_bits(file, n=12):
    rng, content = chance(file), bytearray(file.read_bytes())
    for _ in range(n): content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


class Marker:
    "Its pickle writes a file when it is read, if it is read as a program."
    def __reduce__(self): return exec, ("open('../code-ran', 'w')",)


def a_pickle_that_runs_code(file): file.write_bytes(pickle.dumps(Marker()))


ANY_FILE = {empty: True, missing: True, half: True, noise: True, all_zero: True, a_folder: True, a_link_to_itself: True,
            a_link_to_nowhere: True, flipped_bits: False, a_pickle_that_runs_code: True}


def utf_16(file): rewrite(file, lambda b: b.decode().encode("utf-16"))
def byte_order_mark(file): rewrite(file, lambda b: b"\xef\xbb\xbf" + b)
def latin_1(file): rewrite(file, lambda b: b[:-2] + "é".encode("latin-1") + b[-2:])
def a_zero_byte(file): rewrite(file, lambda b: b[:20] + b"\0" + b[20:])
def twice(file): rewrite(file, lambda b: b + b)


TEXT = {utf_16: True, byte_order_mark: False, latin_1: True, a_zero_byte: True, twice: False}
WRONG = dict(nothing=None, yes=True, negative=-1, fraction=.5, huge=10**400, text="<b>\n\0", nested=[[[]]],
             object={"a": 1},
             not_a_number=float("nan"), infinite=float("inf"))


def edit(change, load=json.loads, dump=json.dumps):
    "Damage to what a text file holds."
    def damage(file):
        content = load(file.read_text(encoding="utf-8"))
        new = change(content)
        file.write_text(dump(content if new is None else new), encoding="utf-8")
    return damage


def edit_yaml(change): return edit(change, yaml.safe_load, yaml.safe_dump)


def put(path, value):
    "A change: the value at a path of keys and places."
    def change(content):
        for key in path[:-1]: content = content[key]
        content[path[-1]] = value
    return change


def wrong_types(kind, fields, edit=edit, refused=False):
    "Cases: each field with a value of another type, two of the ways in turn."
    ways = list(WRONG.items())
    for i, path in enumerate(fields):
        for name, value in (ways[(2*i + j) % len(ways)] for j in range(2)):
            add(kind, f"{'.'.join(map(str, path))}: {name}", edit(put(path, value)), refused)


DEEP = 200_000
JSON_BOMBS = dict(deep="["*DEEP, deep_and_whole="["*DEEP + "]"*DEEP, deep_objects='{"a":'*DEEP, a_list="[1, 2]",
                  a_number="7",
                  nothing="null", a_text='"x"', many_digits='{"a": ' + "9"*10_000 + "}")
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}']*9)}]\n" for i in range(9))
YAML_BOMBS = dict(
    deep="a: " + "["*20_000, deep_blocks="".join(" "*i + "a:\n" for i in range(3000)), a_list="- 1\n- 2\n",
    a_number="7",
    nothing="null", broken="a: [1, 2\nb: }", tabs="a:\n\t- 1", many_digits="seed: " + "9"*10_000,
    no_date="seed: 2020-13-45",
    no_number="seed: 0b_", no_key="? [a, b]\n: 1", laughs=LAUGHS, laughs_in_a_field=LAUGHS + "scene: *j\n",
    itself="scene: &a [*a]",
    python_object="scene: !!python/object/apply:os.system ['touch ../code-ran']",
    python_name="scene: !!python/name:os.system",
    python_new="scene: !!python/object/new:os.system ['touch ../code-ran']",
    python_module="scene: !!python/module:os", include="scene: !include secret.yaml", unknown_tag="scene: !surprise 1",
    no_base64="scene: !!binary '%%%'", merge="<<: 7",
    a_huge_alias_list=f"a: &a {[0]*1000}\nscene: {['*a']*1000}".replace("'", ""))


GONE = ("missing", "a folder", "a link to itself", "a link to nowhere")
BYTES = ("not a number", "infinite", "one tensor too many")  # pictures know no nan, and nobody asks what is beside them


def expect(kind, names=None, refused=None, blamed=None):
    "Some cases of a kind, or all, may be read, or another file is to blame."
    for c in CASES:
        if c.kind.name == kind and (names is None or c.name in names):
            if refused is not None: c.refused = refused
            if blamed is not None: c.names = blamed


def bombs(kind, many):
    for name, text in many.items(): add(kind, name, text)
