"""Tests of what checks a built site, and of what keeps it from other hosts, on small folders of made pages."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/"tools"))
import check_site  # noqa: E402
from own_host import keep_to_own_host  # noqa: E402

GOOD = """<!doctype html><html><head><title>Good</title>
<link rel="stylesheet" href="libs/style.css"><script src="libs/run.js"></script>
<link rel="canonical" href="https://example.org/"></head><body>
<h1>Good</h1><a href="#part">down</a> <a href="sub/">there</a> <a href="sub/index.html?x=1#other%20part">there</a>
<a href="https://example.org/">away</a> <a href="mailto:a@b.c">mail</a> <p id="part">See the tutorials/home/page.</p>
<img src="picture.png" alt="A duck"> <img src="data:image/png;base64,/tmp/abc" alt="Another">
<img src="picture.png" alt="" aria-hidden="true"><iframe src="frame.html" title="A frame"></iframe>
<span class="math inline"><math><mi>x</mi></math></span></body></html>"""
FILES = {"index.html": GOOD, "sub/index.html": '<h1 id="other part">Below</h1><a href="../index.html#part">up</a>',
         "frame.html": "<p>In a frame</p>", "picture.png": "png", "libs/run.js": "let a = 1;",
         "libs/style.css": "/* url(https://example.org) */ @font-face { src: url(f.woff2) format('woff2'), "
                           "url(f.woff) format('woff'); }",
         "libs/f.woff2": "12345678"}


def made(folder, body="", **files):
    "A folder of good pages, with a page `bad.html` that holds `body`."
    for name, text in (FILES | ({"bad.html": body} if body else {}) | files).items():
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        (folder/name).write_text(text)
    return folder


def test_good_pages_have_no_problem(tmp_path, capsys):
    assert check_site.Site(made(tmp_path)).problems() == []
    assert check_site.check(tmp_path) and capsys.readouterr().out.endswith("3 pages checked; problems: 0\n")


@pytest.mark.parametrize("body, said", [
    ('<a href="gone.html">', "bad.html: <a href='gone.html'> leads to a file that is not there"),
    ('<a href="/index.html">', "<a href='/index.html'> leads to a file that is not there"),
    ('<a href="../../outside.html">', "leads to a file that is not there"),
    ('<a href="index.html#gone">', "<a href='index.html#gone'> leads to an anchor that index.html does not have"),
    ('<a href="#gone">', "<a href='#gone'> leads to an anchor that bad.html does not have"),
    ('<img src="gone.png" alt="x">', "<img src='gone.png'> needs a file that is not there"),
    ('<img srcset="picture.png 1x, gone.png 2x" alt="x">', "needs a file that is not there: gone.png"),
    ('<iframe src="gone.html" title="x"></iframe>', "<iframe src='gone.html'> needs a file that is not there"),
    ('<script src="gone.js"></script>', "<script src='gone.js'> needs a file that is not there"),
    ('<link rel="stylesheet" href="gone.css">', "<link href='gone.css'> needs a file that is not there"),
    ('<p style="background: url(gone.png)">', "needs a file that is not there: gone.png"),
    ('<img src="picture.png">', "<img src='picture.png'> has no alternative text"),
    ('<img src="picture.png" alt=" ">', "has no alternative text"),
    ('<img src="picture.png" alt="">', "has no alternative text"),
    ('<div id="cell-3"><img src="data:image/png;base64,xx"></div>', "<img> in #cell-3 has no alternative text"),
    ('<iframe src="frame.html"></iframe>', "<iframe src='frame.html'> has no title"),
    ('<script src="https://cdn.example/x.js"></script>', "is loaded from another host: https://cdn.example/x.js"),
    ('<script src="//cdn.example/x.js"></script>', "is loaded from another host: //cdn.example/x.js"),
    ('<link href="https://fonts.example/a" rel="stylesheet">', "is loaded from another host: https://fonts.example/a"),
    ('<link href="https://fonts.example" rel="preconnect">', "is loaded from another host: https://fonts.example"),
    ('<img src="https://img.example/x.png" alt="x">', "is loaded from another host"),
    ('<style>@import "https://fonts.example/css";</style>', "is loaded from another host: https://fonts.example/css"),
    ('<script type="module">import x from "https://cdn.example/x.mjs"</script>', "loads from another host"),
    ('<script>fetch("https://api.example/")</script>', "loads from another host"),
    ('<iframe title="x" srcdoc="&lt;img src=//img.example/x.png alt=x&gt;"></iframe>', "in an iframe is not inside"),
    ("<p>found in /home/me/data.png</p>", "bad.html: /home/me/data.png is a path of the machine that built this"),
    ('<p title="/tmp/x1">a</p>', "/tmp/x1 is a path of the machine"),
    ('<p id="a"></p><p id="a"></p>', "id='a' stands 2 times"),
    (r'<span class="math inline">\(x\)</span>', "is a formula that is not drawn"),
    (r'<span class="math"><math><mi>\foo</mi></math></span>', "is a formula that is not drawn"),
])
def test_each_kind_of_problem_is_found_and_named(tmp_path, capsys, body, said):
    site = made(tmp_path, body)
    problems = check_site.Site(site).problems()
    assert len(problems) == 1 and problems[0].startswith("bad.html: ") and said in problems[0]
    assert not check_site.check(site)
    told = capsys.readouterr().out.splitlines()
    assert told == [problems[0], "index.html loads 0.00 MB", "4 pages checked; problems: 1"]


def test_a_style_sheet_is_read_too(tmp_path):
    css = {"libs/more.css": "@import url('https://fonts.example/a;b'); a { background: url(gone.png) }"}
    assert check_site.Site(made(tmp_path, **css)).problems() == [
        "libs/more.css: style sheet loads from another host: https://fonts.example/a;b",
        "libs/more.css: style sheet needs a file that is not there: gone.png"]


def test_a_page_is_weighed_with_all_that_it_loads(tmp_path, monkeypatch):
    site = check_site.Site(made(tmp_path))
    by_hand = "index.html", "libs/style.css", "libs/f.woff2", "libs/run.js", "picture.png", "frame.html"  # not f.woff
    assert site.size(site.root/"index.html") == (size := sum(len(FILES[name]) for name in by_hand))
    monkeypatch.setattr(check_site, "LIMIT", size - 1)
    problems = site.problems()
    assert len(problems) == 1 and problems[0].startswith("index.html: page loads")


def test_an_empty_folder_is_no_site(tmp_path, capsys):
    assert not check_site.check(tmp_path) and "no page in it" in capsys.readouterr().out


def test_pages_are_made_to_load_nothing_from_other_hosts(tmp_path):
    page = r"""<link rel="stylesheet" href="https://cdn.example/k.css"><link href="//x.example/y.css" rel="stylesheet">
<link rel="canonical" href="https://example.org/"><link rel="stylesheet" href="own.css">
<script src="https://cdn.example/katex.js" defer></script><script src="own.js"></script>
<p><span class="math inline">\(a &lt; \alpha_1\)</span> and <code>\(b\)</code></p>
<span class="math display">\[\frac{1}{2}\]</span>"""
    css = ('@charset "UTF-8";@import url(https://fonts.example/css2?family=A:wght@300;400&display=swap);:root{--a:1}'
           '@import "https://b.example/c;d";p{color:red}')
    files = {"index.html": page, "own.js": "let a;", "own.css": css}
    for name, text in files.items(): (tmp_path/name).write_text(text)
    keep_to_own_host(tmp_path)
    assert check_site.Site(tmp_path).problems() == []
    made = (tmp_path/"index.html").read_text()
    assert 'href="https://example.org/"' in made and 'src="own.js"' in made and r"<code>\(b\)</code>" in made
    assert "<mi>a</mi><mo>&#x0003C;</mo><msub><mi>&#x003B1;</mi><mn>1</mn></msub>" in made and 'display="block"' in made
    assert (tmp_path/"own.css").read_text() == '@charset "UTF-8";:root{--a:1}p{color:red}'
