// Line, bar and scatter charts as SVG: each with a title, named axes, values by pointer and by
// keyboard (one stop by Tab, then the arrows), and the same figures as a table.

import { el, fill, svg } from "./dom.js";

const EDGE = { top: 14, right: 26, bottom: 44, left: 52 };
const COLOURS = 5; // plot-1 to plot-5 in base.css

/**
 * Lines over time.
 *
 * `series`: `[{ name, points: [[time, value]] }]`, times as ISO texts; `steps`: whether a value holds
 * until the next one; `range`: the least that the y axis spans, `[low, high]`; `whole`: whether values
 * are counts.
 */
export function lineChart({ title, note, x, y, series, steps = false, range = [0, 1], whole = false }) {
  const lines = series.map((line) => ({
    ...line,
    points: line.points.map(([time, value]) => [Date.parse(time), value]),
  }));
  const all = lines.flatMap((line) => line.points);
  const draw = (plot) => {
    const across = scale(spread(all.map((p) => p[0]), 864e5), [0, plot.width]);
    const { ticks, ends } = rounded(outer(range, all.map((p) => p[1])), whole);
    const up = scale(ends, [plot.height, 0]);
    plot.axes(dateTicks(across, plot.width), ticks, across, up);
    lines.forEach((line, number) => {
      const places = line.points.map(([time, value]) => [across(time), up(value)]);
      plot.add(svg("path", { class: `line ${colour(number)}`, d: path(places, steps, plot.width) }));
      line.points.forEach(([time, value], i) => {
        const told = `${line.name}: ${written(value)}, ${dated(time)}`;
        plot.mark(shape(number, ...places[i], 4), told, places[i], colour(number));
      });
    });
  };
  const rows = lines.flatMap((line) =>
    line.points.map(([time, value]) => [line.name, dated(time), written(value)]),
  );
  const head = ["Line", x, y];
  return figure({ title, note, x, y, draw, table: { head, rows }, names: lines.map((l) => l.name) });
}

/** Stacked bars: `periods`: names from left to right; `series`: `[{ name, values }]`. */
export function barChart({ title, note, x, y, periods, series }) {
  const sums = periods.map((_, i) => series.reduce((sum, one) => sum + one.values[i], 0));
  const draw = (plot) => {
    const values = rounded(outer([0, 4], sums), true);
    const up = scale(values.ends, [plot.height, 0]);
    const wide = plot.width / Math.max(periods.length, 1);
    const across = (i) => (i + 0.5) * wide;
    const every = Math.ceil((periods.length * 64) / Math.max(plot.width, 1));
    const ticks = periods.map((name, i) => [i, name]).filter(([i]) => i % every === 0);
    plot.axes(ticks, values.ticks, across, up);
    periods.forEach((name, i) => {
      let base = 0;
      const parts = series.map((one, number) => {
        const from = base;
        base += one.values[i];
        const height = up(from) - up(base);
        const bar = { x: across(i) - wide * 0.36, y: up(base), width: wide * 0.72, height };
        return svg("rect", { class: `bar ${colour(number)}`, ...bar });
      });
      const told = series.map((one) => `${one.name} ${one.values[i]}`).join(", ");
      const whole = { class: "reach", x: across(i) - wide / 2, y: 0, width: wide, height: plot.height };
      plot.mark(svg("g", {}, svg("rect", whole), parts), `${name}: ${told}`, [across(i), up(base)]);
    });
  };
  const rows = periods.map((name, i) => [name, ...series.map((one) => one.values[i])]);
  const head = [x, ...series.map((one) => one.name)];
  return figure({ title, note, x, y, draw, table: { head, rows }, names: series.map((s) => s.name), bars: true });
}

/**
 * Points: `[{ x, y, name, group }]`, `group` a place in `groups` or null; groups get their names on
 * the chart. `choose(point)` is called for a point that is clicked, or entered with Return.
 */
export function scatterChart({ title, note, x, y, points, groups = [], choose = null }) {
  const draw = (plot) => {
    const across = scale(padded(points.map((p) => p.x)), [0, plot.width]);
    const up = scale(padded(points.map((p) => p.y)), [plot.height, 0]);
    plot.axes([], [], across, up);
    for (const point of points) {
      const place = [across(point.x), up(point.y)];
      const about = point.group === null ? "" : ` (${groups[point.group]})`;
      const drawn = shape(point.group ?? -1, ...place, 6);
      const pick = choose ? () => choose(point) : null;
      plot.mark(drawn, `${point.name}${about}`, place, colour(point.group ?? -1), pick);
    }
    const taken = [];
    groups.forEach((name, number) => {
      const mine = points.filter((point) => point.group === number);
      const middle = mean(mine.map((p) => across(p.x)));
      const top = Math.min(...mine.map((p) => up(p.y))) - 12;
      plot.label(name, middle, top, colour(number), taken);
    });
  };
  const rows = points.map((p) => [p.name, p.group === null ? "" : groups[p.group], p.x, p.y]);
  const head = ["Point", "Group", x, y];
  return figure({ title, note, x, y, draw, table: { head, rows }, names: groups, high: 360 });
}

/** Put caption, legend, picture, reading line and table together; draw again when the room changes. */
function figure({ title, note, x, y, draw, table, names, high = 240, bars = false }) {
  const told = el("p", { class: "reading", "aria-live": "polite" });
  const box = el("div", { class: "drawing" });
  const made = el(
    "figure",
    { class: "chart" },
    el("figcaption", {}, el("h3", {}, title), note && el("p", { class: "hint" }, note)),
    names.length > 0 && el("ul", { class: "legend plain" }, names.map((name, i) => legend(name, i, bars))),
    box,
    told,
    el(
      "details",
      {},
      el("summary", {}, "The same as a table"),
      el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": title }, tableOf(title, table)),
    ),
  );
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width < 1 || width === drawn) return;
    drawn = width;
    const plot = new Plot(width, high, told, { title, x, y });
    draw(plot);
    fill(box, plot.root);
  }).observe(box);
  return made;
}

/** The picture of a chart: axes, and marks that can be walked through. */
class Plot {
  constructor(width, height, told, { title, x, y }) {
    this.width = width - EDGE.left - EDGE.right;
    this.height = height - EDGE.top - EDGE.bottom;
    this.told = told;
    this.marks = [];
    this.inner = svg("g", { transform: `translate(${EDGE.left} ${EDGE.top})` });
    const names = [
      svg("text", { class: "axis", x: EDGE.left + this.width / 2, y: height - 6 }, x),
      svg("text", { class: "axis", transform: `translate(13 ${EDGE.top + this.height / 2}) rotate(-90)` }, y),
    ];
    const label = `${title}. Arrow keys go through the values.`;
    const size = { width, height, viewBox: `0 0 ${width} ${height}` };
    this.root = svg("svg", { ...size, role: "group", "aria-label": label }, names, this.inner);
    this.root.addEventListener("keydown", (event) => this.walked(event));
    this.root.addEventListener("mouseleave", () => this.say(""));
  }

  add(node) {
    this.inner.append(node);
  }

  axes(ticksX, ticksY, across, up) {
    const { width, height } = this;
    for (const [value, name] of ticksY) {
      this.add(svg("line", { class: value === 0 ? "grid zero" : "grid", x1: 0, x2: width, y1: up(value), y2: up(value) }));
      this.add(svg("text", { class: "tick end", x: -8, y: up(value) + 4 }, name));
    }
    for (const [value, name] of ticksX) {
      this.add(svg("text", { class: "tick", x: across(value), y: height + 18 }, name));
    }
    this.add(svg("path", { class: "frame", d: `M0 0V${height}H${width}` }));
  }

  /** Add something that has a value to read; the first one is where Tab stops. */
  mark(node, text, place, tone = "", pick = null) {
    const props = { class: `mark ${tone}`, tabindex: this.marks.length ? -1 : 0, "aria-label": text };
    const mark = svg("g", { ...props, role: pick ? "button" : "img" }, node);
    mark.addEventListener("focus", () => this.say(text));
    mark.addEventListener("mouseenter", () => this.say(text));
    if (pick) {
      mark.addEventListener("click", pick);
      mark.addEventListener("keydown", (event) => event.key === "Enter" && pick());
    }
    this.marks.push({ mark, place });
    this.add(mark);
  }

  /** Write a group's name near its place, not over another one. */
  label(name, x, y, tone, taken) {
    const short = name.length > 28 ? `${name.slice(0, 27)}…` : name;
    const half = short.length * 3.6;
    const middle = Math.min(Math.max(x, half), this.width - half);
    let height = Math.max(y, 8);
    while (taken.some((t) => Math.abs(t.height - height) < 15 && Math.abs(t.middle - middle) < t.half + half)) {
      height += 15;
    }
    taken.push({ middle, height, half });
    this.add(svg("text", { class: `group ${tone}`, x: middle, y: height }, short));
  }

  say(text) {
    this.told.textContent = text;
  }

  walked(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const now = this.marks.findIndex(({ mark }) => mark === document.activeElement);
    if (now < 0) return;
    let next = now + (steps[event.key] ?? 0);
    if (event.key === "Home") next = 0;
    if (event.key === "End") next = this.marks.length - 1;
    if (next === now || next < 0 || next >= this.marks.length) return;
    event.preventDefault();
    this.marks[now].mark.setAttribute("tabindex", -1);
    this.marks[next].mark.setAttribute("tabindex", 0);
    this.marks[next].mark.focus();
  }
}

function legend(name, number, bars) {
  const sign = svg("svg", { width: 14, height: 14, "aria-hidden": "true" }, shape(bars ? 1 : number, 7, 7, 5));
  return el("li", { class: colour(number) }, sign, name);
}

function tableOf(title, { head, rows }) {
  const cell = (value) => el("td", { class: typeof value === "number" ? "number" : null }, value);
  return el(
    "table",
    {},
    el("caption", { class: "unseen" }, title),
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell)))),
  );
}

/** Draw a mark of a series; series differ by shape, too. */
function shape(number, x, y, r) {
  const s = r * 0.9;
  const outlines = [
    null, // a circle
    `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}z`,
    `M${x} ${y - r}L${x + r} ${y + s}H${x - r}z`,
    `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}z`,
    `M${x} ${y + r}L${x + r} ${y - s}H${x - r}z`,
  ];
  const d = number < 0 ? null : outlines[number % COLOURS];
  return d ? svg("path", { class: "dot", d }) : svg("circle", { class: "dot", cx: x, cy: y, r });
}

function path(places, steps, width) {
  return places
    .map(([x, y], i) => (i === 0 ? `M${x} ${y}` : steps ? `H${x}V${y}` : `L${x} ${y}`))
    .concat(steps && places.length ? `H${width}` : "")
    .join("");
}

function scale([low, high], [from, to]) {
  const made = (value) => from + ((value - low) / (high - low)) * (to - from);
  return Object.assign(made, { low, high });
}

function outer([low, high], values) {
  return [Math.min(low, ...values), Math.max(high, ...values)];
}

function spread(values, least) {
  if (!values.length) return [0, least];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high > low ? [low, high] : [low - least / 2, low + least / 2];
}

function padded(values) {
  const [low, high] = spread(values, 1);
  return [low - (high - low) * 0.12, high + (high - low) * 0.12];
}

/** Choose round ticks that hold a range between them: values with their names, and the two ends. */
function rounded([low, high], whole) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = whole ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10];
  const step = Math.max(steps.map((m) => m * power).find((s) => s >= rough * 0.99), whole ? 1 : 0);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const values = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { ticks: values.map((value) => [value, written(value)]), ends: [first * step, last * step] };
}

function dateTicks(across, width) {
  const count = Math.max(2, Math.min(6, Math.floor(width / 90)));
  const step = (across.high - across.low) / (count - 1);
  return Array.from({ length: count }, (_, i) => {
    const time = across.low + i * step;
    return [time, dated(time)];
  });
}

const mean = (values) => values.reduce((sum, v) => sum + v, 0) / Math.max(values.length, 1);
const colour = (number) => (number < 0 ? "tone-0" : `tone-${(number % COLOURS) + 1}`);
const written = (value) => String(Math.round(value * 1000) / 1000);
const dated = (time) => new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" }).format(time);
