"""What readers of several kinds of files share."""
import io
import re
import sys

import torch

from viewneti import cli
from viewneti.core import InputError


def each(*calls):
    "Several readers of one file: the worst that happens counts."
    found, refused = [], None
    for call in calls:
        try: found.append(call())
        except (InputError, cli.UserError) as e: refused = refused or e
    if refused: raise refused
    return found


def finite(*values): return all(torch.as_tensor(v).isfinite().all() for v in values)


def command(*words):
    "The program itself: its error, as people see it."
    said, before = io.StringIO(), sys.stderr
    sys.stderr = said
    try: code = cli.main([str(w) for w in words])
    finally: sys.stderr = before
    if code == 2: raise cli.UserError(re.sub(r"^.*viewneti: ", "", said.getvalue().strip(), flags=re.S))
    return code == 0
