"""Damage to files of tensors."""
import json
import struct

import torch
from safetensors.torch import load_file, safe_open, save_file

from .corpus import DEEP, add


def tensors(change=None, numbers=None):
    "Damage to a safetensors file: to its tensors, or to the JSON beside them."
    def damage(file):
        with safe_open(file, "pt") as f: about = f.metadata()
        content = load_file(file)
        if change: content = change(content)
        key = next((k for k in about or {} if k != "format"), None)
        if numbers and isinstance(numbers, str): about[key] = numbers
        elif numbers:
            said = json.loads(about[key])
            about[key] = json.dumps(numbers(said) or said)
        save_file({k: v.contiguous() for k, v in content.items()}, file, metadata=about)
    return damage


def header(change):
    "Damage to the header of a safetensors file."
    def damage(file):
        content = file.read_bytes()
        n = struct.unpack("<Q", content[:8])[0]
        head = json.dumps(change(json.loads(content[8:8 + n]))).encode()
        file.write_bytes(struct.pack("<Q", len(head)) + head + content[8 + n:])
    return damage


def first_tensor(**values):
    def change(head):
        name = sorted(k for k in head if k != "__metadata__")[0]
        head[name] |= values
        return head
    return change


def bad_tensors(name):
    "Cases of a kind that reads safetensors."
    add(name, "a header of 2**60 bytes", struct.pack("<Q", 1 << 60) + b"{}")
    add(name, "a header of 90 MB", lambda f: f.write_bytes(struct.pack("<Q", 90 << 20) + b" "*(90 << 20)))
    add(name, "a deep header", struct.pack("<Q", 2*DEEP) + b"["*DEEP + b"]"*DEEP)
    add(name, "no header", struct.pack("<Q", 2) + b"{}")
    add(name, "10**15 rows", header(first_tensor(shape=[10**15, 64])))
    add(name, "rows without columns", header(first_tensor(shape=[10**18, 0], data_offsets=[0, 0])))
    add(name, "negative rows", header(first_tensor(shape=[-1])))
    add(name, "offsets beyond the end", header(first_tensor(data_offsets=[0, 10**15])))
    add(name, "an unknown type", header(first_tensor(dtype="F7")))
    add(name, "another type", header(first_tensor(dtype="BOOL")))
    add(name, "a name with a path", tensors(lambda t: {f"../../{k}": v for k, v in t.items()}))
    add(name, "one tensor too few", tensors(lambda t: dict(sorted(t.items())[1:])))
    add(name, "one tensor too many", tensors(lambda t: t | dict(zz=torch.ones(3))))
    add(name, "columns and rows exchanged", tensors(lambda t: {k: v.transpose(0, -1) if v.ndim > 1 else v[None] for k,
                                                               v in t.items()}))
    add(name, "not a number", tensors(lambda t: {k: v*float("nan") if v.is_floating_point() else v for k,
                                                 v in t.items()}))
    add(name, "infinite", tensors(lambda t: {k: v + float("inf") if v.is_floating_point() else v for k,
                                             v in t.items()}))
