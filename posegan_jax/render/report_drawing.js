// The pictures of the report: skeletons, curves, heat map. Follows report.js on the page.

// --- canvases -----------------------------------------------------------------------------------

/** The context of a canvas of so many CSS pixels, sharp on any screen. */
function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "11px system-ui, sans-serif";
  return {context, width, height};
}

/** How pixels of the video come onto a canvas: uniformly, centred, with a margin. */
function fit(box, width, height) {
  if (!box) return {scale: 1, x: width / 2, y: height / 2};
  const [left, top, right, bottom] = box, room = 0.16 * Math.min(width, height);
  const scale = Math.min(
    (width - room) / Math.max(right - left, 1), (height - room) / Math.max(bottom - top, 1));
  return {scale, x: (width - scale * (left + right)) / 2, y: (height - scale * (top + bottom)) / 2};
}

function drawPose(context, track, row, view, lineWidth, opacity) {
  const {joints, bones} = track, start = row * joints.length;
  const points = pointsOf(track, row);
  const colours = joints.map(joint => colour(
    joint.startsWith("left_") ? "left" : joint.startsWith("right_") ? "right" : "middle"));
  const filled = joint => track.sources[start + joint] === 3;
  const place = joint => {
    const [x, y] = points[joint];
    return [view.scale * x + view.x, view.scale * y + view.y];
  };
  context.lineWidth = lineWidth;
  for (const [a, b, side] of bones) {
    if (!points[a] || !points[b]) continue;
    context.globalAlpha = opacity * (filled(a) || filled(b) ? 0.45 : 1);
    context.strokeStyle = side < 0 ? colour("middle") : colours[side];
    context.beginPath();
    context.moveTo(...place(a));
    context.lineTo(...place(b));
    context.stroke();
  }
  context.globalAlpha = opacity;
  points.forEach((point, joint) => {
    if (!point) return;
    const rim = filled(joint) ? 0.6 * lineWidth : 0;
    context.beginPath();
    context.arc(...place(joint), 1.25 * lineWidth - rim / 2, 0, 7);
    context.fillStyle = rim ? colour("page") : colours[joint];
    context.fill();
    if (!rim) return;
    context.lineWidth = rim;
    context.strokeStyle = colours[joint];
    context.stroke();
  });
  context.globalAlpha = 1;
}

/** Crosses where the detector was sure of joints that were moved in this frame. */
function drawMoved(context, view, lineWidth) {
  const track = tracks()[0], moved = movedByFrame().get(state.frame);
  if (!moved || !track) return;
  const points = pointsOf(track, rowOf(track, state.frame)), arm = 2 * lineWidth;
  context.strokeStyle = colour("ink");
  context.lineWidth = 0.6 * lineWidth;
  for (const [joint] of moved) {
    const [x, y] = points[track.joints.indexOf(joint)];
    const [left, top] = [view.scale * x + view.x, view.scale * y + view.y];
    context.beginPath();
    context.moveTo(left - arm, top - arm);
    context.lineTo(left + arm, top + arm);
    context.moveTo(left - arm, top + arm);
    context.lineTo(left + arm, top - arm);
    context.stroke();
  }
}

/** The box around the person in this frame, in all panels: left, top, right, bottom. */
function closeUp() {
  const points = tracks().flatMap(track => {
    const row = track ? rowOf(track, state.frame) : -1;
    return row < 0 ? [] : pointsOf(track, row).filter(point => point);
  });
  if (!points.length) return person().box;
  const [x, y] = [0, 1].map(axis => points.map(point => point[axis]));
  return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
}

function drawPanel(canvas, number) {
  const {context, width, height} = prepare(
    canvas, Math.round(Math.min(canvas.clientWidth / person().aspect, 480)));
  const view = fit(byId("close").checked ? closeUp() : person().box, width, height);
  const lineWidth = Math.max(2.2, Math.min(width, height) / 110);
  // All others are faint: who crosses whom is seen, and the one of interest too.
  const others = report.people.filter(other => other !== person());
  for (const [shown, opacity] of [...others.map(other => [other, 0.25]), [person(), 1]]) {
    const track = shown.tracks[number], row = track ? rowOf(track, state.frame) : -1;
    if (row >= 0) drawPose(context, track, row, view, lineWidth, opacity);
    if (shown !== person()) continue;
    drawMoved(context, view, lineWidth);
    if (row >= 0 && pointsOf(track, row).some(point => point)) continue;
    context.fillStyle = colour("faint");
    context.textAlign = "center";
    context.font = "13px system-ui, sans-serif";
    context.fillText("nothing in this frame", width / 2, height / 2);
  }
}

// --- over time ----------------------------------------------------------------------------------

/** Where frames lie in both timelines, which share it. */
function timeline(width) {
  const context = byId("map").getContext("2d");
  context.font = "11px system-ui, sans-serif";
  const labels = tracks().flatMap(track => track ? track.joints.map(words) : []);
  const left = Math.ceil(Math.max(...labels.map(text => context.measureText(text).width))) + 8;
  const span = state.last - state.first + 1, room = Math.max(width - left - 8, 1);
  const ratio = window.devicePixelRatio || 1;
  return {left, span, room, columns: Math.min(span, Math.floor(room * ratio)),
    x: frame => left + (frame - state.first) / span * room};
}

const columnOf = (line, frame) => Math.floor((frame - state.first) * line.columns / line.span);

function drawTicks(context, line, y) {
  const rough = line.span * 60 / line.room, power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find(factor => factor * power >= rough) * power);
  context.fillStyle = colour("faint");
  context.textAlign = "center";
  for (let frame = Math.ceil(state.first / step) * step; frame <= state.last; frame += step) {
    const x = line.x(frame + 0.5), half = context.measureText(frame).width / 2;
    if (x + half > line.left + line.room + 8) continue;
    context.fillText(frame, x, y + 14);
    context.fillRect(x - 0.5, y, 1, 4);
  }
}

/** Mean, least and largest score of the seen joints per column; of one joint, or all if -1. */
function scoresOver(track, line, joint) {
  const sum = new Float64Array(line.columns), count = new Float64Array(line.columns);
  const low = new Float64Array(line.columns).fill(Infinity), high = new Float64Array(line.columns);
  const joints = joint < 0 ? track.joints.map((_, i) => i) : [joint];
  eachRow(track, (row, frame) => {
    const column = columnOf(line, frame);
    for (const j of joints) {
      const index = row * track.joints.length + j, score = track.scores[index] / 255 * track.top;
      if (!seen(track, index)) continue;
      sum[column] += score;
      count[column]++;
      low[column] = Math.min(low[column], score);
      high[column] = Math.max(high[column], score);
    }
  });
  return {mean: sum.map((value, i) => value / count[i]), low, high};
}

function drawCurve(canvas) {
  const {context, width, height} = prepare(canvas, 150);
  const line = timeline(width), top = Math.max(...tracks().map(track => track ? track.top : 1));
  const y = score => 8 + (1 - score / top) * (height - 30);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const score of [0, top / 2, top]) {
    context.fillStyle = colour("faint");
    context.fillText(Number(score.toPrecision(3)), line.left - 6, y(score));
    context.fillStyle = colour("rule");
    context.fillRect(line.left, y(score) - 0.5, line.room, 1);
  }
  context.textBaseline = "alphabetic";
  drawTicks(context, line, y(0));
  const selected = byId("joint").value;
  tracks().forEach((track, number) => {
    const joint = track && selected ? track.joints.indexOf(selected) : -1;
    if (!track || (selected && joint < 0)) return;
    const {mean, low, high} = scoresOver(track, line, joint), main = number === tracks().length - 1;
    const edge = column => line.left + column / line.columns * line.room;
    context.fillStyle = context.strokeStyle = colour(main ? "accent" : "faint");
    context.lineWidth = main ? 2 : 1.5;
    context.setLineDash(main ? [] : [5, 3]);
    context.beginPath();
    mean.forEach((value, i) => {  // in steps, so that a frame between two gaps is seen too
      if (isNaN(value)) return;
      if (!i || isNaN(mean[i - 1])) context.moveTo(edge(i), y(value));
      else context.lineTo(edge(i), y(value));
      context.lineTo(edge(i + 1), y(value));
    });
    context.stroke();
    context.setLineDash([]);
    if (!main) return;
    context.globalAlpha = 0.15;
    mean.forEach((value, i) => {
      if (isNaN(value)) return;
      context.fillRect(edge(i), y(high[i]), edge(i + 1) - edge(i), y(low[i]) - y(high[i]));
    });
    context.globalAlpha = 1;
  });
  return line;
}

/** The most frequent source of every joint and column, and the mean score of that source. */
function sourcesOver(track, line) {
  const size = track.joints.length * line.columns;
  const count = new Uint32Array(4 * size), sum = new Float32Array(4 * size);
  eachRow(track, (row, frame) => {
    const column = columnOf(line, frame);
    for (let joint = 0; joint < track.joints.length; joint++) {
      const index = row * track.joints.length + joint;
      const cell = 4 * (joint * line.columns + column) + track.sources[index];
      count[cell]++;
      sum[cell] += track.scores[index] / 255;
    }
  });
  const source = new Int8Array(size).fill(-1), score = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    for (const kind of ORDER) {
      const cell = 4 * i + kind;
      if (count[cell] <= (source[i] < 0 ? 0 : count[4 * i + source[i]])) continue;
      source[i] = kind;
      score[i] = sum[cell] / count[cell];
    }
  }
  return {source, score};
}

function drawMap(canvas) {
  const track = tracks()[state.track], rowHeight = 14;
  const {context, width} = prepare(canvas, track.joints.length * rowHeight + 22);
  const line = timeline(width), {source, score} = sourcesOver(track, line);
  const rgb = name => colour(name).trim().match(/\w\w/g).map(digits => parseInt(digits, 16));
  const page = rgb("page"), colours = SOURCES.map(rgb);
  const image = new ImageData(line.columns, track.joints.length);
  source.forEach((kind, i) => {
    if (kind < 0) return;  // the track lacks the frame: transparent
    const share = kind ? 0.3 + 0.7 * score[i] : 1;
    const mixed = page.map((part, axis) => part + share * (colours[kind][axis] - part));
    image.data.set([...mixed, 255], 4 * i);
  });
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, line.left, 0, line.room, track.joints.length * rowHeight);
  context.textAlign = "right";
  track.joints.forEach((joint, i) => {
    context.fillStyle = colour("page");
    context.fillRect(line.left, (i + 1) * rowHeight - 1, line.room, 1);
    context.fillStyle = colour("ink");
    context.fillText(words(joint), line.left - 6, i * rowHeight + 10.5);
  });
  context.fillStyle = colour("ink");
  for (const [frame, moved] of movedByFrame()) {
    for (const [joint] of moved) {
      const i = track.joints.indexOf(joint);
      const width = Math.max(line.room / line.span, 1.5);
      if (i >= 0) context.fillRect(line.x(frame), i * rowHeight + 2, width, 9);
    }
  }
  drawTicks(context, line, track.joints.length * rowHeight);
  const each = Math.ceil(line.span / line.columns);
  byId("columns").textContent = each < 2 ? "" :
    `A column stands for up to ${each} frames: their most common source, their mean confidence.`;
  return line;
}

/** A timeline is drawn once; only the cursor on a copy of it moves. */
function drawCursor(canvas) {
  const {picture, line} = canvas.drawn, context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1, width = line.room / line.span;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0);
  context.scale(ratio, ratio);
  context.fillStyle = colour("ink");
  context.fillRect(line.x(state.frame) + width / 2 - 1, 0, 2, canvas.height / ratio - 18);
}

function keep(canvas, line) {
  const picture = new OffscreenCanvas(canvas.width, canvas.height);
  picture.getContext("2d").drawImage(canvas, 0, 0);
  canvas.drawn = {picture, line};
}
