// Draws the report, see report.py for what the data hold.
"use strict";
const report = JSON.parse(document.getElementById("data").textContent);
const SOURCES = ["unknown", "observed", "refined", "filled"];  // by their numbers in the data
const ORDER = [1, 2, 3, 0];
const FPS = report.fps || 30;
const COLOURS = [...SOURCES, ..."page ink faint rule accent left right middle".split(" ")];
const palette = {};
const state = {person: 0, frame: 0, track: 0, joint: -1, first: 0, last: 0};

const byId = id => document.getElementById(id);
function element(name, text = "", attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(text);
  return made;
}
const words = joint => joint.replaceAll("_", " ");
const colour = name => palette[name];
const person = () => report.people[state.person];
const tracks = () => person().tracks;

// --- the data -----------------------------------------------------------------------------------

function bytes(text) {
  const raw = atob(text), array = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) array[i] = raw.charCodeAt(i);
  return array;
}

function decode(track) {
  const {joints, bones} = report.skeletons[track.skeleton];
  const raw = bytes(track.points).buffer;
  track.points = track.wide ? new Int32Array(raw) : new Int16Array(raw);
  track.missing = track.wide ? -(2 ** 31) : -(2 ** 15);
  track.scores = bytes(track.scores);
  track.sources = bytes(track.sources);
  track.length = track.runs.reduce((sum, [, count]) => sum + count, 0);
  Object.assign(track, {joints, bones});
}

const seen = (track, index) => track.points[2 * index] !== track.missing;

/** Pixels [x, y] of a row's joints, null where one is missing. */
function pointsOf(track, row) {
  const {points, origin} = track, start = row * track.joints.length;
  return track.joints.map((_, joint) => seen(track, start + joint)
    ? origin.map((from, axis) => from + points[2 * (start + joint) + axis] / report.precision)
    : null);
}

/** Row of a frame number, -1 where the track has none. */
function rowOf(track, frame) {
  let before = 0;
  for (const [first, count] of track.runs) {
    if (frame < first) return -1;
    if (frame < first + count) return before + frame - first;
    before += count;
  }
  return -1;
}

/** Calls visit(row, frame) for every row. */
function eachRow(track, visit) {
  let row = 0;
  for (const [first, count] of track.runs) {
    for (let i = 0; i < count; i++) visit(row++, first + i);
  }
}

// --- tables and legends -------------------------------------------------------------------------

const span = ({runs}) => runs.length ? [runs[0][0], runs.at(-1)[0] + runs.at(-1)[1] - 1] : [0, -1];
const percent = share => share > 0 && share < 0.001 ? "<0.1" : (100 * share).toFixed(1);

function headings(table, names) {
  const row = element("tr");
  row.append(...names.map(name => element("th", name, {scope: "col"})));
  row.children[1].className = "name";
  table.replaceChildren(row);
}

/** One row per person and panel: frames, and the joints by source. */
function fillSummary() {
  const table = byId("summary");
  headings(table, ["", "", "frames", ...ORDER.map(kind => SOURCES[kind])]);
  report.people.forEach((someone, number) => {
    someone.tracks.forEach((track, panel) => {
      const row = element("tr"), name = element("td");
      row.dataset.person = number;
      if (!panel) {
        const button = element("button", someone.name, {type: "button"});
        button.onclick = () => choosePerson(number);
        name.append(report.people.length > 1 ? button : someone.name);
      }
      row.append(name, element("td", report.labels[panel],
        {className: "name", title: report.labels[panel]}));
      if (track) {
        const all = track.length * track.joints.length;
        row.append(element("td", track.length.toLocaleString("en")));
        for (const kind of ORDER) {
          const count = track.coverage.reduce((sum, counts) => sum + counts[kind], 0);
          row.append(element("td", count ? percent(count / all) : "–",
            {title: `${count.toLocaleString("en")} joints`}));
        }
      } else row.append(element("td", "none"), ...ORDER.map(() => element("td", "–")));
      table.append(row);
    });
  });
  table.prepend(element("caption", "Frames, and where their joints come from, in percent"));
}

/** One row per joint of a track: a bar and its numbers. */
function fillBars() {
  const table = byId("bars"), track = tracks()[state.track];
  headings(table, ["joint", "", ...ORDER.map(kind => SOURCES[kind])]);
  track.joints.forEach((joint, i) => {
    const row = element("tr"), cell = element("td", "", {className: "bar"}), bar = element("div");
    const numbers = ORDER.map(kind => {
      const share = track.coverage[i][kind] / track.length, part = element("span");
      part.style.cssText = `width: ${100 * share}%; background: var(--${SOURCES[kind]})`;
      bar.append(part);
      return element("td", share ? percent(share) : "–");
    });
    cell.append(bar);
    row.append(element("td", words(joint)), cell, ...numbers);
    table.append(row);
  });
}

/** Frame -> [joint, heads] of the confident joints of the person that were moved in it. */
function movedByFrame() {
  const frames = new Map();
  for (const [frame, joint, heads] of person().moved?.joints ?? []) {
    if (!frames.has(frame)) frames.set(frame, []);
    frames.get(frame).push([joint, heads]);
  }
  return frames;
}

/** One row per frame in which confident joints were moved, with a button that goes there. */
function fillMoved() {
  const {moved} = person();
  byId("moved").hidden = byId("movedKey").hidden = !moved;
  if (!moved) return;
  byId("movedCount").textContent =
    `${moved.joints.length.toLocaleString("en")} of ${moved.confident.toLocaleString("en")} ` +
    "joints with at least the person's median score are more than half a head from where they " +
    "were seen" + (moved.joints.length ? "; distances in heads:" : ".");
  byId("movedFrames").replaceChildren(...[...movedByFrame()].map(([frame, joints]) => {
    const row = element("tr"), cell = element("td");
    const button = element("button", `frame ${frame}`, {type: "button"});
    button.onclick = () => goTo(frame);
    cell.append(button);
    row.append(cell, element("td",
      joints.map(([joint, heads]) => `${words(joint)} ${heads}`).join(", ")));
    return row;
  }));
}

function swatch(text, className = "swatch", name = "") {
  const part = element("span"), style = name && `background: var(--${name})`;
  part.append(element("i", "", {className, style}), text);
  return part;
}

// --- what is shown ------------------------------------------------------------------------------

function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", text, {value})));
}

function choosePerson(number) {
  state.person = number;
  const present = tracks().map((track, panel) => [panel, track]).filter(([, track]) => track);
  const spans = present.map(([, track]) => span(track)).filter(([a, b]) => a <= b);
  for (const row of byId("summary").querySelectorAll("tr[data-person]")) {
    const shown = +row.dataset.person === number && report.people.length > 1;
    row.className = shown ? "shown" : "";
    row.querySelector("button")?.setAttribute("aria-pressed", shown);
  }
  byId("name").textContent = person().name + (spans.length ? "" : ": no frames");
  for (const part of [...byId("person").children].slice(1)) part.hidden = !spans.length;
  if (!spans.length) return;
  state.first = Math.min(...spans.map(([a]) => a));
  state.last = Math.max(...spans.map(([, b]) => b));
  Object.assign(byId("slider"), {min: state.first, max: state.last});
  options(byId("track"), present.map(([panel]) => [panel, report.labels[panel]]));
  byId("track").value = state.track = present.at(-1)[0];
  byId("which").hidden = present.length < 2;
  const joints = new Set(present.flatMap(([, track]) => track.joints));
  options(byId("joint"), [["", "all joints"], ...[...joints].map(name => [name, words(name)])]);
  byId("curves").replaceChildren(...present.map(([panel]) =>
    panel < tracks().length - 1 ? swatch(report.labels[panel], "swatch dashed") :
      swatch(report.labels[panel] + ": mean, and least to greatest", "swatch line", "accent")));
  const stage = byId("stage");
  stage.className = tracks().length < 2 ? "single" : "";
  stage.replaceChildren(...tracks().map((track, panel) => {
    const figure = element("figure"), caption = element("figcaption"), canvas = element("canvas");
    caption.append(element("b", report.labels[panel], {title: report.labels[panel]}));
    caption.append(track ? track.skeleton : "");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `skeleton of ${report.labels[panel]}`);
    figure.append(caption, canvas);
    return figure;
  }));
  fillMoved();
  drawAll();
  showFrame(state.frame);
}

function drawAll() {
  const style = getComputedStyle(document.documentElement);
  for (const name of COLOURS) palette[name] = style.getPropertyValue("--" + name).trim();
  if (byId("stage").hidden || !report.people.length) return;
  const [curve, map] = [byId("curve"), byId("map")];
  keep(curve, drawCurve(curve));
  keep(map, drawMap(map));
  curve.setAttribute("aria-label", "scores over frames");
  map.setAttribute("aria-label", "joints over frames, coloured by source; in numbers below");
  fillBars();
  showFrame(state.frame);
}

function showFrame(frame) {
  state.frame = Math.min(Math.max(frame, state.first), state.last);
  document.body.dataset.frame = byId("slider").value = state.frame;
  byId("frame").textContent = `frame ${state.frame}`;
  byId("stage").querySelectorAll("canvas").forEach(drawPanel);
  for (const id of ["curve", "map"]) drawCursor(byId(id));
}

// --- playing and steering -----------------------------------------------------------------------

let playing = null;  // where and when it began

function play(on) {
  byId("play").textContent = on ? "Pause" : "Play";
  playing = null;
  if (!on) return;
  playing = {frame: state.frame < state.last ? state.frame : state.first, since: null};
  requestAnimationFrame(advance);
}

function advance(now) {
  if (!playing) return;
  playing.since ??= now;
  const passed = (now - playing.since) / 1000 * FPS * byId("speed").value;
  const frame = playing.frame + Math.floor(passed);
  if (frame !== state.frame) showFrame(frame);
  if (frame >= state.last) play(false);
  else requestAnimationFrame(advance);
}

function goTo(frame) {
  play(false);
  showFrame(frame);
}

function onKey(event) {
  const {target, key} = event;
  if (event.ctrlKey || event.altKey || event.metaKey || target.matches("select")) return;
  const step = {ArrowLeft: -1, ArrowRight: 1}[key] * (event.shiftKey ? 10 : 1);
  if (step) goTo(state.frame + step);
  else if (key === "Home") goTo(state.first);
  else if (key === "End") goTo(state.last);
  else if (key === " " && !target.matches("button, [type=checkbox]")) play(!playing);
  else return;
  event.preventDefault();  // the slider would move once more, the page scroll
}

/** #frame=12&person=2 in the address: a frame number, and the place in the list of people. */
function readAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const number = parseInt(wanted.get("person")) - 1, frame = parseInt(wanted.get("frame"));
  if (report.people[number] && number !== state.person) choosePerson(number);
  if (!isNaN(frame)) goTo(frame);
}

function follow(canvas) {
  const seek = event => {
    const {left, room, span} = canvas.drawn.line;
    goTo(state.first + Math.floor((event.offsetX - left) / room * span));
  };
  canvas.onpointerdown = event => {
    canvas.setPointerCapture(event.pointerId);
    seek(event);
  };
  canvas.onpointermove = event => canvas.hasPointerCapture(event.pointerId) && seek(event);
}

function start() {
  byId("notes").append(...report.notes.map(note => element("p", note)));
  if (!report.fps) byId("notes").append(element("p", `Frames per second unknown: plays at ${FPS}.`));
  report.people.forEach(({tracks}) => tracks.forEach(track => track && decode(track)));
  byId("nobody").hidden = report.people.length > 0;
  byId("summary").hidden = byId("person").hidden = !report.people.length;
  if (!report.people.length) return;
  fillSummary();
  byId("sources").append(
    ...ORDER.map(kind => swatch(SOURCES[kind], "swatch", SOURCES[kind])),
    element("span", "fainter: less confident"));
  byId("play").onclick = () => play(!playing);
  byId("speed").onchange = () => playing && play(true);
  byId("slider").oninput = event => goTo(+event.target.value);
  byId("joint").onchange = drawAll;
  byId("close").onchange = () => showFrame(state.frame);
  byId("track").onchange = event => {
    state.track = +event.target.value;
    drawAll();
  };
  follow(byId("curve"));
  follow(byId("map"));
  addEventListener("keydown", onKey);
  addEventListener("hashchange", readAddress);
  addEventListener("resize", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  choosePerson(0);
  readAddress();
}

// When the other script is there too.
addEventListener("DOMContentLoaded", start);
