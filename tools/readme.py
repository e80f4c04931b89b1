"""Write README.md from nbs/index.ipynb, without its frames. Links and pictures become relative to the top folder."""
import posixpath
import re

import nbformat
from nbconvert import MarkdownExporter

from notebooks import NBS, ROOT, cell_options, for_reading

FILES = "nbs/images"  # where pictures that cells drew are put: index_NUMBER.png
MARKDOWN_LINK = re.compile(r"(\]\()([^)\s]+)")
HTML_LINK = re.compile(r"""(\b(?:src|href)=["'])([^"']+)""")
FRAME = re.compile(r"<iframe\b.*?</iframe>(\s*\*[^*]+\*)?", re.S)  # with its caption; repositories show none
FIGURE = re.compile(r'!\[([^\]]*)\]\(([^)\s]+)\)\{fig-alt="([^"]*)"\}')  # caption, file, alternative text
FENCED = re.compile(r"(^```.*?^```)", re.M | re.S)


def from_top(match):
    "Rewrite one link from relative to nbs/ to relative to the top; leave addresses, anchors and our own pictures."
    before, target = match.groups()
    if re.match(r"[a-z]+:|#|/", target) or target.startswith(FILES): return match[0]
    return before + posixpath.normpath(posixpath.join(NBS.name, target))


def relink(text):
    "Rewrite the links of a page, outside code."
    parts = FENCED.split(text)
    parts[::2] = [HTML_LINK.sub(from_top, MARKDOWN_LINK.sub(from_top, part)) for part in parts[::2]]
    return "".join(parts)


def with_captions(text, options):
    "Give the pictures that cells drew the alternative text and the caption of their cell, by the cell's number."
    def figure(match):
        found = options.get(int(match[2]), {})
        cap = f"\n\n*{found['fig-cap']}*" if "fig-cap" in found else ""
        return f"![{found.get('fig-alt', '')}]({match[1]}){cap}"

    text = FIGURE.sub(r"![\3](\2)\n\n*\1*", text)  # repositories know no attributes
    return re.sub(rf"!\[\w+\]\(({FILES}/index_(\d+)_[^)]+)\)", figure, text)


def main():
    nb = nbformat.reads(for_reading(NBS/"index.ipynb"), as_version=4)
    options = {}
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "code": options[i], cell.source = cell_options(cell.source)
    text, resources = MarkdownExporter().from_notebook_node(nb, {"output_files_dir": FILES, "unique_key": "index"})
    text = with_captions(text, options)
    for old in (ROOT/FILES).glob("index_*"): old.unlink()
    for name, data in resources["outputs"].items():
        (ROOT/name).parent.mkdir(exist_ok=True)
        (ROOT/name).write_bytes(data)
    text = re.sub(r"\n{3,}", "\n\n", relink(FRAME.sub("", text))).strip()
    note = "<!-- Written by tools/readme.py from nbs/index.ipynb: edit that. -->\n\n"
    (ROOT/"README.md").write_text(f"{note}{text}\n", encoding="utf-8")


if __name__ == "__main__": main()
