"""Make the pages of a built site load nothing from other hosts. Used by docs.py.

Smalldocs and Quarto write formulas as TeX and load a script that draws them from another host; their themes load fonts.
"""
import html
import re
from pathlib import Path

from latex2mathml.converter import convert

FORMULA = re.compile(r'(<span class="math (inline|display)">)\\[(\[](.*?)\\[)\]]</span>', re.S)
REMOTE = re.compile(r"""<script\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>\s*</script>|"""
                    r"""<link\b(?=[^>]*\brel=["']?stylesheet)[^>]*\bhref=["']?(?:https?:)?//[^>]*>""")
REMOTE_IMPORT = re.compile(r"""@import\s*(?:url\()?["']?(?:https?:)?//[^"')]*[^;]*;""")


def formula(match):
    "A formula in TeX as MathML, which browsers draw by themselves."
    before, kind, tex = match.groups()
    return f"{before}{convert(html.unescape(tex), display='block' if kind == 'display' else 'inline')}</span>"


def keep_to_own_host(site: Path):
    "Write formulas as MathML, and take out scripts and styles of other hosts, in a folder's pages and style sheets."
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(FORMULA.sub(formula, REMOTE.sub("", text)), encoding="utf-8")
    for css in site.rglob("*.css"):
        css.write_text(REMOTE_IMPORT.sub("", css.read_text(encoding="utf-8")), encoding="utf-8")
