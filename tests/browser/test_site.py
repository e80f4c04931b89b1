"""The built site in a real browser: light, dark and on a phone. Run by `make test-browser`; shots in runs/browser."""
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE, SHOTS = ROOT/"_docs", ROOT/"runs"/"browser"
PAGES = ["index.html", "03_mappers.html", "world/00_toys.html", "findings/one_scene.html", "tutorials/original.html",
         "api/cameras.html", "CHANGELOG.html"]
NAMES = "chromium", "chromium-browser", "google-chrome"
PARTS = ["Tutorials", "Findings", "Reference", "Changelog"]
KINDS = [".sidebar-link", ".navbar .nav-link", "#TOC a", "main p", "main p a", "main pre code span", "main th, main td",
         "figcaption"]  # of text that must stand out from what is behind it
DESK, PHONE = dict(width=1400, height=1000), dict(width=360, height=740)

# Contrast, as WCAG defines it, of every text that an expression finds and that is seen, with what stands behind it
CONTRASTS = """selector => {
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1] }
  const over = (a, b) => a.slice(0, 3).map((x, i) => x*a[3] + b[i]*(1 - a[3]))
  const light = c => { const [r, g, b] = c.map(x => (x /= 255) <= .04045 ? x/12.92 : ((x + .055)/1.055)**2.4)
                       return .2126*r + .7152*g + .0722*b }
  return [...document.querySelectorAll(selector)].filter(e => e.offsetParent && e.textContent.trim()).map(e => {
    let behind = [], opacity = 1
    for (let p = e; p; p = p.parentElement) { behind.push(rgba(getComputedStyle(p).backgroundColor))
                                               opacity *= +getComputedStyle(p).opacity }
    const back = behind.reverse().reduce((below, c) => over(c, below), [255, 255, 255])
    const color = rgba(getComputedStyle(e).color); color[3] *= opacity
    const [a, b] = [light(over(color, back)), light(back)].sort((x, y) => y - x)
    return [(a + .05)/(b + .05), e.textContent.trim().slice(0, 40)]
  }).sort((x, y) => x[0] - y[0])
}"""


class Quiet(SimpleHTTPRequestHandler):
    "Serves files without a word."
    def log_message(self, *args): pass


@pytest.fixture(scope="module")
def address():
    "Where the built site is served, on this machine alone; it is built first where there is none."
    if not (SITE/"index.html").exists(): subprocess.run([sys.executable, ROOT/"tools"/"docs.py"], check=True)
    SHOTS.mkdir(parents=True, exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    "A browser without a window."
    named = os.environ.get("CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    said = f"there is no program {named}, which CHROMIUM names" if named else f"none of {', '.join(NAMES)} is installed"
    if not found: pytest.fail(f"these tests need a browser, and {said}", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address):
    "A function that opens a page of the site. Until the test is over nothing may fail there, or leave this machine."
    contexts, wrong = [], []

    def local(route):
        if urlsplit(route.request.url).hostname == "127.0.0.1": return route.continue_()
        wrong.append(f"a request left the machine: {route.request.url}")
        route.abort()

    def opened(name, scheme="light", size=DESK):
        contexts.append(context := chromium.new_context(color_scheme=scheme, viewport=size, reduced_motion="reduce"))
        context.route("http*://**/*", local)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("response", lambda got: wrong.append(f"{got.status}: {got.url}") if got.status >= 400 else None)
        page.goto(f"{address}/{name}", wait_until="networkidle")
        return page

    yield opened
    for context in contexts: context.close()
    assert not wrong


def shot(page, name): page.screenshot(path=SHOTS/f"{name.replace('/', '-').replace('.html', '')}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_whole_and_readable(visit, name, scheme):
    page = visit(name, scheme)
    shot(page, f"{name}-{scheme}")
    assert page.locator("main h1").count() == 1 and page.title()
    pictures = page.locator("main img").evaluate_all("all => all.map(img => [img.naturalWidth, img.alt])")
    assert all(width and alt for width, alt in pictures)
    assert bool(pictures) == (name not in ("api/cameras.html", "CHANGELOG.html"))
    for kind in KINDS:
        contrasts = page.evaluate(CONTRASTS, kind)
        assert not contrasts or contrasts[0][0] >= 4.5, f"{kind}: {contrasts[0]}"
    assert page.evaluate(CONTRASTS, ".sidebar-link"), "the sidebar shows nothing"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(visit, name):
    page = visit(name, "dark", PHONE)
    shot(page, f"{name}-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.click(".navbar-toggler")
    page.get_by_role("link", name="Findings", exact=True).first.click()
    page.wait_for_url("**/findings/*.html")


def test_formulas_are_drawn_without_a_script(visit):
    page = visit("03_mappers.html")
    sizes = page.locator("math").evaluate_all("all => all.map(m => [m.getBoundingClientRect().width, m.textContent])")
    assert len(sizes) > 5 and all(width > 3 and "\\" not in text for width, text in sizes)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_search_finds_a_word_and_goes_there(visit, scheme):
    page = visit("index.html", scheme)
    page.keyboard.press("/")
    page.keyboard.type("geodesic")
    found = page.locator(".search-result")
    found.first.wait_for()
    shot(page, f"search-{scheme}")
    for kind in (".search-result-title", ".search-result-section", ".search-result-text"):
        assert page.evaluate(CONTRASTS, kind)[0][0] >= 4.5, kind
    leads_to = found.first.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{leads_to.removeprefix('./')}")
    assert "geodesic" in page.locator("main").inner_text()


SEARCHES = {"install": "guide/install.html", "resume": "guide/troubleshooting.html#training-and-resuming",
            "LPIPS": "08_evaluation_metrics.html#lpips", "DTU masks": "tutorials/dtu.html#the-data-and-the-masks",
            "out of memory": "guide/troubleshooting.html#cuda-out-of-memory",
            "CUDA out of memory": "guide/troubleshooting.html#cuda-out-of-memory",
            "geodesic": "09_manifold.html", "own scene": "tutorials/own_scene.html", "colmap": "readers/colmap.html",
            "checkpoint": "tutorials/original.html", "Run.resume": "api/experiment.html#Run.resume"}
SHELVES = ["tutorials/", r"\d", "api/"]


@pytest.mark.parametrize("words", SEARCHES)
def test_search_leads_to_the_right_page_first(visit, words):
    page = visit("CHANGELOG.html")
    page.keyboard.press("/")
    page.keyboard.type(words)
    found = page.locator(".search-result")
    found.first.wait_for()
    page.wait_for_timeout(300)
    hits = [a.removeprefix("./") for a in found.evaluate_all("all => all.map(a => a.getAttribute('href'))")]
    shot(page, f"search-{words.replace(' ', '-')}")
    assert hits[0].startswith(SEARCHES[words]), hits[:5]
    pages = [hit.split("#")[0] for hit in hits]
    assert sum(a != b for a, b in zip(pages, pages[1:])) == len(set(pages)) - 1, "hits of one page stand together"


def test_search_puts_tutorials_above_chapters_above_the_reference(visit):
    page = visit("index.html")
    page.keyboard.press("/")
    page.keyboard.type("manifold")
    found = page.locator(".search-result")
    found.first.wait_for()
    hits = found.evaluate_all("all => all.map(a => a.getAttribute('href').replace('./', ''))")
    first = [next((i for i, hit in enumerate(hits) if re.match(shelf, hit)), len(hits)) for shelf in SHELVES]
    assert first == sorted(first) and first[0] < first[1] < len(hits), hits
    page.locator("#quarto-search input").fill("geodesci")  # a slip of the fingers is forgiven
    page.wait_for_function("[...document.querySelectorAll('.search-result')].some(a => a.href.includes('manifold'))")


def test_the_theme_switches_and_stays(visit):
    page = visit("index.html", "light")
    back = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(back)
    page.click(".quarto-color-scheme-toggle")
    page.wait_for_function(f"{back} != '{light}'")
    dark = page.evaluate(back)
    page.goto(page.url.replace("index.html", "CHANGELOG.html"))
    page.wait_for_function(f"{back} == '{dark}'")
    assert page.evaluate("document.documentElement.className").split().count("quarto-dark") == 1


def test_the_keyboard_is_seen_and_reaches_every_part_of_the_site(visit):
    page, reached = visit("index.html"), []
    for _ in range(7):
        page.keyboard.press("Tab")
        at = page.locator(":focus")
        style, width = at.evaluate("e => { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth] }")
        assert style == "solid" and float(width.removesuffix("px")) >= 2
        reached.append(at.inner_text().strip())
    assert [text for text in reached if text][:7] == ["viewneti", "Home", "Install", *PARTS]
    for part in PARTS:
        page.locator(".navbar").get_by_role("link", name=part, exact=True).click()
        page.wait_for_load_state()
        assert page.locator(".navbar .nav-link.active").inner_text().strip() == part
