// A camera sphere, and beside it what the frozen model draws from there. The same file serves the live widget in a
// notebook (anywidget calls `render`) and the page without a kernel (which calls `mountPage`).
// Text from outside goes into the page as text, never as HTML.

const RAD = Math.PI / 180, DOTS = 4, EYE_HEIGHT = 27, EYE_BESIDE = 38, EYE_REACH = 62;
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const wrap = (a) => ((a % 360) + 540) % 360 - 180;  // degrees, -180 to 180
const apart = (a, b) => Math.abs(wrap(a - b));
const round = (x, digits = 0) => Number(x).toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1");
const degrees = (x, digits = 0) => `${round(x, digits)}°`;
const angle = (x) => degrees(x, x >= 0.05 && x < 9.95 ? 1 : 0);
const touched = () => window.matchMedia("(pointer: coarse)").matches;  // by fingers: there may be no keyboard
const range = (n) => Array.from({ length: n }, (_, i) => i);
const nearestTo = (values, x, distance) =>
  range(values.length).reduce((best, i) => distance(values[i], x) < distance(values[best], x) ? i : best, 0);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function draw(parent, tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// ---------------------------------------------------------------- geometry: unit vectors, z up

const place = (azimuth, elevation, radius = 1) => {
  const a = azimuth * RAD, e = elevation * RAD;
  return [radius * Math.cos(e) * Math.cos(a), radius * Math.cos(e) * Math.sin(a), radius * Math.sin(e)];
};
const dot = (p, q) => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
const add = (p, q, s = 1) => p.map((x, i) => x + s * q[i]);
const scaled = (p, s) => p.map((x) => x * s);
const cross = (p, q) => [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
const normal = (p) => scaled(p, 1 / Math.hypot(...p));

function eyeAt(azimuth, elevation) {  // who looks at the sphere from afar
  const a = azimuth * RAD, e = elevation * RAD;
  const right = [-Math.sin(a), Math.cos(a), 0], toward = place(azimuth, elevation);
  const up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)];
  return {
    toward,
    see: (p) => [100 * dot(p, right), -100 * dot(p, up), dot(p, toward)],  // x, y on the drawing; above 0: in front
    touch: (x, y) => {  // the place on the near side under a point of the drawing
      const [u, v] = [x / 100, -y / 100], r = Math.hypot(u, v);
      if (r > 1) return null;
      const p = add(add(scaled(right, u), up, v), toward, Math.sqrt(1 - r * r));
      return [Math.atan2(p[1], p[0]) / RAD, Math.asin(clamp(p[2], -1, 1)) / RAD];
    },
  };
}

const point = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;

function split(points, eye) {  // a curve as two paths, its near and its far side
  const paths = { near: "", far: "" };
  let before = null;
  for (const p of points) {
    const seen = eye.see(p), side = seen[2] >= 0 ? "near" : "far";
    paths[side] += (before === side ? "L" : "M") + point(seen);
    if (before && before !== side) paths[before] += "L" + point(seen);
    before = side;
  }
  return paths;
}

const parallel = (elevation, steps = 72) => range(steps + 1).map((i) => place(i * 360 / steps, elevation));
const meridian = (azimuth) => range(37).map((i) => place(azimuth, -90 + 5 * i));

function band(low, high, eye) {  // the part of the sphere between two heights, as two paths
  const paths = { near: "", far: "" };
  for (let a = 0; a < 360; a += 5) {
    const corners = [[a, low], [a + 5.01, low], [a + 5.01, high], [a, high]].map(([x, y]) => eye.see(place(x, y)));
    const side = corners.reduce((sum, c) => sum + c[2], 0) >= 0 ? "near" : "far";
    paths[side] += "M" + corners.map(point).join("L") + "Z";
  }
  return paths;
}

// What stands in the middle: a block whose nose shows the front, or a plain block where no side is the front
function block(withFront) {
  const [h, w] = withFront ? [0.08, 0.15] : [0.15, 0.16];
  const outline = withFront ? [[-0.3, -w], [0.06, -w], [0.32, 0], [0.06, w], [-0.3, w]]
    : [[-w, -w], [w, -w], [w, w], [-w, w]];
  const wall = (p, q) => [[...p, -h], [...q, -h], [...q, h], [...p, h]];
  const walls = outline.map((p, i) => wall(p, outline[(i + 1) % outline.length]));
  return [...walls, outline.map((p) => [...p, h]), [...outline].reverse().map((p) => [...p, -h])].map((corners) => ({
    corners, out: normal(cross(add(corners[1], corners[0], -1), add(corners[2], corners[1], -1))),
  }));
}

// Whether a finger that has moved so far means the page
const scrolls = (event, dx, dy) => event.pointerType === "touch" && Math.abs(dy) > 4 && Math.abs(dy) > Math.abs(dx);

// ---------------------------------------------------------------- the sphere

function sphere(parent, moved, pick) {
  const box = make("div", { class: "vnx-sphere", tabindex: "0", role: "application",
    "data-lm-suppress-shortcuts": "true" });  // arrow keys are ours, not the notebook's
  parent.append(box);
  const svg = draw(box, "svg", { viewBox: "-124 -118 248 236", "aria-hidden": "true" });
  draw(svg, "circle", { class: "vnx-ball", r: 100 });
  const layer = {};
  for (const name of ["far-band", "far-grid", "far-limit", "far-dots", "middle", "near-band", "near-grid", "near-limit",
    "words", "way", "near-dots", "seen", "marker"]) layer[name] = draw(svg, "g", { class: `vnx-${name}` });
  const path = {};
  for (const side of ["far", "near"])
    for (const kind of ["band", "grid", "limit"]) path[side + kind] = draw(layer[`${side}-${kind}`], "path");
  const disc = draw(layer.middle, "path", { class: "vnx-disc" });
  const sight = draw(layer.way, "path", { class: "vnx-sight" });
  const miss = draw(layer.way, "path", { class: "vnx-miss" });
  const seenMark = draw(layer.seen, "path", { class: "vnx-seen-mark", d: "M0-6.5L6.5 0L0 6.5L-6.5 0Z" });
  const body = draw(layer.marker, "path", { class: "vnx-camera" });
  const lens = draw(layer.marker, "circle", { class: "vnx-asked", r: 6 });
  const hint = draw(svg, "text", { class: "vnx-hint", y: 115 });
  hint.textContent = touched() ? "swipe sideways, or tap a place" : "drag, or use the arrow keys";
  let faces = [], words = [], views = [], spec = {}, now = {}, eyeAzimuth = null, eye = null, due = 0;

  function setScene(scene) {
    spec = scene;
    for (const name of ["far-dots", "near-dots", "words"]) layer[name].replaceChildren();
    for (const f of faces) f.node.remove();
    const mark = (name, r) => draw(layer[name], "circle", { r });
    views = scene.views.map(([a, e]) => (
      { a, e, p: place(a, e), far: mark("far-dots", 0.75 * DOTS), near: mark("near-dots", DOTS) }));
    words = Object.entries(scene.sides).map(([a, word]) => {
      const node = draw(layer.words, "text");
      node.textContent = word;
      return { p: place(Number(a), 0, 1.1), node };
    });
    faces = block(scene.front).map((face, i) => {
      const kind = scene.front && (i === 1 || i === 2) ? "vnx-face vnx-nose" : "vnx-face";
      return { ...face, node: draw(layer.middle, "path", { class: kind }) };
    });
    eyeAzimuth = null;
    paint();
  }

  function paint() { if (!due) due = requestAnimationFrame(() => { due = 0; paintNow(); }); }

  function paintNow() {
    if (!spec.views || now.azimuth === undefined) return;
    eyeAzimuth = eyeAzimuth === null ? now.azimuth - EYE_BESIDE
      : now.azimuth - clamp(wrap(now.azimuth - eyeAzimuth), -EYE_REACH, EYE_REACH);
    eye = eyeAt(eyeAzimuth, EYE_HEIGHT);
    const outlined = (corners) => "M" + corners.map((c) => point(eye.see(c))).join("L") + "Z";
    const join = (curves) => curves.map((c) => split(c, eye)).reduce(
      (all, c) => ({ near: all.near + c.near, far: all.far + c.far }), { near: "", far: "" });
    const graticule = [-60, -30, 0, 30, 60].map((e) => parallel(e)).concat(range(8).map((i) => meridian(45 * i)));
    const limits = spec.limits.map((e) => parallel(e));
    const parts = { grid: join(graticule), band: band(...spec.limits, eye), limit: join(limits) };
    for (const [kind, d] of Object.entries(parts))
      for (const side of ["far", "near"]) path[side + kind].setAttribute("d", d[side]);
    const rim = range(48).map((i) => add(place(i * 7.5, 0, 0.46), [0, 0, -0.1]));
    disc.setAttribute("d", outlined(rim));
    const light = normal([0.5, 0.4, 0.8]);
    for (const f of faces) {
      const shown = dot(f.out, eye.toward) > 0;
      f.node.setAttribute("d", shown ? outlined(f.corners) : "");
      f.node.style.setProperty("--shade", `${Math.round(38 + 45 * Math.max(0, dot(f.out, light)))}%`);
    }
    views.forEach((v, i) => {
      const [x, y, depth] = eye.see(v.p), near = depth >= 0;
      for (const c of [v.near, v.far]) { c.setAttribute("cx", x.toFixed(1)); c.setAttribute("cy", y.toFixed(1)); }
      v.near.style.display = near ? "" : "none";
      v.far.style.display = near ? "none" : "";
      v.near.classList.toggle("vnx-nearest", i === now.nearest);
      v.far.classList.toggle("vnx-nearest", i === now.nearest);
    });
    for (const w of words) {
      const [x, y, depth] = eye.see(w.p);
      w.node.setAttribute("x", x.toFixed(1));
      w.node.setAttribute("y", (y + 3).toFixed(1));
      w.node.style.opacity = clamp(0.75 + depth, 0, 1);
    }
    const p = place(now.azimuth, now.elevation), at = eye.see(p), away = scaled(p, -1);
    const side = normal(cross(away, [0, 0, 1])), upward = cross(side, away);
    const corner = (s, u) => point(eye.see(add(add(add(p, away, 0.24), side, 0.13 * s), upward, 0.1 * u)));
    const corners = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
    body.setAttribute("d", corners.map((c) => `M${point(at)}L${c}`).join("") + "M" + corners.join("L") + "Z");
    sight.setAttribute("d", `M${point(at)}L${point(eye.see([0, 0, 0]))}`);
    lens.setAttribute("cx", at[0].toFixed(1));
    lens.setAttribute("cy", at[1].toFixed(1));
    layer.seen.style.display = miss.style.display = now.seen ? "" : "none";
    if (now.seen) {
      const q = place(...now.seen), to = eye.see(q);
      const arc = range(17).map((i) => normal(add(scaled(p, 1 - i / 16 + 1e-6), q, i / 16)));
      miss.setAttribute("d", "M" + arc.map((x) => point(eye.see(x))).join("L"));
      seenMark.setAttribute("transform", `translate(${point(to)})`);
      layer.seen.style.opacity = to[2] >= 0 ? 1 : 0.45;
    }
    box.setAttribute("aria-label", `Camera sphere, ${now.label}. ` + (touched()
      ? "Swipe sideways to walk around the object, tap a place to go there."
      : "Arrow keys walk around the object, up and down; with Shift in larger steps."));
  }

  // Dragging moves the camera with the hand; a tap goes to that place, or to the training view there. A finger that
  // begins up or down scrolls the page (touch-action in the style sheet); begun sideways, it walks in all directions.
  let grip = null;
  const scale = () => svg.getBoundingClientRect().width / 248;
  const inside = (event) => {
    const frame = svg.getBoundingClientRect(), s = scale();
    return [(event.clientX - frame.left) / s - 124, (event.clientY - frame.top) / s - 118];
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    box.setPointerCapture(event.pointerId);
    grip = { x: event.clientX, y: event.clientY, azimuth: now.azimuth, elevation: now.elevation, far: false };
    box.classList.add("vnx-held");
  });
  box.addEventListener("pointermove", (event) => {
    if (!grip) return;
    const [dx, dy] = [event.clientX - grip.x, event.clientY - grip.y];
    if (!grip.far && scrolls(event, dx, dy)) return release(event);
    grip.far = grip.far || Math.hypot(dx, dy) > (event.pointerType === "touch" ? 8 : 4);
    if (!grip.far) return;
    const turn = 1 / (100 * scale() * RAD);
    grip.azimuth += dx * turn / Math.max(0.5, Math.cos(grip.elevation * RAD));
    grip.elevation = clamp(grip.elevation - dy * turn, ...spec.span);
    [grip.x, grip.y] = [event.clientX, event.clientY];
    moved(grip.azimuth, grip.elevation);
  });
  const release = (event) => {
    if (grip && !grip.far && event.type === "pointerup") tap(event);
    grip = null;
    box.classList.remove("vnx-held");
  };
  box.addEventListener("pointerup", release);
  box.addEventListener("pointercancel", release);
  function tap(event) {
    const [x, y] = inside(event), at = eye.see(place(now.azimuth, now.elevation));
    if (Math.hypot(x - at[0], y - at[1]) < 10) return;
    const close = ([u, v, depth]) => depth >= 0 && Math.hypot(x - u, y - v) < 9;
    const near = views.filter((v) => close(eye.see(v.p)));
    const found = near.length ? [near[0].a, near[0].e] : eye.touch(x, y);
    if (found) moved(...found);
  }
  box.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const way = ways[event.key];
    if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    pick(way[0], way[1], event.shiftKey);
  });
  return {
    setScene,
    update(state) { now = { ...now, ...state }; paint(); },
    known() { hint.style.opacity = 0; },
    end() { cancelAnimationFrame(due); },
  };
}

// ---------------------------------------------------------------- pictures

function picture(parent, title, kind) {
  const canvas = make("canvas", { role: "img", width: "1", height: "1" });
  const badge = make("span", { class: "vnx-badge" }), bar = make("span", { class: "vnx-bar" });
  const frame = make("div", { class: "vnx-frame vnx-empty" }, canvas, badge, bar);
  const name = make("span", { class: "vnx-title" }, title), note = make("span", { class: "vnx-note" });
  parent.append(make("figure", { class: `vnx-picture vnx-${kind}` }, make("figcaption", {}, name, note), frame));
  const cut = make("canvas");
  let latest = 0;
  function paint(image, x, y, w, h) {  // small pictures are enlarged smoothly, and without what lies beside them
    const k = Math.max(1, Math.round(512 / Math.max(w, h)));
    if (canvas.width !== k * w || canvas.height !== k * h) { canvas.width = k * w; canvas.height = k * h; }
    [cut.width, cut.height] = [w, h];
    cut.getContext("2d").drawImage(image, x, y, w, h, 0, 0, w, h);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(cut, 0, 0, k * w, k * h);
    frame.classList.remove("vnx-empty", "vnx-none");
  }
  return {
    frame, note, badge, canvas,
    async show(what) {  // bytes of a picture, a piece of a larger image, or nothing
      const mine = ++latest;
      if (what && what.image) return paint(what.image, what.x, what.y, what.w, what.h);
      if (!what || !what.byteLength) return frame.classList.add("vnx-none");
      const image = await createImageBitmap(new Blob([what]));
      if (mine === latest) paint(image, 0, 0, image.width, image.height);
    },
    shape([w, h]) { frame.style.aspectRatio = `${w} / ${h}`; },
    describe(text) { canvas.setAttribute("aria-label", text); },
    progress(share) {
      bar.style.width = `${100 * clamp(share, 0, 1)}%`;
      bar.style.opacity = share > 0 && share < 1 ? 1 : 0;
    },
  };
}

function fact(parent, label) {
  const value = make("span", { class: "vnx-value" }), note = make("span", { class: "vnx-note" });
  const text = make("div", {}, make("span", { class: "vnx-title" }, label), value, note);
  const node = make("div", { class: "vnx-fact" }, text);
  parent.append(node);
  return { node, set(a, b = "") { value.textContent = a; note.textContent = b; } };
}

// ---------------------------------------------------------------- all of it, from a model with get, set and on

function stage(root, model) {
  root.classList.add("vnx");
  const grid = make("div", { class: "vnx-stage" }), facts = make("div", { class: "vnx-facts" });
  const error = make("p", { class: "vnx-error", role: "alert" });
  const live = make("p", { class: "vnx-said", "aria-live": "polite" });
  root.append(grid, facts, error, live);
  const left = make("figure", { class: "vnx-where" }), spot = make("span", { class: "vnx-note" });
  left.append(make("figcaption", {}, make("span", { class: "vnx-title" }, "Viewpoint"), spot));
  grid.append(left);
  const ball = sphere(left, (a, e) => go(a, e), step);
  const drawn = picture(grid, "Drawn", "drawn"), truth = picture(grid, "Truth", "truth");
  drawn.note.textContent = "by the frozen model";
  const [near, camera, made] = ["Nearest training view", "Camera error", "Drawing"].map((label) => fact(facts, label));
  const thumb = picture(near.node, "", "thumb");
  near.node.prepend(near.node.lastChild);
  const key = (kind, text) => make("span", { class: `vnx-key-${kind}` }, make("i"), text);
  const legend = make("div", { class: "vnx-legend", "aria-hidden": "true" },
    key("asked", "asked"), key("seen", "seen in the picture"), key("train", "training views"));
  left.append(legend);

  let sent = 0, timer = 0;
  const send = () => { timer = 0; sent = performance.now(); model.save_changes(); };
  function go(azimuth, elevation) {
    const scene = model.get("scene");
    let [a, e] = [wrap(azimuth), clamp(elevation, ...scene.span)];
    if (scene.azimuths) a = scene.azimuths[nearestTo(scene.azimuths, a, apart)];
    if (scene.elevations) e = scene.elevations[nearestTo(scene.elevations, e, (x, y) => Math.abs(x - y))];
    [a, e] = [Math.round(10 * a) / 10, Math.round(10 * e) / 10];
    if (a === model.get("azimuth") && e === model.get("elevation")) return;
    ball.known();
    model.set("azimuth", a);
    model.set("elevation", e);
    look();
    if (!timer) timer = setTimeout(send, Math.max(0, 40 - (performance.now() - sent)));
  }
  function step(right, up, far) {
    const scene = model.get("scene"), much = far ? scene.leap : scene.step;
    let e = model.get("elevation") + up * much[1];
    if (scene.elevations && up) {
      const i = nearestTo(scene.elevations, model.get("elevation"), (x, y) => Math.abs(x - y));
      e = scene.elevations[clamp(i + up * (far ? 2 : 1), 0, scene.elevations.length - 1)];
    }
    go(model.get("azimuth") + right * much[0], e);
  }

  // Dragging the picture turns what it shows, as a hand would
  let hand = null;
  drawn.frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drawn.frame.setPointerCapture(event.pointerId);
    hand = { x: event.clientX, y: event.clientY, a: model.get("azimuth"), e: model.get("elevation") };
  });
  drawn.frame.addEventListener("pointermove", (event) => {
    if (!hand) return;
    const [dx, dy] = [event.clientX - hand.x, event.clientY - hand.y];
    if (!hand.far && scrolls(event, dx, dy)) { hand = null; return; }
    hand.far = hand.far || event.pointerType !== "touch" || Math.hypot(dx, dy) > 8;
    if (!hand.far) return;
    const turn = 150 / drawn.frame.clientWidth;
    hand.a -= dx * turn;
    hand.e = clamp(hand.e + dy * turn * 0.6, ...model.get("scene").span);
    [hand.x, hand.y] = [event.clientX, event.clientY];
    go(hand.a, hand.e);
  });
  for (const name of ["pointerup", "pointercancel"]) drawn.frame.addEventListener(name, () => { hand = null; });

  const where = () => `azimuth ${degrees(model.get("azimuth"))}, elevation ${degrees(model.get("elevation"))}`;
  function look() {
    const scene = model.get("scene"), e = model.get("elevation"), [low, high] = scene.limits;
    const outside = e > high + 0.5 ? "above" : e < low - 0.5 ? "below" : "";
    spot.textContent = where() + (outside ? `, ${outside} the trained heights` : "");
    ball.update({ azimuth: model.get("azimuth"), elevation: e, label: where() });
  }
  function tell() {
    const f = model.get("facts") || {}, c = f.camera, d = f.drawing, n = f.nearest, t = f.truth || {};
    ball.update({ seen: c ? [c.azimuth, c.elevation] : null, nearest: n ? n.index : -1 });
    legend.classList.toggle("vnx-unseen", !c);
    near.set(n ? `${angle(n.angle)} away` : "", n ? `camera ${n.number}` : "");
    if (c) camera.set(angle(c.angle), (c.probable === null ? "" : `read to ±${angle(c.probable)}`) +
      (c.sure !== null && c.sure < 0.5 ? ", the side is unsure" : ""));
    else camera.set("", f.unmeasured || "");
    camera.node.classList.toggle("vnx-quiet", !c);
    if (d) made.set(`${d.steps} steps`, [`guidance ${round(d.guidance, 1)}` +
      (d.view_guidance && d.view_guidance !== d.guidance ? `, of view ${round(d.view_guidance, 1)}` : ""), `seed ${d.seed}`,
      ...(d.seconds ? [`${round(d.seconds, d.seconds < 9.95 ? 1 : 0)} s`] : [])].join(", "));
    drawn.badge.textContent = d && d.rough ? "rough" : "";
    truth.note.textContent = t.note || "";
    truth.frame.dataset.none = t.none || "no true picture here";
    const at = d ? `azimuth ${degrees(d.azimuth)}, elevation ${degrees(d.elevation)}` : where();
    drawn.describe(d ? `Drawn by the frozen model at ${at}` : "Nothing is drawn yet");
    truth.describe(`The true picture at ${at}`);
    thumb.describe(n ? `Nearest training view, camera ${n.number}` : "Nearest training view");
    if (d && !d.rough) live.textContent = `Drawn at ${at}` + (c ? `, camera error ${degrees(c.angle)}` : "");
    if (!d) return;
    Object.assign(root.dataset, { azimuth: d.azimuth, elevation: d.elevation, state: d.rough ? "rough" : "fine" });
  }
  function setScene() {
    const scene = model.get("scene");
    ball.setScene(scene);
    for (const p of [drawn, truth, thumb]) p.shape(scene.size);
    look();
    tell();
  }
  function fail() {
    error.textContent = model.get("error") || "";
    root.classList.toggle("vnx-failed", Boolean(model.get("error")));
  }
  const listen = {
    "change:scene": setScene, "change:azimuth": look, "change:elevation": look,
    "change:facts": tell, "change:error": fail,
    "change:drawn": () => drawn.show(model.get("drawn")), "change:truth": () => truth.show(model.get("truth")),
    "change:nearest": () => thumb.show(model.get("nearest")),
    "change:progress": () => drawn.progress(model.get("progress")),
  };
  for (const [name, f] of Object.entries(listen)) model.on(name, f);
  for (const name of ["scene", "drawn", "truth", "nearest", "progress", "error"]) listen[`change:${name}`]();
  const stop = followTheme(root);
  return () => {
    for (const [name, f] of Object.entries(listen)) model.off(name, f);
    ball.end();
    clearTimeout(timer);
    stop();
  };
}

// Light or dark is what the page around makes of our text: accents follow
function followTheme(root) {
  const check = () => {
    const [r, g, b] = (getComputedStyle(root).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
    root.classList.toggle("vnx-dark", 0.3 * r + 0.6 * g + 0.1 * b > 140);
  };
  const media = window.matchMedia("(prefers-color-scheme: dark)");
  const watch = new MutationObserver(() => setTimeout(check, 60)), placed = new ResizeObserver(check);
  for (const node of [document.documentElement, document.body])
    watch.observe(node, { attributes: true,
      attributeFilter: ["class", "data-jp-theme-light", "data-theme", "data-vscode-theme-kind"] });
  placed.observe(root);
  media.addEventListener("change", check);
  return () => { watch.disconnect(); placed.disconnect(); media.removeEventListener("change", check); };
}

function render({ model, el }) {
  const root = make("div");
  el.append(root);
  return stage(root, model);
}

export default { render };

// ---------------------------------------------------------------- the page without a kernel

class Store {
  constructor(state) { this.state = state; this.listeners = {}; }
  get(name) { return this.state[name]; }
  set(name, value) {
    this.state[name] = value;
    for (const f of this.listeners[`change:${name}`] || []) f();
  }
  on(name, f) { (this.listeners[name] ||= []).push(f); }
  off(name, f) { this.listeners[name] = (this.listeners[name] || []).filter((g) => g !== f); }
  save_changes() {}
}

function choice(parent, label, names, chosen) {
  if (names.length < 2) return;
  const select = make("select", {}, ...names.map((name, i) => make("option", { value: i }, name)));
  select.addEventListener("change", () => chosen(Number(select.value)));
  parent.append(make("label", {}, make("span", {}, label), select));
}

async function loaded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

export function mountPage(root, data) {
  pageTheme();
  const bar = make("div", { class: "vnx-choices" }), prompt = make("code"), body = make("div");
  const foot = make("p", { class: "vnx-foot" });
  root.append(bar, body, foot);
  const [w, h] = data.size, many = data.azimuths.length, flat = (x, y) => Math.abs(x - y);
  const sceneOf = (o) => ({ ...data.scene, views: o.views, size: data.size, azimuths: data.azimuths,
    elevations: data.elevations, span: [data.elevations[0], data.elevations[data.elevations.length - 1]],
    step: [360 / many, 0], leap: [3 * 360 / many, 0] });
  let object = 0, seed = 0, sheets = null, turn = 0;
  const store = new Store({ azimuth: data.azimuths[data.start[0]], elevation: data.elevations[data.start[1]],
    scene: sceneOf(data.objects[0]), facts: {}, error: "", progress: 0 });

  function show() {
    if (!sheets) return;
    const o = data.objects[object], train = Math.floor(sheets.train.naturalWidth / w);
    const a = nearestTo(data.azimuths, store.get("azimuth"), apart);
    const e = nearestTo(data.elevations, store.get("elevation"), flat);
    const at = e * many + a, tile = (image, row, column) => ({ image, x: column * w, y: row * h, w, h });
    const [index, away] = o.nearest[at], camera = o.cameras[seed][at];
    store.set("truth", sheets.truth && tile(sheets.truth, e, a));
    store.set("drawn", tile(sheets.drawn[seed], e, a));
    store.set("nearest", tile(sheets.train, Math.floor(index / train), index % train));
    store.set("facts", {
      truth: { note: o.truth ? "exact" : "" }, unmeasured: "not measured",
      nearest: { index, angle: away, number: o.numbers[index] },
      camera: camera && Object.fromEntries(data.reading.map((name, i) => [name, camera[i]])),
      drawing: { ...data.drawing, seed: data.seeds[seed], azimuth: data.azimuths[a], elevation: data.elevations[e] },
    });
  }
  async function open(i) {
    const mine = ++turn, o = data.objects[i];
    const files = [o.truth && loaded(o.truth), loaded(o.train), ...o.drawn.map(loaded)];
    const [truth, train, ...drawn] = await Promise.all(files);
    if (mine !== turn) return;
    [object, sheets] = [i, { truth, train, drawn }];
    prompt.textContent = o.prompt;
    foot.textContent = [o.note, data.foot].filter(Boolean).join(" ");
    store.set("scene", sceneOf(o));
    show();
    root.dataset.ready = String(i);
  }
  choice(bar, "Object", data.objects.map((o) => o.name), open);
  choice(bar, "Seed", data.seeds.map(String), (i) => { seed = i; show(); });
  bar.append(make("span", { class: "vnx-prompt" }, make("span", {}, "Prompt"), prompt));
  for (const name of ["azimuth", "elevation"]) store.on(`change:${name}`, show);
  stage(body, store);
  open(0);
  fitFrame();
}

// The page around in whose frame we are, where it can be asked
function pageAround() {
  try { return window.frameElement && window.parent.document; } catch { return null; }
}

// The theme of the page around, if it has one (Quarto's, Jupyter's); else what the reader prefers
function pageTheme() {
  const media = window.matchMedia("(prefers-color-scheme: dark)"), around = pageAround();
  const nodes = around ? [around.documentElement, around.body] : [];
  const dark = () => {
    if (nodes.some((n) => n.dataset.jpThemeLight)) return nodes.some((n) => n.dataset.jpThemeLight === "false");
    const quarto = around && around.querySelector("link.quarto-color-scheme");
    if (quarto) return nodes.some((n) => n.classList.contains("quarto-dark"));
    return media.matches;
  };
  const set = () => { document.documentElement.dataset.theme = dark() ? "dark" : "light"; };
  const watch = new MutationObserver(set);
  for (const node of nodes) watch.observe(node, { attributes: true, attributeFilter: ["class", "data-jp-theme-light"] });
  media.addEventListener("change", set);
  set();
}

// A frame as high as what it shows, where the page around lets us
function fitFrame() {
  if (!pageAround()) return;
  const height = () => Math.ceil(document.body.getBoundingClientRect().height);
  const fit = () => { window.frameElement.style.height = `${height()}px`; };
  new ResizeObserver(fit).observe(document.body);
  fit();
}
