// How the two versions' answers are distributed: a chart for each column of the outputs, the most drifted first.

import { bars } from "./charts.js";
import { fill, h, section } from "./dom.js";
import { count, percent } from "./format.js";

const MOST = 6;

export class Outputs {
  #section = section("Output distributions", "wide");
  element = this.#section.element;

  /** `scheme` is what the colours come from. */
  show({ outputs }, scheme) {
    this.element.hidden = !outputs.length;
    const drifted = [...outputs].sort((one, other) => (other.psi ?? -1) - (one.psi ?? -1));
    fill(this.#section.place, [outputs, scheme], () => [
      h("div", { class: "grid" }, drifted.slice(0, MOST).map(figure)),
      outputs.length > MOST && h("p", { class: "note" }, `${count(outputs.length - MOST)} more columns have drifted less.`),
    ]);
  }
}

function figure(column) {
  const [champion, candidate] = column.counted;
  const told = `${words(column)}; ${count(champion)} values of the champion, ${count(candidate)} of the candidate`;
  const plot = h("div", { class: "plot", role: "img", "aria-label": `Distribution of ${column.column || "the output"}: ${told}` });
  const element = h("figure", {},
    h("figcaption", {},
      h("h3", {}, column.column || "output"),
      h("p", { class: column.constant || column.psi > 0.25 ? "bad" : "note" }, words(column)),
      h("ul", { class: "caption" },
        h("li", {}, h("span", { class: "key block champion", "aria-hidden": "true" }), `champion ${count(champion)}`),
        h("li", {}, h("span", { class: "key block candidate", "aria-hidden": "true" }), `candidate ${count(candidate)}`))),
    plot, table(column));
  bars(plot, column.bars.map((bar) => [name(bar), bar.champion, bar.candidate]));
  return element;
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

function table(column) {
  return h("details", { class: "points" }, h("summary", {}, "As a table"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Distribution of ${column.column || "the output"}, as a table` }, h("table", {},
      h("thead", {}, h("tr", {}, ["value", "champion", "candidate"].map((heading) => h("th", { scope: "col" }, heading)))),
      h("tbody", {}, column.bars.map((bar) =>
        h("tr", {}, h("th", { scope: "row" }, name(bar)), h("td", {}, percent(bar.champion)), h("td", {}, percent(bar.candidate)))))),
    ));
}
