// What the two versions disagree on: pairs of answers side by side, with what differs in them marked.

import { get, modelPath } from "./api.js";
import { fill, h, section } from "./dom.js";
import { clock, count } from "./format.js";

const MOST = 60;
const REST = 4000; // between two questions
const AGAIN = 3; // questions after the last change: a pair is on record a while after it is counted

export class Disagreements {
  #model;
  #section = section("Disagreements", "wide");
  #filter = "";
  #open = new Set();
  #pairs = [];
  #state = "";
  #asked = -Infinity;
  #left = 0;
  element = this.#section.element;

  constructor(model) {
    this.#model = model;
  }

  /** Asked for anew where more have come, but not at each of them. */
  async show({ id, agreement, lanes }) {
    const failures = lanes.candidate_shadow?.failures ?? 0;
    const state = `${id} ${agreement.disagreed} ${failures}`;
    if (performance.now() - this.#asked < REST || (state === this.#state && !this.#left)) return;
    this.#left = state === this.#state ? this.#left - 1 : AGAIN;
    [this.#state, this.#asked] = [state, performance.now()];
    try {
      this.#pairs = await get(`${modelPath(this.#model)}/disagreements?limit=${MOST}`);
      this.#draw();
    } catch (error) {
      fill(this.#section.place, error.message, (why) => h("p", { class: "note" }, `They cannot be shown: ${why}`));
    }
  }

  #draw() {
    const findings = [...new Set(this.#pairs.map(({ finding }) => finding))];
    if (!findings.includes(this.#filter)) this.#filter = "";
    const shown = this.#pairs.filter(({ finding }) => !this.#filter || finding === this.#filter);
    fill(this.#section.place, [this.#filter, shown.map(({ id }) => id), findings], () => {
      if (!shown.length) return h("p", { class: "note" }, "None is on record.");
      return [
        h("p", { class: "note" }, "Of each finding the worst, and a fair sample of all; what the configuration withholds is not in them."),
        findings.length > 1 && this.#choice(["", ...findings]),
        h("ul", { class: "pairs" }, shown.map((pair) => h("li", {}, this.#entry(pair)))),
      ];
    });
  }

  #choice(findings) {
    const choose = (event) => {
      this.#filter = event.target.value;
      this.#draw();
    };
    return h("p", {}, h("label", {}, "Finding ", h("select", { onchange: choose },
      findings.map((finding) => h("option", { value: finding, selected: finding === this.#filter }, finding || "all")))));
  }

  #entry(pair) {
    const details = h("details", { open: this.#open.has(pair.id) }, h("summary", {}, head(pair)));
    const fillIn = () => details.open && details.children.length === 1 && details.append(body(pair));
    details.addEventListener("toggle", () => {
      this.#open[details.open ? "add" : "delete"](pair.id);
      fillIn();
    });
    fillIn();
    return details;
  }
}

function head(pair) {
  const told = [];
  if (pair.rows > 1 && pair.row !== null) told.push(`${count(pair.rows_disagreed)} of ${count(pair.rows)} rows differ`);
  if (pair.largest_gap) told.push(`largest gap ${Number(pair.largest_gap.toPrecision(4))}`);
  if (pair.worst) told.push("one of the worst");
  const [champion, candidate] = [parsed(pair.champion.body), parsed(pair.candidate.body)];
  return [
    h("strong", {}, pair.finding), h("code", {}, difference(champion, candidate)),
    h("span", { class: "note" }, [...told, clock(pair.at)].join(" · ")),
  ];
}

function body(pair) {
  const [champion, candidate] = [parsed(pair.champion.body), parsed(pair.candidate.body)];
  return h("div", { class: "pair" },
    h("p", { class: "note" }, `${pair.method} ${pair.path} · ${pair.request_id} · the client got the ${pair.served}'s answer`),
    h("div", { class: "sides" },
      side("Request", "", parsed(pair.request)),
      side(`Champion ${pair.champion.version}`, "champion", champion, candidate, pair.champion.status),
      side(`Candidate ${pair.candidate.version}`, "candidate", candidate, champion, pair.candidate.status)));
}

const side = (title, kind, value, other, status = 200) => h("div", { class: "side" },
  h("h4", { class: kind }, title, status !== 200 && h("small", { class: "bad" }, status ? ` status ${status}` : " no answer")),
  h("pre", { tabindex: "0", role: "region", "aria-label": title }, written(value, other)));

/** The first difference, in short: `predictions[0]: "benign" → "malignant"`. */
function difference(value, other, path = "") {
  const nested = value && other && typeof value === "object" && typeof other === "object";
  if (!nested) return value === other ? "" : `${path}${path && ": "}${cut(value)} → ${cut(other)}`;
  for (const key of new Set([...Object.keys(value), ...Object.keys(other)])) {
    const here = Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key;
    const found = difference(value[key], other[key], here);
    if (found) return found;
  }
  return "";
}

function cut(value) {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** A body as JSON if it is some, else as its text. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A value as indented JSON, in which whatever is another in `other` is marked; nothing is where there is no other. */
function written(value, other = value, indent = "") {
  if (typeof value === "string" && indent === "") return lines(value, other);
  if (value === null || typeof value !== "object") return leaf(value, other);
  const list = Array.isArray(value);
  if (!other || typeof other !== "object" || Array.isArray(other) !== list) return h("mark", {}, JSON.stringify(value, null, 2));
  const keys = Object.keys(value);
  if (!keys.length) return list ? "[]" : "{}";
  const flat = list && value.every((item) => item === null || typeof item !== "object");
  const [gap, end] = flat ? ["", ""] : [`\n${indent}  `, `\n${indent}`];
  const parts = keys.map((key, at) => [
    gap, list ? "" : `${JSON.stringify(key)}: `,
    key in other ? written(value[key], other[key], `${indent}  `) : h("mark", {}, JSON.stringify(value[key])),
    at < keys.length - 1 ? (flat ? ", " : ",") : "",
  ]);
  return [list ? "[" : "{", parts, end, list ? "]" : "}"];
}

const leaf = (value, other) => (value === other ? JSON.stringify(value) : h("mark", {}, JSON.stringify(value)));

/** A text that is no JSON, line by line. */
function lines(text, other) {
  const others = new Set(String(typeof other === "string" ? other : JSON.stringify(other)).split("\n"));
  return text.split("\n").map((line) => [others.has(line) ? line : h("mark", {}, line), "\n"]);
}
