"""Check the built site as a browser meets it: links, anchors, files, alternative text, other hosts, sizes.

`smalldocs render --strict` looks for broken links in the sources; this reads the finished pages. One line a problem
names the page and the element.
"""
import argparse
import re
import sys
from collections import Counter
from os.path import normpath
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

SITE = Path(__file__).resolve().parent.parent/"_docs"
LIMIT = 3_000_000  # the most bytes that a page may load, itself included
WEIGHED = "index.html", "tutorials/explore.html"  # pages with the static explorer: their sizes are always told
LOADS = {**dict.fromkeys(("img", "script", "iframe", "source", "track", "video", "audio", "embed", "input"), "src"),
         "object": "data", "image": "href", "use": "href"}  # where an element names what a page loads by itself
LINK_LOADS = {"stylesheet", "icon", "apple-touch-icon", "manifest", "preload", "modulepreload", "prefetch",
              "preconnect", "dns-prefetch"}  # kinds of <link> that make a browser turn to another address
CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
CSS_LOAD = re.compile(r"""@import\s*["']([^"']+)|url\(\s*["']?([^"')]+)""")
FONT_SOURCES = re.compile(r"(src:\s*url\([^)]*\)[^,;}]*),[^;}]*")  # a browser takes the first that it can read
SCRIPT_LOAD = re.compile(r"""\b(?:import|from|fetch|importScripts|Worker)\s*\(?\s*["'](https?:)?//""")
INLINE_BYTES = re.compile(r"(data:[\w/.+-]+;base64,)[\w/+=]+")
MACHINE_PATH = re.compile(r"(?<![\w./~+-])/(?:tmp|work|home|root)(?:/[\w.-]+)+")


def other_host(address):
    "Whether an address is on another host than the page."
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https", "ws", "wss", "ftp")


def stays(address):
    "Whether an address names no file at all: data inside the page, mail, a script."
    return urlsplit(address).scheme in ("data", "blob", "mailto", "javascript", "about")


def css_loads(css):
    "Addresses that a style sheet loads."
    css = FONT_SOURCES.sub(r"\1", CSS_COMMENT.sub("", css))
    return [a or b for a, b in CSS_LOAD.findall(css)]


def named(tag):
    "An element in a line: its tag, the attribute that tells it from others, and the cell or section around it."
    key = next((k for k in ("src", "href", "data", "id") if tag.get(k) and not tag[k].startswith("data:")), None)
    if key: return f"<{tag.name} {key}={tag[key][:80]!r}>"
    around = tag.find_parent(id=True)
    return f"<{tag.name}>" + (f" in #{around['id']}" if around else "")


def page_loads(soup):
    "Pairs of an element and an address that it loads."
    for tag in soup.find_all(True):
        if tag.get(LOADS.get(tag.name)): yield tag, tag[LOADS[tag.name]]
        if tag.get("poster"): yield tag, tag["poster"]
        for part in re.split(r",\s+", tag.get("srcset", "")):
            if part.strip(): yield tag, part.split()[0]
        if tag.name == "link" and LINK_LOADS & set(tag.get("rel", ())) and tag.get("href"): yield tag, tag["href"]
        css = tag.get("style", "") + (tag.get_text() if tag.name == "style" else "")
        for address in css_loads(css): yield tag, address


def parsed(page):
    "A page's elements, without the bytes of pictures that stand in it."
    return BeautifulSoup(INLINE_BYTES.sub(r"\1", page), "html.parser")


class Site:
    "A built site: its pages parsed, and what is wrong with them."

    def __init__(self, root: Path):
        self.root = Path(root).resolve()
        self.pages = {file: parsed(file.read_text(encoding="utf-8")) for file in sorted(self.root.rglob("*.html"))}
        self.ids = {file: Counter(t["id"] for t in soup.find_all(id=True)) for file, soup in self.pages.items()}

    def name(self, file):
        return file.relative_to(self.root).as_posix()

    def find(self, base, address):
        "The file of the site that an address names where `base` holds it, or None, and the anchor in it."
        parts = urlsplit(address)
        file = Path(normpath(base.parent/unquote(parts.path))) if parts.path else base
        if file.is_dir(): file /= "index.html"
        ours = file.is_relative_to(self.root) and not parts.path.startswith("/")  # a site may lie in a host's folder
        return (file if ours and file.is_file() else None), unquote(parts.fragment)

    def loaded(self, file, seen=None):
        "Every file of the site that a browser loads for `file`, with itself."
        seen = {file} if seen is None else seen | {file}
        if file in self.pages: addresses = [a for _, a in page_loads(self.pages[file])]
        elif file.suffix == ".css": addresses = css_loads(file.read_text(encoding="utf-8"))
        else: addresses = []
        for address in addresses:
            if other_host(address) or stays(address): continue
            found, _ = self.find(file, address)
            if found and found not in seen: seen = self.loaded(found, seen)
        return seen

    def size(self, file):
        "Bytes that a browser loads for a page, uncompressed."
        return sum(f.stat().st_size for f in self.loaded(file))

    def check_links(self, file):
        for tag in self.pages[file].find_all("a", href=True):
            address = tag["href"]
            if other_host(address) or stays(address): continue
            found, anchor = self.find(file, address)
            if not found: yield named(tag), "leads to a file that is not there"
            elif anchor and anchor != "top" and found in self.ids and anchor not in self.ids[found]:
                yield named(tag), f"leads to an anchor that {self.name(found)} does not have"

    def check_loads(self, file):
        for tag, address in page_loads(self.pages[file]):
            if stays(address): continue
            if other_host(address): yield named(tag), f"is loaded from another host: {address[:80]}"
            elif not self.find(file, address)[0]: yield named(tag), f"needs a file that is not there: {address[:80]}"
        for frame in self.pages[file].find_all("iframe", srcdoc=True):
            for tag, address in page_loads(parsed(frame["srcdoc"])):
                if not stays(address): yield f"{named(tag)} in an iframe", "is not inside the iframe's own text"
        for tag in self.pages[file].find_all("script"):
            if found := SCRIPT_LOAD.search(tag.get_text()): yield named(tag), f"loads from another host: {found[0]}"

    def check_text(self, file):
        soup = self.pages[file]
        for tag in soup.find_all("img"):
            hidden = tag.get("aria-hidden") == "true" and tag.get("alt") == ""
            if not tag.get("alt", "").strip() and not hidden: yield named(tag), "has no alternative text"
        for tag in soup.find_all("iframe"):
            if not tag.get("title", "").strip(): yield named(tag), "has no title"
        for name, count in self.ids[file].items():
            if count > 1: yield f"id={name!r}", f"stands {count} times"
        for tag in soup.find_all(class_="math"):
            if not tag.find("math") or "\\" in tag.get_text():
                yield named(tag), f"is a formula that is not drawn: {tag.get_text()[:60]}"
        values = [str(value) for tag in soup.find_all(True) for value in tag.attrs.values()]
        seen = "\n".join([soup.get_text(), *(value for value in values if not value.startswith("data:"))])
        for path in sorted(set(MACHINE_PATH.findall(seen))): yield path, "is a path of the machine that built this"

    def check_size(self, file):
        if (size := self.size(file)) > LIMIT: yield "page", f"loads {size/1e6:.1f} MB; the limit is {LIMIT/1e6:.0f} MB"

    def check_css(self, file):
        for address in css_loads(file.read_text(encoding="utf-8")):
            if other_host(address): yield "style sheet", f"loads from another host: {address[:80]}"
            elif not stays(address) and not self.find(file, address)[0]:
                yield "style sheet", f"needs a file that is not there: {address[:80]}"

    def problems(self):
        "Every problem, as a line."
        of_page = self.check_links, self.check_loads, self.check_text, self.check_size
        checks = [(check, file) for file in self.pages for check in of_page]
        checks += [(self.check_css, file) for file in sorted(self.root.rglob("*.css"))]
        return [f"{self.name(file)}: {element} {what}" for check, file in checks for element, what in check(file)]


def check(root):
    "Print what is wrong with the site in a folder, and how much the pages with the explorer load: whether all is well."
    site = Site(root)
    problems = site.problems() if site.pages else [f"{root}: no page in it"]
    for line in problems: print(line)
    for page in WEIGHED:
        if (file := site.root/page) in site.pages: print(f"{page} loads {site.size(file)/1e6:.2f} MB")
    print(f"{len(site.pages)} pages checked; problems: {len(problems)}")
    return not problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", nargs="?", type=Path, default=SITE, help="the folder of the built site (default _docs)")
    sys.exit(not check(parser.parse_args().site))


if __name__ == "__main__": main()
