// What people can do to a rollout: a button for each wish that its phase allows, and a reason for each.

import { modelPath, post } from "./api.js";
import { askForReason, askForStart } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { words } from "./format.js";

const WISHES = {
  start: { label: "Start a rollout", kind: "first" },
  advance: { label: "Advance", kind: "first", does: "Goes on to the next stage now, and passes over what this one still needs." },
  approve: { label: "Approve", kind: "first", does: "Lets the rollout go on to its next stage." },
  resume: { label: "Resume", kind: "first", does: "Lets the paused rollout go on." },
  pause: { label: "Pause", does: "Holds the rollout where it is. The gates go on watching, and can still roll it back." },
  promote: { label: "Promote", does: "Makes the candidate the champion now, whatever the plan still asks for.", override: "Whatever the production gates say" },
  rollback: { label: "Roll back", kind: "danger", does: "Gives all traffic back to the champion now, and ends the rollout." },
};

export class Actions {
  element = h("div", { class: "actions", role: "group", "aria-label": "What you can do" });
  #model;
  #who;

  /** `who` are the rights of whoever looks. */
  constructor(model, who) {
    this.#model = model;
    this.#who = who;
  }

  show({ possible, phase, candidate, previous, warm, rollout }) {
    const epoch = rollout?.epoch;
    const back = possible.includes("start") && warm.includes(previous) && previous;
    fill(this.element, [possible, phase, candidate, back, epoch], () => [
      possible.map((wish) => this.#wish(wish, phase, candidate, epoch)),
      back && this.#back(back),
    ]);
  }

  /** What leads further is asked of the stage that was looked at, and of none that has come since. */
  #wish(wish, phase, candidate, epoch) {
    const asked = WISHES[wish === "advance" && phase === "awaiting_approval" ? "approve" : wish];
    if (wish === "start") return this.#button(asked, "", () => this.#start());
    const title = `${asked.label}: ${this.#model}, candidate ${candidate}`;
    const more = wish === "advance" || wish === "promote" ? { epoch } : {};
    return this.#button(asked, `/${wish}`, () => this.#ask({ ...asked, title }, `/rollout/${wish}`, more));
  }

  /** Without a rollout under way: the version before this one serves again. */
  #back(version) {
    const asked = { label: `Back to version ${version}`, kind: "danger", does: `Version ${version}, which served before, serves all again at once.` };
    const title = `${this.#model}: back to version ${version}`;
    return this.#button(asked, "/rollback", () => this.#ask({ ...asked, title }, "/rollout/rollback", { to: version }));
  }

  #button({ label, kind = "" }, path, onclick) {
    const may = !this.#who || this.#who.may.includes(`POST /api/models/{model}/rollout${path}`);
    const title = may ? null : `Not as ${this.#who.roles.map(words).join(", ")}`;
    return h("button", { type: "button", class: kind, onclick, disabled: !may, title }, label);
  }

  #ask(asked, path, more = {}) {
    askForReason({ ...asked, known: this.#who?.required }, (body) => this.#send(path, { ...body, ...more }));
  }

  #start() {
    askForStart({ model: this.#model, known: this.#who?.required }, (body) => this.#send("/rollout", body));
  }

  async #send(path, body) {
    const { model, phase } = await post(modelPath(this.#model) + path, body);
    document.getElementById("said").textContent = `Done: ${model} is ${words(phase)}.`;
  }
}
