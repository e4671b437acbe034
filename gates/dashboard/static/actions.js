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
  promote: { label: "Promote", does: "Makes the candidate the champion now, whatever the plan still asks for." },
  rollback: { label: "Roll back", kind: "danger", does: "Gives all traffic back to the champion now, and ends the rollout." },
};

export class Actions {
  element = h("div", { class: "actions", role: "group", "aria-label": "What you can do" });
  #model;

  constructor(model) {
    this.#model = model;
  }

  show({ possible, phase, candidate }) {
    fill(this.element, [possible, phase, candidate], () => possible.map((wish) => this.#button(wish, phase, candidate)));
  }

  #button(wish, phase, candidate) {
    const { label, kind = "", does } = WISHES[wish === "advance" && phase === "awaiting_approval" ? "approve" : wish];
    const onclick = () => (wish === "start" ? this.#start() : this.#ask(wish, label, does, candidate, kind));
    return h("button", { type: "button", class: kind, onclick }, label);
  }

  #ask(wish, label, does, candidate, kind) {
    askForReason({ title: `${label}: ${this.#model}, candidate ${candidate}`, does, label, kind }, (body) =>
      this.#send(`/rollout/${wish}`, body));
  }

  #start() {
    askForStart(this.#model, (body) => this.#send("/rollout", body));
  }

  async #send(path, body) {
    const { model, phase } = await post(modelPath(this.#model) + path, body);
    document.getElementById("said").textContent = `Done: ${model} is ${words(phase)}.`;
  }
}
