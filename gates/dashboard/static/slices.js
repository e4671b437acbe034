// What is seen of parts of the traffic: for each declared slice a table of its busiest values.

import { fill, h, section } from "./dom.js";
import { count, millis, percent } from "./format.js";

const MOST = 12;

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
  const headings = [name, "champion", "candidate", "failed", "p99 champion", "p99 candidate", "agreement"];
  return [
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Slice ${name}` }, h("table", {},
      h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
      h("tbody", {}, values.slice(0, MOST).map(row)))),
    values.length > MOST && h("p", { class: "note" }, `${count(values.length - MOST)} values of ${name} have less traffic.`),
  ];
}

const row = ({ value, champion, candidate, compared, disagreed }) => h("tr", {},
  h("th", { scope: "row" }, value),
  h("td", {}, count(champion.answers)),
  h("td", {}, count(candidate.answers)),
  h("td", { class: candidate.failures ? "bad" : "" }, count(candidate.failures)),
  h("td", {}, millis(champion.p99_ms)),
  h("td", {}, millis(candidate.p99_ms)),
  h("td", {}, compared ? `${percent((compared - disagreed) / compared)} of ${count(compared)}` : "–"),
);
