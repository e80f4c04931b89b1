"""Build the documentation site in _docs, and check it. No cell is executed: saved outputs are shown.

The notebooks are prepared in _proc, and pages of reference are made there from the code. Then smalldocs renders that
folder by _quarto.yml; or, with --quarto, Quarto does. What the search finds gets an order (search.js), what pages would
load from other hosts goes (own_host.py), and the result is read page by page (check_site.py).
"""
import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from nbdev.config import get_config
from nbdev.doclinks import nbglob

from check_site import check
from notebooks import NBS, ROOT, for_reading
from own_host import keep_to_own_host
from reference import write_reference

PROC, SITE = ROOT/"_proc", ROOT/"_docs"
FUSE = Path("site_libs/fuse/fuse.min.js")  # what smalldocs searches with
PAGES = ["CHANGELOG.md", "CONTRIBUTING.md"]  # pages of the site that lie at the repository's top


def prepare():
    "Copy nbs/ to _proc, following links, and put each notebook there as a reader should see it."
    shutil.rmtree(PROC, ignore_errors=True)
    shutil.copytree(NBS, PROC, ignore=shutil.ignore_patterns("*.ipynb", ".*", "_docs"))
    for nb in nbglob(NBS, as_path=True):
        target = PROC/nb.relative_to(NBS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(for_reading(nb), encoding="utf-8")
    for page in PAGES: shutil.copy2(ROOT/page, PROC)


def reference():
    "Write a page of reference for each module in _proc/api, and the index by which names in backticks become links."
    cfg = get_config()
    write_reference(PROC, ROOT, NBS, cfg.lib_name, f"{cfg.git_url}/blob/{cfg.branch}")


def order_search(site: Path):
    "Put the order of what is found (search.js) behind the library that searches."
    with (site/FUSE).open("a", encoding="utf-8") as f: f.write("\n" + (ROOT/"tools"/"search.js").read_text("utf-8"))


def run(*command):
    "Run a command in _proc; its failure is ours."
    done = subprocess.run([str(c) for c in command], cwd=PROC)
    if done.returncode: sys.exit(done.returncode)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quarto", action="store_true", help="render with Quarto instead of smalldocs")
    args = parser.parse_args()
    prepare()
    reference()
    if args.quarto: run("quarto", "render")
    else: run(Path(sys.executable).with_name("smalldocs"), "render", "--strict")  # a broken link is an error
    keep_to_own_host(PROC/"_docs")
    if not args.quarto: order_search(PROC/"_docs")
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(PROC/"_docs", SITE)
    if not check(SITE) and not args.quarto: sys.exit(1)  # what Quarto puts around our pages is not ours to fix
    print(f"The site is in {SITE.relative_to(ROOT)}: open {SITE.relative_to(ROOT)}/index.html")


if __name__ == "__main__": main()
