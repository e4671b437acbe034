// All models at one glance.

import { fill, h, unseen } from "./dom.js";
import { LIGHTS, PHASES, plural, stateOf, timeToVerdict, VERDICTS, words } from "./format.js";

export class Overview {
  element = h("div", { class: "overview" }, h("h1", {}, "Models"), h("ul", { class: "models" }));

  show({ status }) {
    const unrouted = status.unresolved.filter(({ routed }) => !routed);
    fill(this.element.lastChild, [status.models.map(glance), unrouted], ([glances, waiting]) => {
      const cards = [glances.map(card), waiting.map(cardOfUnrouted)].flat();
      return cards.length ? cards : h("li", { class: "note" }, "The configuration names no model.");
    });
  }

  refuse(why) {
    this.element.append(h("p", { class: "banner bad" }, why));
  }

  close() {}
}

/** What a card shows of a model, and nothing that changes more often. */
function glance({ model, champion, candidate, phase, percent, rollout }) {
  const tried = rollout && {
    light: rollout.light,
    candidate: rollout.candidate,
    gates: rollout.gates.map(({ gate, verdict, severity }) => ({ gate, verdict, severity })),
    stages: rollout.stages.map((stage, at) => stateOf(rollout, stage, at)),
    verdict: timeToVerdict(rollout),
    reason: rollout.reason,
    served: rollout.candidate_served,
  };
  return { model, champion, candidate, phase, percent, rollout: tried };
}

function card({ model, champion, candidate, phase, percent, rollout }) {
  const about = candidate ? `version ${champion}, and ${candidate} on trial` : `version ${champion} serves all`;
  return h("li", { class: "card model" },
    h("div", { class: "row" },
      h("h2", {}, h("a", { href: `#${encodeURIComponent(model)}` }, model)),
      pill(phase),
    ),
    h("p", { class: "note" }, about),
    traffic(champion, candidate, percent),
    rollout && [
      h("p", { class: "dots", "aria-hidden": "true" }, rollout.stages.map((state) => h("span", { class: state }))),
      h("div", { class: "row" }, lightOf(rollout, phase), h("span", { class: "note" }, rollout.verdict)),
      h("ul", { class: "chips", "aria-label": "Gates" }, rollout.gates.map(chip)),
      h("p", { class: "note clip" }, outcome(phase, rollout)),
    ],
  );
}

/** A model of which nothing serves yet. */
function cardOfUnrouted({ model, alias }) {
  return h("li", { class: "card model" },
    h("div", { class: "row" }, h("h2", {}, h("a", { href: `#${encodeURIComponent(model)}` }, model)), noRoute()),
    h("p", { class: "note" }, `waits for the registry to tell which version ${alias} is`),
  );
}

export const noRoute = () => h("span", { class: "pill bad" }, "no route");

function outcome(phase, rollout) {
  if (phase !== "promoted" && phase !== "rolled_back") return "";
  return `${rollout.reason}; it answered ${plural(rollout.served, "request")} of clients`;
}

/** The phase, in its colour and in words. */
export const pill = (phase) => h("span", { class: `pill ${PHASES[phase]}` }, words(phase));

/** The traffic light: a mark, a word, and a colour, so that no one of them has to be seen. */
export function lightOf({ light, gates }, phase) {
  const open = gates.filter(({ verdict }) => verdict === "INSUFFICIENT").length;
  const failing = gates.filter(({ verdict }) => verdict === "FAIL").length;
  const why = failing ? `${failing} of ${gates.length} gates fail` : open ? `${open} of ${gates.length} gates undecided` : "every gate passes";
  const ended = phase === "promoted" || phase === "rolled_back" ? " at its end" : "";
  return h("span", { class: `light ${LIGHTS[light]}` }, h("span", { class: "lamp", "aria-hidden": "true" }), light, h("small", {}, why + ended));
}

const chip = ({ gate, verdict, severity }) =>
  h("li", { class: `chip ${VERDICTS[verdict].kind}` },
    h("span", { "aria-hidden": "true" }, `${VERDICTS[verdict].mark} `), gate, unseen(`: ${verdict}`),
    severity === "advisory" && h("small", {}, " advisory"));

/** Who serves: two shares as one bar, in which neither vanishes before it is nothing. */
export function traffic(champion, candidate, percent) {
  const shown = percent > 0 && percent < 100 ? Math.min(Math.max(percent, 1.5), 98.5) : percent;
  const rest = Number((100 - percent).toFixed(2));
  const told = `champion ${champion}: ${rest} %` + (candidate ? `, candidate ${candidate}: ${percent} %` : "");
  return h("div", { class: "traffic" },
    h("div", { class: "shares", role: "img", "aria-label": `Traffic: ${told}` },
      h("span", { class: "share champion", style: { "flex-basis": `${100 - shown}%` } }),
      h("span", { class: "share candidate", style: { "flex-basis": `${shown}%` } }),
    ),
    h("p", { class: "row legend", "aria-hidden": "true" },
      h("span", { class: "champion" }, `champion ${champion} · ${rest} %`),
      candidate && h("span", { class: "candidate" }, `candidate ${candidate} · ${percent} %`),
    ),
  );
}
