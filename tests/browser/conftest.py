"""A real browser for the tests of the explorer and of the site, which run by `make test-browser` alone."""
import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SITE, SHOTS = ROOT/"_docs", ROOT/"runs"/"browser"
BROWSERS = "chromium", "chromium-browser", "google-chrome"
LOCAL = re.compile(r"(file|data|blob):|(http|ws)://127\.0\.0\.1[:/]")


def pytest_ignore_collect(collection_path, config):
    "Leave these tests to those who name their folder: `make test` must do without a browser."
    named = [Path(str(arg).split("::")[0]).resolve() for arg in config.args]
    if not any(path == HERE or HERE in path.parents for path in named): return True


def free_port():
    "A port of this machine that nobody uses."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def chromium():
    "Chromium or Chrome, without a window; closed after each module, for Playwright allows one at a time."
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.fail(f"found no browser, expected one of {', '.join(BROWSERS)}, or a path in CHROMIUM", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    "A function that opens an address, and lists what goes wrong there: errors, requests that leave the machine."
    with contextlib.ExitStack() as stack:
        def opened(address, width=1000, height=900, scheme="light", touch=False, allowed=()):
            size = dict(width=width, height=height)
            context = chromium.new_context(viewport=size, color_scheme=scheme, has_touch=touch, is_mobile=touch)
            stack.callback(context.close)
            page, wrong = context.new_page(), []
            fine = lambda text: any(re.search(pattern, text) for pattern in allowed)
            def note(text):
                if not fine(text): wrong.append(text)
            page.on("console", lambda m: m.type == "error" and note(f"console: {m.text} ({m.location.get('url', '')})"))
            page.on("pageerror", lambda e: note(f"page: {e}"))
            page.on("request", lambda r: LOCAL.match(r.url) or note(f"request: {r.url}"))
            page.on("websocket", lambda w: LOCAL.match(w.url) or note(f"request: {w.url}"))
            page.goto(address, wait_until="commit")
            return page, wrong
        yield opened


@pytest.fixture(scope="module")
def site():
    "The address of the built site, served on this machine; built first if it is not there."
    if not (SITE/"index.html").is_file(): subprocess.run([sys.executable, ROOT/"tools"/"docs.py"], cwd=ROOT, check=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def voila(tmp_path_factory):
    "A function that serves a notebook with Voila on this machine alone, with a kernel of this environment."
    running = []

    def serve(notebook):
        port, log = free_port(), (tmp_path_factory.mktemp("voila")/"log").open("w")
        command = [Path(sys.executable).with_name("voila"), notebook, "--no-browser", f"--port={port}",
                   "--Voila.ip=127.0.0.1"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # the browser needs a core, too
        running.append(
            subprocess.Popen(command, cwd=notebook.parent, env=environment, stdout=log, stderr=subprocess.STDOUT))
        for _ in range(600):
            assert running[-1].poll() is None, Path(log.name).read_text()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return f"http://127.0.0.1:{port}"
            time.sleep(.1)
        raise AssertionError(f"Voila does not answer\n{Path(log.name).read_text()}")

    yield serve
    for process in running: process.terminate()
    for process in running: process.wait(30)
