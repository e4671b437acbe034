// What was decided, by whom and why, with what it was decided by.

import { get, modelPath } from "./api.js";
import { fill, h, section } from "./dom.js";
import { clock, count, day, duration, percent, VERDICTS, words } from "./format.js";

const KINDS = { promote: "good", roll_back: "bad", step_down: "bad", overdue: "warn", hold: "warn", pause: "warn", configure: "neutral" };
const FIRST = 30;
const MOST = 1000; // of rows that can be asked for
const FRESH = 10_000; // what is put on record beside the decisions, such as a review, changes no generation

export class Timeline {
  #model;
  #state = "";
  #asked = -Infinity;
  #limit = FIRST;
  #open = new Set();
  #section = section("Decisions", "wide");
  element = this.#section.element;

  constructor(model) {
    this.#model = model;
  }

  /** `state` tells whether anything can have been decided since. */
  async show(state) {
    if (state === this.#state && performance.now() - this.#asked < FRESH) return;
    [this.#state, this.#asked] = [state, performance.now()];
    try {
      const rows = await get(`${modelPath(this.#model)}/events?limit=${this.#limit}`);
      fill(this.#section.place, rows.map(({ generation, event, at }) => [generation, event, at]), () => this.#draw(rows));
    } catch (error) {
      this.#state = "";
      fill(this.#section.place, error.message, (why) => h("p", { class: "note" }, `The record cannot be read: ${why}`));
    }
  }

  #draw(rows) {
    if (!rows.length) return h("p", { class: "note" }, "Nothing has been decided yet.");
    const older = rows.length === this.#limit && rows.length < MOST && h("button", { type: "button", class: "quiet", onclick: () => this.#more() }, "Show older ones");
    return [h("ol", { class: "timeline" }, rows.map((row) => this.#entry(row))), older];
  }

  /** What was opened stays open when more is decided. */
  #entry(row) {
    const key = `${row.generation} ${row.event}`;
    const remember = (event) => this.#open[event.target.open ? "add" : "delete"](key);
    return entry(row, this.#open.has(key), remember);
  }

  #more() {
    this.#limit = Math.min(this.#limit * 4, MOST);
    const state = this.#state;
    this.#state = "";
    this.show(state);
  }
}

function entry(row, open, ontoggle) {
  const seen = JSON.parse(row.inputs || "{}");
  return h("li", { class: KINDS[row.event] ?? "candidate" },
    h("p", { class: "row" },
      h("strong", {}, words(row.event), h("small", {}, ` ${where(row, seen)}`)),
      h("span", { class: "note" }, `${row.by} · `, h("time", { datetime: new Date(row.at * 1000).toISOString() }, `${day(row.at)} ${clock(row.at)}`)),
    ),
    h("p", {}, row.reason),
    seen.observation && h("details", { open, ontoggle }, h("summary", {}, "What it was decided by"), inputs(row, seen)),
  );
}

/** Of whom, and of a step to which share. */
function where({ event, position }, { rollout }) {
  if (!rollout) return "";
  const { shadow, steps, bake } = rollout.terms.plan;
  const stage = ["climb", "step_down"].includes(event) ? [shadow, ...steps, bake][position] : null;
  return `version ${rollout.candidate}${stage ? `, to ${stage.share_bp / 100} %` : ""}`;
}

function inputs(row, { observation, rollout, command, window }) {
  const pairs = window.agreement;
  const said = [...observation.results, ...(observation.outside ?? [])];
  return [
    h("p", { class: "note" },
      `Generation ${row.generation}, rollout ${row.rollout.slice(0, 8)}, ${words(rollout.phase)} at position ${rollout.position}: ` +
      `${duration(observation.elapsed)} and ${count(observation.requests)} requests in the stage; ` +
      `champion ${count(window.champion.answers)} answers, candidate ${count(window.candidate.answers)} ` +
      `and ${count(window.candidate_shadow.answers)} on copies; ${count(pairs.compared)} pairs compared, ${count(pairs.disagreed)} differ` +
      `${command ? `; asked by ${command.by}` : ""}.`),
    said.length > 0 && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `What the gates said to ${row.event}` }, h("table", {},
      h("thead", {}, h("tr", {}, ["gate", "verdict", "to FAIL", "to PASS", "why"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, said.map((result) => h("tr", {},
        h("th", { scope: "row" }, result.gate),
        h("td", { class: VERDICTS[result.verdict].kind }, result.verdict),
        h("td", {}, percent(result.toward_fail, 0)),
        h("td", {}, percent(result.toward_pass, 0)),
        h("td", { class: "why" }, result.reason)))),
    )),
  ];
}
