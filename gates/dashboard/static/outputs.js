// How the two versions' answers are distributed: a chart for each column of the outputs, the most drifted first.

import { bars, purge } from "./charts.js";
import { fill, h, section } from "./dom.js";
import { count, percent } from "./format.js";

const MOST = 6;
const REST = 4000; // between two drawings of the same columns: a distribution has no haste

export class Outputs {
  #section = section("Output distributions", "wide");
  #grid = h("div", { class: "grid" });
  #more = h("p", { class: "note" });
  #columns = new Map();
  #drawn = -Infinity;
  #state = "";
  element = this.#section.element;

  constructor() {
    this.#section.place.append(this.#grid, this.#more);
  }

  /** `scheme` is what the colours come from. */
  show({ outputs }, scheme) {
    this.element.hidden = !outputs.length;
    const state = [scheme, ...outputs.map(({ column }) => column)].join("\n");
    if (state === this.#state && performance.now() - this.#drawn < REST) return;
    [this.#drawn, this.#state] = [performance.now(), state];
    const drifted = [...outputs].sort((one, other) => (other.psi ?? -1) - (one.psi ?? -1)).slice(0, MOST);
    for (const [name, column] of this.#columns) if (!drifted.some((one) => one.column === name)) this.#drop(name, column);
    drifted.forEach((one) => this.#column(one.column).draw(one));
    this.#more.textContent = outputs.length > MOST ? `${count(outputs.length - MOST)} more columns have drifted less.` : "";
  }

  close() {
    for (const [name, column] of this.#columns) this.#drop(name, column);
  }

  #column(name) {
    if (!this.#columns.has(name)) {
      this.#columns.set(name, new Column(name));
      this.#grid.append(this.#columns.get(name).element);
    }
    return this.#columns.get(name);
  }

  #drop(name, column) {
    column.close();
    this.#columns.delete(name);
  }
}

class Column {
  #title;
  #told = h("div");
  #plot = h("div", { class: "plot", role: "img" });
  #table;

  constructor(name) {
    this.#title = name || "the output";
    const label = `Distribution of ${this.#title}, as a table`;
    this.#table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label });
    this.element = h("figure", {},
      h("figcaption", {}, h("h3", {}, this.#title), this.#told), this.#plot,
      h("details", { class: "points" }, h("summary", {}, "As a table"), this.#table));
  }

  draw(column) {
    const [champion, candidate] = column.counted;
    const drift = words(column);
    const values = `${count(champion)} values of the champion, ${count(candidate)} of the candidate`;
    this.#plot.setAttribute("aria-label", `Distribution of ${this.#title}: ${drift}; ${values}`);
    fill(this.#told, [drift, champion, candidate], () => [
      h("p", { class: column.constant || column.psi > 0.25 ? "bad" : "note" }, drift),
      h("ul", { class: "caption" },
        h("li", {}, h("span", { class: "key block champion", "aria-hidden": "true" }), `champion ${count(champion)}`),
        h("li", {}, h("span", { class: "key block candidate", "aria-hidden": "true" }), `candidate ${count(candidate)}`)),
    ]);
    fill(this.#table, column.bars, () => table(column.bars));
    bars(this.#plot, column.bars.map((bar) => [name(bar), bar.champion, bar.candidate]));
  }

  close() {
    purge(this.#plot);
    this.element.remove();
  }
}

function words({ psi, constant, missing }) {
  const told = constant ? ["the candidate always says the same"] : [];
  if (psi === null) told.push("too few values to tell a drift");
  else told.push(`stability index ${psi.toFixed(3)}: ${psi > 0.25 ? "drifted" : psi > 0.1 ? "moved" : "alike"}`);
  if (missing[0] || missing[1]) told.push(`missing: champion ${count(missing[0])}, candidate ${count(missing[1])}`);
  return told.join("; ");
}

const name = ({ label, low, high }) => (low === null ? label : `${short(low)} – ${short(high)}`);
const short = (value) => Number(value.toPrecision(3)).toString();

const table = (rows) => h("table", {},
  h("thead", {}, h("tr", {}, ["value", "champion", "candidate"].map((heading) => h("th", { scope: "col" }, heading)))),
  h("tbody", {}, rows.map((bar) =>
    h("tr", {}, h("th", { scope: "row" }, name(bar)), h("td", {}, percent(bar.champion)), h("td", {}, percent(bar.candidate))))),
);
