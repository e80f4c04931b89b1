"""The explorer in a browser: the page without a kernel, the built site, and the live widget in Voila."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
PAGE, SHOTS = ROOT/"nbs"/"images"/"explorer.html", ROOT/"runs"/"browser"
# Voila's own template asks a content network for the icons of its buttons
VOILA = [r"request: https://cdn\.jsdelivr\.net/npm/@fortawesome",
         r"console: Failed to load resource.*cdn\.jsdelivr\.net/npm/@fortawesome"]
LIVE = """from viewneti.world.example import example_run
from viewneti.explorer import explore
explore(example_run('example'), object='<scan2>', device='cpu')"""


def shoot(page, name, whole=True):
    "Keep a picture of what is seen, for people to look at."
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS/f"{name}.png", full_page=whole)


class Explorer:
    "The parts of an explorer in a page or in a frame of it."
    def __init__(self, page, frame=None):
        self.page, self.frame = page, frame or page
        self.root, self.sphere = self.frame.locator(".vnx"), self.frame.locator(".vnx-sphere")
        self.drawn, self.truth = (self.frame.locator(f".vnx-{name} canvas") for name in ("drawn", "truth"))

    def pixels(self, canvas=None):
        "What a picture shows, as an address."
        return (canvas or self.drawn).evaluate("canvas => canvas.toDataURL()")

    def told(self):
        "What the page says: azimuth and elevation of the drawn picture, and of the camera that is asked for."
        data = self.root.evaluate("node => ({...node.dataset})")
        said = self.frame.locator(".vnx-where .vnx-note").inner_text()
        return float(data["azimuth"]), float(data["elevation"]), data["state"], said

    def drag(self, dx, dy, what=None, steps=12):
        "Press, move and let go, as a hand with a mouse does."
        box = (what or self.sphere).bounding_box()
        x, y = box["x"] + box["width"]/2, box["y"] + box["height"]/2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y + dy, steps=steps)
        self.page.mouse.up()

    def swipe(self, dx, dy, what=None):
        "Drag with a finger, as slowly as a finger is."
        box = (what or self.sphere).bounding_box()
        x, y = box["x"] + box["width"]/2, box["y"] + box["height"]/2
        session = self.page.context.new_cdp_session(self.page)
        touch = lambda kind, points: session.send("Input.dispatchTouchEvent", dict(type=kind, touchPoints=points))
        touch("touchStart", [dict(x=x, y=y)])
        for i in range(1, 21):
            touch("touchMove", [dict(x=x + dx*i/20, y=y + dy*i/20)])
            self.page.wait_for_timeout(16)
        touch("touchEnd", [])
        self.page.wait_for_timeout(100)

    def wait(self, state, seconds=60):
        "Until the drawn picture is of this kind, and of the viewpoint that is asked for."
        self.frame.wait_for_function("""state => {
            const { dataset } = document.querySelector('.vnx');
            const said = document.querySelector('.vnx-where .vnx-note').textContent.match(/-?\\d+/g).map(Number);
            const near = [dataset.azimuth, dataset.elevation].every((x, i) => Math.abs(Number(x) - said[i]) <= 0.5);
            return dataset.state === state && near;
        }""", arg=state, timeout=1000*seconds)


# ---------------------------------------------------------------- without a kernel

def test_page_is_up_to_date():
    text, hint = PAGE.read_text(encoding="utf-8"), "make it again with the last cells of nbs/tutorials/explore.ipynb"
    for name in ("explorer.js", "explorer.css"):
        assert (ROOT / "viewneti" / "assets" /
                name).read_text(encoding="utf-8") in text, f"{PAGE.name} has another {name}: {hint}"


@pytest.mark.parametrize("width, scheme", [(1000, "light"), (1000, "dark"), (360, "light"), (360, "dark")])
def test_page_without_kernel(visit, width, scheme):
    page, wrong = visit(PAGE.as_uri(), width=width, scheme=scheme, touch=width < 500)
    explorer = Explorer(page)
    page.wait_for_selector("main[data-ready]")
    shoot(page, f"static-{width}-{scheme}")
    first, first_truth, before = explorer.pixels(), explorer.pixels(explorer.truth), explorer.told()
    assert first != first_truth and before[2] == "fine"
    explorer.drag(90, 0) if width > 500 else explorer.swipe(70, 0)
    turned = explorer.told()
    assert turned[0] > before[0] + 10 and turned[1] == before[1] and f"azimuth {turned[0]:.0f}°" in turned[3]
    second = explorer.pixels()
    assert second != first and explorer.pixels(explorer.truth) != first_truth
    explorer.drag(-80, 0, explorer.drawn)  # the picture turns the other way than the camera walks
    assert explorer.told()[0] > turned[0] and explorer.pixels() not in (first, second)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    assert not wrong


def test_keys_and_choices_without_kernel(visit):
    page, wrong = visit(PAGE.as_uri())
    explorer = Explorer(page)
    page.wait_for_selector("main[data-ready='0']")
    for _ in range(10):  # the sphere is reached by the keyboard alone
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('vnx-sphere')"): break
    assert "azimuth" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    pictures, places = [explorer.pixels()], [explorer.told()[:2]]
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
        pictures.append(explorer.pixels())
        places.append(explorer.told()[:2])
    assert len(set(pictures)) == 5
    (a0, e0), (a1, e1), (a2, e2), (a3, e3), (a4, e4) = places
    assert a1 > a0 and e1 == e0 and e2 > e1 and a2 == a1 and a2 - a3 > a1 - a0 and (a4, e4) == (a3, e0)
    select = page.locator("select").first
    names = select.locator("option").all_inner_texts()
    assert len(names) >= 3
    select.select_option(index=1)
    page.wait_for_selector("main[data-ready='1']")
    assert explorer.told()[:2] == (a4, e4) and explorer.pixels() not in pictures
    shoot(page, "static-other-object")
    assert not wrong


def bottom(locator):
    "Where something ends, in pixels from the upper edge of the window."
    box = locator.bounding_box()
    return box["y"] + box["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(visit, scheme):
    page, wrong = visit(PAGE.as_uri(), width=390, height=844, scheme=scheme, touch=True)
    explorer = Explorer(page)
    page.wait_for_selector("main[data-ready]")
    shoot(page, f"phone-{scheme}", whole=False)
    assert 0 < explorer.sphere.bounding_box()["y"] and max(map(bottom, (explorer.drawn, explorer.truth))) < 600
    assert "arrow" not in page.locator("body").inner_html().lower().split('<script')[0], "there are no such keys"
    before, first = explorer.told(), explorer.pixels()
    page.evaluate("document.body.style.paddingBottom = '900px'")  # something below to scroll to
    for what in (explorer.sphere, explorer.drawn):  # up and down scrolls the page, and leaves the camera alone
        page.evaluate("scrollTo(0, 0)")
        explorer.swipe(4, -120, what)
        assert page.evaluate("scrollY") > 60 and explorer.told() == before and explorer.pixels() == first
    page.evaluate("scrollTo(0, 0)")
    explorer.swipe(70, 6)  # sideways walks around the object, and does not scroll
    turned = explorer.told()
    assert turned[0] > before[0] + 10 and page.evaluate("scrollY") == 0
    box = explorer.sphere.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"]/2, box["y"] + box["height"]*.2)  # a tap goes to that place
    assert explorer.told()[1] > turned[1]
    assert not wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_on_the_site(visit, site, scheme):
    page, wrong = visit(f"{site}/index.html", width=390, height=844, scheme=scheme, touch=True)
    frame_node = page.locator("iframe[src*='explorer.html']")
    frame_node.scroll_into_view_if_needed()
    frame = frame_node.element_handle().content_frame()
    frame.wait_for_selector("main[data-ready]")
    explorer = Explorer(page, frame)
    frame.wait_for_function("document.body.getBoundingClientRect().height - innerHeight < 2")
    assert frame.evaluate("document.documentElement.dataset.theme") == scheme, "as the reader's system, unasked"
    header = page.locator("#quarto-header").bounding_box()["height"]
    page.evaluate("y => scrollBy(0, y)", explorer.frame.locator(".vnx").bounding_box()["y"] - header)
    page.wait_for_timeout(300)
    shoot(page, f"site-phone-{scheme}", whole=False)
    assert bottom(explorer.truth) < 844 and explorer.sphere.bounding_box()["y"] >= header - 1
    before, scrolled = explorer.told(), page.evaluate("scrollY")
    explorer.swipe(0, -150)
    assert page.evaluate("scrollY") > scrolled + 60 and explorer.told() == before, "the page scrolls, not the sphere"
    assert not wrong


def test_sphere_is_large_on_a_desk(visit, site):
    page, wrong = visit(f"{site}/index.html", width=1400, height=950)
    frame_node = page.locator("iframe[src*='explorer.html']")
    frame_node.scroll_into_view_if_needed()
    frame = frame_node.element_handle().content_frame()
    frame.wait_for_selector("main[data-ready]")
    explorer, alone = Explorer(page, frame), visit(PAGE.as_uri(), width=1400, height=950)[0]
    alone.wait_for_selector("main[data-ready]")
    shoot(alone, "static-1400", whole=False)
    for one in (explorer, Explorer(alone)):
        assert one.sphere.locator("svg").bounding_box()["width"] >= 340
        heights = one.frame.locator(".vnx-words text").evaluate_all("all => all.map(t => t.getBBox().height)")
        scale = one.sphere.locator("svg").bounding_box()["width"]/248
        assert min(heights)*scale >= 14, "legible"
        assert "arrow keys" in one.frame.locator(".vnx-hint").text_content()
    assert frame.evaluate("document.documentElement.dataset.theme") == "light"
    assert not wrong


def test_opens_between_training_views_and_holds_a_scene_that_was_held_out(visit):
    page, wrong = visit(PAGE.as_uri())
    page.wait_for_selector("main[data-ready='0']")
    near, foot = page.locator(".vnx-fact").first, page.locator(".vnx-foot")
    assert float(near.locator(".vnx-value").inner_text().split("°")[0]) >= 8
    assert "Learned from 48 pictures" in foot.inner_text()
    shown = Explorer(page).pixels()
    page.locator("select").first.select_option(index=4)
    page.wait_for_selector("main[data-ready='4']")
    assert "held out" in foot.inner_text() and "frozen" in foot.inner_text() and "1 picture" in foot.inner_text()
    assert page.locator(".vnx-near-dots circle").count() == 1 and Explorer(page).pixels() != shown
    shoot(page, "static-held-out")
    assert not wrong


@pytest.mark.parametrize("path", ["index.html", "tutorials/explore.html"])
def test_site(visit, site, path):
    page, wrong = visit(f"{site}/{path}")
    frame_node = page.locator("iframe[src*='explorer.html']")
    frame_node.wait_for()
    assert frame_node.get_attribute("title")
    frame_node.scroll_into_view_if_needed()
    frame = frame_node.element_handle().content_frame()
    frame.wait_for_selector("main[data-ready]")
    explorer = Explorer(page, frame)
    frame.wait_for_function("document.body.getBoundingClientRect().height - innerHeight < 2")  # the frame has grown
    first = explorer.pixels()
    explorer.drag(80, 0)
    assert explorer.pixels() != first
    page.wait_for_timeout(300)
    shoot(page, f"site-{Path(path).stem}", whole=False)
    page.evaluate("smalldocsToggleScheme()")
    frame.wait_for_function("document.documentElement.dataset.theme === 'dark'")  # as the page around it
    page.wait_for_timeout(300)
    shoot(page, f"site-{Path(path).stem}-dark", whole=False)
    assert not wrong


# ---------------------------------------------------------------- with a kernel

def until(what, seconds=60):
    "Wait until something holds."
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(.05)


def answers(port):
    "Whether somebody listens there."
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True


def stopwatch(page):
    "Note in the page at what time which kind of picture is told of."
    page.evaluate("""() => {
        const root = document.querySelector('.vnx');
        window.seen = [];
        new MutationObserver(() => seen.push([performance.now(), Number(root.dataset.azimuth), root.dataset.state]))
            .observe(root, { attributes: true, attributeFilter: ['data-azimuth', 'data-state'] });
    }""")


def slow_drag(explorer, steps=40):
    "Drag for a second: the times in the page at which the hand began to move and was at rest."
    page, box = explorer.page, explorer.sphere.bounding_box()
    x, y = box["x"] + box["width"]/2, box["y"] + box["height"]/2
    page.mouse.move(x, y)
    page.mouse.down()
    begun = page.evaluate("performance.now()")
    for i in range(1, steps + 1):
        page.mouse.move(x + 3*i, y)
        page.wait_for_timeout(1000/steps)
    rested = page.evaluate("performance.now()")
    page.mouse.up()
    return begun, rested


def opened(visit, address):
    "The explorer that is served at an address, with its first fine picture."
    page, wrong = visit(address, allowed=VOILA)
    page.wait_for_selector(".vnx[data-state=fine]", timeout=240_000)
    return page, Explorer(page), wrong


def live(visit, voila, notebook):
    "The explorer of a notebook that Voila serves, with its first fine picture."
    return opened(visit, voila(notebook))


def test_live(visit, voila, tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell(LIVE)]), tmp_path/"live.ipynb")
    page, explorer, wrong = live(visit, voila, tmp_path/"live.ipynb")
    shoot(page, "live")
    first, before = explorer.pixels(), explorer.told()

    # While the hand moves, rough pictures; when it rests, the fine one of the last place
    stopwatch(page)
    begun, rested = slow_drag(explorer)
    explorer.wait("rough", 20)
    rough = explorer.pixels()
    shoot(page, "live-rough")
    explorer.wait("fine")
    fine, after, seen = explorer.pixels(), explorer.told(), page.evaluate("seen")
    assert len({first, rough, fine}) == 3 and after[0] > before[0] + 30
    roughs = [t - begun for t, azimuth, state in seen if state == "rough" and azimuth != before[0]]
    assert len(roughs) >= 2, "pictures come while the hand moves"
    assert all(azimuth in (before[0], after[0]) for _, azimuth, state in seen if state == "fine"), "only at rest"
    print(f"\nfirst movement to first rough picture {roughs[0]/1000:.2f} s, "
          f"rest to fine picture {(seen[-1][0] - rested)/1000:.2f} s")

    # Another prompt, a wrong one, and again a good one
    prompt, error = page.locator("input[type=text]").first, page.locator(".vnx-error")
    def ask(words):
        prompt.fill(words)
        prompt.press("Enter")
    ask("<view>. A photo of a red car on grass")
    until(lambda: explorer.pixels() not in (first, rough, fine))
    until(lambda: explorer.told()[2] == "fine")
    car = explorer.pixels()
    shoot(page, "live-other-prompt")
    ask("<view>. A photo of a <thing>")
    until(lambda: "found <thing>" in error.inner_text())
    assert error.is_visible() and explorer.pixels() == car
    shoot(page, "live-error")
    ask("<view>. A photo of a blue duck on snow")
    until(lambda: explorer.pixels() != car and not error.is_visible())
    truth = explorer.pixels(explorer.truth)
    page.locator("select").first.select_option(index=8)
    until(lambda: explorer.pixels(explorer.truth) != truth)
    ask("<view>. A photo of a <scan9>")
    until(lambda: explorer.told()[2] == "fine" and not error.is_visible())
    assert not wrong


def test_tutorial(visit, voila, tmp_path):
    notebook = nbformat.read(ROOT/"nbs"/"tutorials"/"explore.ipynb", as_version=4)
    ends = "#| slow", "explorer.close()", "os.chdir(start)"
    notebook.cells = [
        cell for cell in notebook.cells if cell.cell_type == "code" and not any(e in cell.source for e in ends)
    ]
    nbformat.write(notebook, tmp_path/"explore.ipynb")
    page, explorer, wrong = live(visit, voila, tmp_path/"explore.ipynb")
    first = explorer.pixels()
    slow_drag(explorer, steps=10)
    until(lambda: explorer.pixels() != first)
    shoot(page, "tutorial")
    assert not wrong


def test_command(visit, tmp_path):
    "A stranger's path after the installation: one command, and a picture that moves."
    port, begun = free_port(), time.monotonic()
    command = [Path(sys.executable).with_name("viewneti"), "explore", "--browser", "false", "--port", str(port)]
    with (tmp_path/"log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until(lambda: process.poll() is not None or answers(port), 120)
        assert process.poll() is None, (tmp_path/"log").read_text()
        page, explorer, wrong = opened(visit, f"http://127.0.0.1:{port}")
        first = explorer.pixels()
        explorer.drag(80, 0)
        until(lambda: explorer.pixels() != first)
        print(f"\nfrom the command to a picture that moves: {time.monotonic() - begun:.0f} s")
        assert not wrong
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode in (0, 130), (tmp_path/"log").read_text()
