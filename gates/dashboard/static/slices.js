// What is seen of parts of the traffic: for each declared slice a table of its values, the busiest first.

import { fill, h, section } from "./dom.js";
import { count, millis, percent } from "./format.js";

export class Slices {
  #section = section("Slices", "wide");
  element = this.#section.element;

  show({ slices }) {
    const declared = Object.entries(slices).filter(([, values]) => values.length);
    this.element.hidden = !declared.length;
    fill(this.#section.place, declared, () => declared.map(([name, values]) => table(name, values)));
  }
}

function table(name, values) {
  const headings = [name, "champion failed", "p99", "candidate failed", "p99", "agreement"];
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Slice ${name}` }, h("table", {},
    h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
    h("tbody", {}, values.map(row))));
}

const row = (one) => h("tr", {},
  h("th", { scope: "row" }, one.value),
  [[one.champion, "champion"], [one.candidate, "candidate"]].map(([lane, variant]) => [
    h("td", { class: lane.failures ? "bad" : variant }, `${count(lane.failures)} of ${count(lane.answers)}`),
    h("td", {}, millis(lane.p99_ms)),
  ]),
  h("td", { class: one.disagreed ? "warn" : "" }, one.compared ? `${percent((one.compared - one.disagreed) / one.compared)} of ${count(one.compared)}` : "–"),
);
