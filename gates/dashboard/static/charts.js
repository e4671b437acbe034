// Live charts, drawn by plotly. Each has its newest values in words, and all its points as a table.

import { h } from "./dom.js";
import { clock, count, millis, percent } from "./format.js";

const ROWS = 30; // of a table, the newest
const ROOM = 0.12; // of a chart's width, for the name of a stage
const STEPS = 16; // in which the axis of time moves on, of its whole length
const MINUTES = { recent: "Last 10 minutes", whole: "Whole rollout" };

const rate = (point, name) => point[name] / point.seconds;
const share = (point, variant) =>
  point[`${variant}_answers`] ? (100 * point[`${variant}_failures`]) / point[`${variant}_answers`] : null;
const hundred = (value) => (value === null ? null : 100 * value);
const perSecond = (value) => `${value < 10 ? value.toFixed(1) : count(Math.round(value))}/s`;
const percentOf = (value) => (value === null ? "–" : percent(value / 100));

/** What each chart draws: lines by name, with the colour and dash of each, and how a value reads. */
const CHARTS = [
  {
    title: "Traffic by variant", unit: "requests/s", read: perSecond, floor: 0,
    lines: {
      "champion": { color: "champion", of: (point) => rate(point, "champion") },
      "candidate": { color: "candidate", of: (point) => rate(point, "candidate") },
      "copies": { color: "candidate", dash: "dot", of: (point) => rate(point, "copies") },
    },
  },
  {
    title: "Latency", unit: "ms", read: millis, floor: 0,
    lines: {
      "champion p50": { color: "champion", of: (point) => point.champion_p50 },
      "champion p99": { color: "champion", dash: "dash", of: (point) => point.champion_p99 },
      "candidate p50": { color: "candidate", of: (point) => point.candidate_p50 },
      "candidate p99": { color: "candidate", dash: "dash", of: (point) => point.candidate_p99 },
    },
  },
  {
    title: "Errors", unit: "% of answers", read: percentOf, floor: 0, least: 1,
    lines: {
      "champion": { color: "champion", of: (point) => share(point, "champion") },
      "candidate": { color: "candidate", of: (point) => share(point, "candidate") },
    },
  },
  {
    title: "Agreement in the stage", unit: "% of pairs", read: percentOf, ceiling: 100,
    band: { color: "agreement", low: (point) => hundred(point.agreement_low), high: (point) => hundred(point.agreement_high) },
    lines: {
      "agreement": { color: "agreement", of: (point) => hundred(point.agreement) },
      "noise floor": { color: "quiet", dash: "dot", of: (point) => hundred(point.noise) },
    },
  },
];

// The styles of plotly's maps, of which nothing is drawn here: it writes them into the page where it finds no such element.
const MAP_STYLES = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
let library = null;

/** plotly is large, and only asked for by whoever opens a model. Null where it did not load: to be asked for again. */
function plotly() {
  library ??= new Promise((resolve) => {
    document.head.append(h("meta", { id: MAP_STYLES }));
    const onload = () => resolve(window.Plotly);
    const onerror = () => resolve((library = null));
    document.head.append(h("script", { src: "dashboard/plotly.js", onload, onerror }));
  });
  return library;
}

/** Whether the page is to be dark, from now on: the colours of what is drawn come from it. */
export const dark = matchMedia("(prefers-color-scheme: dark)");

export class Charts {
  #span = "recent";
  #figures = CHARTS.map((chart) => new Figure(chart));
  #drawn = "";
  #again = () => this.#redraw();
  #last = null;

  constructor() {
    const choose = (event) => {
      this.#span = event.target.value;
      this.#redraw();
    };
    this.element = h("section", { class: "charts", "aria-labelledby": "charts-title" },
      h("div", { class: "row" }, h("h2", { id: "charts-title" }, "Live"),
        h("fieldset", { class: "switch" }, h("legend", { class: "unseen" }, "Time that the charts show"),
          Object.entries(MINUTES).map(([value, label]) =>
            h("label", {}, h("input", { type: "radio", name: "span", value, checked: value === this.#span, onchange: choose }), label)))),
      h("div", { class: "grid" }, this.#figures.map((figure) => figure.element)),
    );
    dark.addEventListener("change", this.#again);
  }

  async show(past, rollout) {
    this.#last = [past, rollout];
    const points = past[this.#span];
    const state = `${this.#span} ${points.length} ${points.at(-1)?.at} ${points[0]?.at}`;
    if (state === this.#drawn) return;
    this.#drawn = state;
    const drawn = await Promise.all(this.#figures.map((figure) => figure.draw(points, rollout)));
    if (drawn.includes(false)) this.#drawn = "";
  }

  close() {
    dark.removeEventListener("change", this.#again);
    this.#figures.forEach((figure) => figure.close());
  }

  #redraw() {
    this.#drawn = "";
    if (this.#last) this.show(...this.#last);
  }
}

class Figure {
  #chart;
  #place = h("div", { class: "plot", role: "img" });
  #caption = h("ul", { class: "caption" });
  #table = h("details", { class: "points" }, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region" }));
  #points = [];
  #closed = false;

  constructor(chart) {
    this.#chart = chart;
    this.#table.lastChild.setAttribute("aria-label", `${chart.title}, as a table`);
    this.#table.addEventListener("toggle", () => this.#tabulate());
    this.element = h("figure", { class: "card" },
      h("figcaption", {}, h("h3", {}, chart.title, h("small", {}, ` ${chart.unit}`)), this.#caption), this.#place, this.#table);
  }

  /** Whether the library for it was there. */
  async draw(points, rollout) {
    const { title, lines, read } = this.#chart;
    this.#points = points;
    const newest = Object.entries(lines).map(([name, line]) => [name, line, points.length ? line.of(points.at(-1)) : null]);
    const used = newest.filter(([, line]) => points.some((point) => line.of(point)) || line === newest[0][1]);
    const told = used.map(([name, line, value]) => ({ name, line, value: value === null ? "–" : read(value) }));
    this.#caption.replaceChildren(...told.map(({ name, line, value }) =>
      h("li", {}, h("span", { class: `key ${line.color} ${line.dash ?? ""}`, "aria-hidden": "true" }), name, " ", h("b", {}, value))));
    this.#place.setAttribute("aria-label", `${title}: ${told.map(({ name, value }) => `${name} ${value}`).join(", ")}`);
    this.#tabulate();
    const library = await plotly();
    if (library && !this.#closed) await library.react(this.#place, traces(this.#chart, points), layout(this.#chart, points, rollout), OPTIONS);
    return Boolean(library);
  }

  close() {
    this.#closed = true;
    purge(this.#place);
  }

  #tabulate() {
    if (!this.#table.open) return;
    const { lines, read } = this.#chart;
    const cell = (value) => h("td", {}, value === null ? "–" : read(value));
    this.#table.lastChild.replaceChildren(h("table", {},
      h("thead", {}, h("tr", {}, ["time", ...Object.keys(lines)].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, this.#points.slice(-ROWS).reverse().map((point) =>
        h("tr", {}, h("th", { scope: "row" }, clock(point.at)), Object.values(lines).map((line) => cell(line.of(point)))))),
    ));
  }
}

/** Let go of all that the library holds for a chart. */
export const purge = (place) => window.Plotly?.purge(place);

/** Bars of two shares for each name: the champion's and the candidate's. */
export async function bars(place, rows) {
  const library = await plotly();
  if (!library || !place.isConnected) return;
  const x = rows.map(([name]) => name);
  const arm = (name, at) => (
    { type: "bar", name, x, y: rows.map((row) => 100 * row[at]), marker: { color: colour(name) }, hovertemplate: "%{y:.3~g} %" }
  );
  const axis = axisOf();
  await library.react(place, [arm("champion", 1), arm("candidate", 2)], {
    ...frame(), barmode: "group", bargap: rows.length < 6 ? 0.5 : 0.15,
    xaxis: { ...axis, type: "category", nticks: 6, tickangle: 0, showgrid: false },
    yaxis: { ...axis, ticksuffix: " %", nticks: 4, rangemode: "tozero" },
  }, OPTIONS);
}

const OPTIONS = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function traces({ lines, band }, points) {
  const when = ({ at }) => new Date(at * 1000);
  const x = points.map(when);
  const known = band ? points.filter((point) => band.low(point) !== null) : []; // a fill knows no gaps
  const edge = { x: known.map(when), mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
  const fill = band && [
    { ...edge, y: known.map(band.low) },
    { ...edge, y: known.map(band.high), fill: "tonexty", fillcolor: colour(`${band.color}-band`) },
  ];
  return [
    ...(fill || []),
    ...Object.entries(lines).map(([name, { color, dash, of }]) => {
      const line = { color: colour(color), width: 2, dash: dash ?? "solid" };
      return { x, y: points.map(of), name, mode: "lines", line, connectgaps: false, hovertemplate: "%{y:.4~g}" };
    }),
  ];
}

function layout(chart, points, rollout) {
  const axis = axisOf();
  const begun = changes(points);
  const mark = { yref: "paper", y0: 0, y1: 1, line: { color: colour("line"), width: 1 } };
  const label = { y: 1, yref: "paper", xanchor: "left", yanchor: "top", showarrow: false, font: { size: 10, color: colour("quiet") } };
  return {
    ...frame(),
    xaxis: { ...axis, type: "date", nticks: 5, showgrid: false, tickformat: tickFormat(points), range: extent(points) },
    yaxis: { ...axis, range: range(chart, points), nticks: 5 },
    shapes: begun.map(({ at }) => ({ ...mark, type: "line", x0: at, x1: at })),
    annotations: apart(begun, points).map(({ at, position }) => ({ ...label, x: at, text: rollout.stages[position]?.name ?? "" })),
  };
}

/** From the floor up to a little above all there is, or from the ceiling down to a little below. */
function range({ lines, band, floor, ceiling, least }, points) {
  const drawn = [...Object.values(lines).map((line) => line.of), ...(band ? [band.low] : [])];
  const values = points.flatMap((point) => drawn.map((of) => of(point))).filter((value) => value !== null);
  if (floor === 0) return [0, Math.max(least ?? 0, ...values) * 1.1 || 1];
  const lowest = Math.min(ceiling - 1, ...values);
  return [Math.max(lowest - 1, 0), ceiling + (ceiling - lowest) * 0.06];
}

const axisOf = () => ({ color: colour("quiet"), gridcolor: colour("line"), zeroline: false, fixedrange: true, tickfont: { size: 11 } });

const frame = () => ({
  autosize: true, height: 190, margin: { l: 40, r: 8, t: 8, b: 24 }, showlegend: false, hovermode: "x unified", dragmode: false,
  paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { family: "inherit", color: colour("text") },
  hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("text"), size: 12 } },
});

/** From the first point to the last and a little beyond, in steps: between two of them no label moves. The library
 * keeps the size of each text at each place that it ever had, which would fill the memory of a page that stays open. */
export function extent(points) {
  const [first, last] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 0];
  const step = 2 ** Math.ceil(Math.log2(Math.max(last - first, STEPS) / STEPS));
  return [Math.floor(first / step), Math.ceil(last / step)].map((steps) => new Date(steps * step * 1000));
}

/** As fine as the span asks for. */
function tickFormat(points) {
  const span = points.length ? points.at(-1).at - points[0].at : 0;
  return span > 86400 ? "%-d %b %H:%M" : span > 900 ? "%H:%M" : "%H:%M:%S";
}

/** The moments at which a stage began. */
function changes(points) {
  return points
    .filter((point, at) => at > 0 && point.position !== points[at - 1].position)
    .map(({ at, seconds, position }) => ({ at: new Date((at - seconds) * 1000), position }));
}

/** Those of the changes whose names have room, the later of two where they have not. */
function apart(begun, points) {
  const room = points.length ? (points.at(-1).at - points[0].at) * 1000 * ROOM : 0;
  return begun.filter(({ at }, index) => index === begun.length - 1 || begun[index + 1].at - at > room);
}
