// One model: its rollout from the first copy to the last decision.

import { Actions } from "./actions.js";
import { Charts, dark } from "./charts.js";
import { Disagreements } from "./disagreements.js";
import { fill, h, section } from "./dom.js";
import { duration, plural, timeToVerdict, words } from "./format.js";
import { climb, gates, lanes, losses } from "./rollout.js";
import { lightOf, noRoute, pill, traffic } from "./overview.js";
import { Outputs } from "./outputs.js";
import { Past } from "./past.js";
import { Slices } from "./slices.js";
import { Timeline } from "./timeline.js";

export class ModelView {
  #model;
  #said = "";
  #past;
  #charts;
  #outputs = new Outputs();
  #slices = new Slices();
  #disagreements;
  #timeline;
  #ofRollout;
  #actions;
  #head = h("div", { class: "head" });
  #stand = h("div", { class: "stand" });
  #climb = section("The climb", "wide");
  #gates = section("Gates", "wide");
  #lanes = section("This stage", "wide");

  constructor(model, who) {
    this.#model = model;
    this.#past = new Past(model);
    this.#charts = new Charts();
    this.#disagreements = new Disagreements(model);
    this.#timeline = new Timeline(model);
    this.#actions = new Actions(model, who);
    this.#ofRollout = [this.#climb, this.#gates, this.#lanes, this.#charts, this.#outputs, this.#slices, this.#disagreements];
    this.#showRollout(false);
    this.element = h("div", { class: "one" },
      h("p", { class: "crumbs" }, h("a", { href: "#" }, "All models")),
      h("div", { class: "row top" }, this.#head, this.#actions.element),
      this.#stand,
      this.#climb.element,
      h("div", { class: "columns" }, this.#gates.element, this.#lanes.element),
      this.#charts.element,
      this.#outputs.element,
      this.#slices.element,
      this.#disagreements.element,
      this.#timeline.element,
    );
  }

  async show({ status, points }) {
    const model = status.models[0];
    if (!model) return this.#wait(status.unresolved);
    const rollout = model.rollout;
    fill(this.#head, [model.phase, rollout?.light, rollout?.gates.map(({ verdict }) => verdict)], () => title(model));
    fill(this.#stand, stand(model), drawStand);
    this.#actions.show(model);
    this.#timeline.show(`${status.generation}`);
    this.#announce(model);
    this.#showRollout(Boolean(rollout));
    if (!rollout) return;
    fill(this.#climb.place, [rollout.stages, rollout.phase, rollout.position], () => climb(rollout));
    inView(this.#climb.place);
    fill(this.#gates.place, [rollout.gates, rollout.forecasts, rollout.false_alarm], () => gates(rollout));
    fill(this.#lanes.place, [rollout.lanes, rollout.agreement, losses(rollout)], () => lanes(rollout));
    this.#outputs.show(rollout, dark.matches);
    this.#slices.show(rollout);
    this.#disagreements.show(rollout);
    await this.#past.take(rollout.id, points);
    this.#charts.show(this.#past, rollout);
  }

  /** Nothing of it serves before the registry has told which version is meant. */
  #wait(unresolved) {
    fill(this.#head, unresolved, () => [h("h1", {}, this.#model), h("div", { class: "row" }, noRoute())]);
    fill(this.#stand, unresolved, (waiting) => waiting.map(({ alias }) =>
      h("p", { class: "note" }, `Waits for the registry to tell which version ${alias} is; this page goes on by itself.`)));
  }

  #showRollout(there) {
    for (const { element } of this.#ofRollout) element.hidden = !there;
  }

  refuse(why) {
    this.element.replaceChildren(h("p", { class: "crumbs" }, h("a", { href: "#" }, "All models")), h("p", { class: "banner bad" }, why));
  }

  close() {
    this.#charts.close();
    this.#outputs.close();
  }

  /** What a person who listens to the page wants to be told without asking. */
  #announce({ model, phase, percent, rollout }) {
    const said = `${model}: ${words(phase)}, ${percent} % to the candidate${rollout ? `, gates ${rollout.light}` : ""}`;
    if (this.#said && this.#said !== said) document.getElementById("said").textContent = said;
    this.#said = said;
  }
}

/** On a narrow screen the climb is longer than its card: the stage that it is in stands in the middle. */
function inView(place) {
  const now = place.querySelector(".now, .fell");
  if (now && place.dataset.at !== now.textContent) now.parentElement.scrollLeft = now.offsetLeft - now.parentElement.clientWidth / 2;
  if (now) place.dataset.at = now.textContent;
}

function title({ model, phase, rollout }) {
  return [
    h("h1", {}, model),
    h("div", { class: "row" }, pill(phase), rollout && lightOf(rollout, phase)),
  ];
}

/** Who serves, and what the rollout waits for or how it ended. */
function stand({ model, champion, candidate, percent, phase, rollout }) {
  const lines = [];
  if (!rollout) lines.push(["note", `No candidate is on trial. Start one here, or with penstock start ${model} --candidate VERSION.`]);
  else if (phase === "promoted" || phase === "rolled_back") {
    lines.push([phase === "promoted" ? "good" : "bad", `${words(phase)}: ${rollout.reason}`]);
    lines.push(["note", `The candidate answered ${plural(rollout.candidate_served, "request")} of clients in all.`]);
  } else {
    lines.push(["note", `${duration(rollout.elapsed)} and ${plural(rollout.requests, "request")} in this stage` +
      (rollout.waiting_for.length ? `; needs ${rollout.waiting_for.join(", ")}` : "")]);
    if (timeToVerdict(rollout)) lines.push(["note", timeToVerdict(rollout)]);
    if (rollout.dry_run) lines.push(["warn", "A dry run: the controller records what it would do, and people act."]);
    if (rollout.stepped_down) lines.push(["warn", "Stepped down once; the next gate that fails rolls back."]);
    if (rollout.overdue) lines.push(["warn", "Past the deadline of the stage."]);
    rollout.warnings.forEach((warning) => lines.push(["warn", warning]));
  }
  return { champion, candidate, percent, lines };
}

function drawStand({ champion, candidate, percent, lines }) {
  return [traffic(champion, candidate, percent), lines.map(([kind, text]) => h("p", { class: kind }, text))];
}
