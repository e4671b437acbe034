// The parts of a rollout that are words, marks and bars: its stages, its gates, and what this stage has seen.

import { h } from "./dom.js";
import { count, duration, millis, percent, plural, stateOf, VERDICTS } from "./format.js";

const STATES = {
  done: { told: "done", mark: "✓" },
  now: { told: "now", mark: "" },
  ahead: { told: "to come", mark: "" },
  fell: { told: "ended here", mark: "✗" },
};
const LANES = {
  champion: ["champion", "champion"],
  candidate: ["candidate", "candidate"],
  champion_shadow: ["champion, on copies", "champion"],
  candidate_shadow: ["candidate, on copies", "candidate"],
};

/** The lanes of clients' requests. */
const SERVING = ["champion", "candidate"];

/** The stages done, the one that it is in or ended in, and those to come. */
export function climb(rollout) {
  return h("ol", { class: "climb" }, rollout.stages.map((stage, at) => {
    const state = stateOf(rollout, stage, at);
    const { told, mark } = STATES[state];
    return h("li", { class: state, "aria-current": state === "now" ? "step" : null },
      h("span", { class: "dot", "aria-hidden": "true" }, mark),
      h("span", { class: "name" }, stage.name), h("small", {}, told),
      h("small", {}, needs(stage)),
    );
  }));
}

function needs({ min_duration, min_requests, approval }) {
  const asked = [];
  if (min_duration) asked.push(duration(min_duration));
  if (min_requests) asked.push(`${count(min_requests)} req.`);
  return (approval ? "approval; " : "") + asked.join(", ");
}

/** Each gate: its verdict, how far its evidence is, and the value that it saw against its limit. */
export function gates({ gates: judged, forecasts, false_alarm: budget, false_alarm_each: each }) {
  if (!judged.length) return h("p", { class: "note" }, "The configuration names no gates for this stage.");
  return [
    h("ul", { class: "gates" }, judged.map((gate) => gateOf(gate, forecasts.find(({ gate: name }) => name === gate.gate)))),
    budget > 0 && h("p", { class: "note" },
      `False alarms: at most ${percent(budget)} a rollout, ${percent(each, 3)} a gate and stage.`),
  ];
}

function gateOf(gate, forecast) {
  const { mark, kind } = VERDICTS[gate.verdict];
  return h("li", { class: `gate ${kind}` },
    h("p", { class: "row" },
      h("strong", {}, h("span", { class: "mark", "aria-hidden": "true" }, mark), gate.gate),
      h("span", { class: "verdict" }, gate.verdict, gate.severity === "advisory" && h("small", {}, " advisory")),
    ),
    evidence(gate),
    h("p", { class: "note" }, gate.reason),
    gate.verdict === "INSUFFICIENT" && gate.value !== null && h("p", { class: "note" }, heading(forecast)),
  );
}

/** A tug of war: from the middle to the left toward FAIL, to the right toward PASS; the end of a side decides. */
function evidence({ toward_fail: fail, toward_pass: pass }) {
  const told = `Evidence: ${percent(fail, 0)} of what FAIL needs, ${percent(pass, 0)} of what PASS needs`;
  return h("div", { class: "tug", role: "img", "aria-label": told },
    h("small", {}, "FAIL"),
    h("span", { class: "half left" }, h("span", { class: "pull bad", style: { width: `${fail * 100}%` } })),
    h("span", { class: "half" }, h("span", { class: "pull good", style: { width: `${pass * 100}%` } })),
    h("small", {}, "PASS"),
  );
}

function heading(forecast) {
  if (!forecast) return "";
  if (forecast.requests === null) return "no verdict in sight at these rates";
  const when = forecast.seconds === null ? "" : `, ${duration(forecast.seconds)} at this traffic`;
  return `${forecast.verdict} in about ${plural(forecast.requests, "request")}${when}`;
}

/** What this stage has seen: each variant in each role, agreement, and what was lost. */
export function lanes(rollout) {
  const used = Object.entries(LANES).filter(([name]) => rollout.lanes[name]?.answers);
  if (!used.length && !left(rollout.lanes).length) return h("p", { class: "note" }, "No answers in this stage yet.");
  return [
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers by variant" }, h("table", {},
      h("thead", {}, h("tr", {}, ["variant", "answers", "failed", "p50", "p99"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, used.map(([name, [label, variant]]) => laneRow(label, variant, rollout.lanes[name]))),
    )),
    used.filter(([name]) => rollout.lanes[name].failures).map(([name, [label]]) => failures(label, rollout.lanes[name])),
    agreement(rollout.agreement),
    losses(rollout).map(([kind, text]) => h("p", { class: kind }, text)),
  ];
}

const laneRow = (label, variant, lane) => h("tr", {},
  h("th", { scope: "row", class: variant }, label),
  h("td", {}, count(lane.answers)),
  h("td", { class: lane.failures ? "bad" : "" }, count(lane.failures)),
  h("td", {}, millis(lane.p50_ms)),
  h("td", {}, millis(lane.p99_ms)),
);

/** By code: what went wrong tells whose fault it is. */
function failures(label, { errors }) {
  const codes = Object.entries(errors).sort(([, one], [, other]) => other - one);
  return h("p", { class: "bad" }, `${label} failed: ${codes.map(([code, number]) => `${code} ${count(number)}`).join(", ")}`);
}

function agreement({ compared, share, low, high, noise, noise_compared, findings, coverage, skipped }) {
  if (share === null) return h("p", { class: "note" }, "No pairs of answers compared yet.");
  const kinds = Object.entries(findings).sort(([, one], [, other]) => other - one);
  return h("div", { class: "agreement" },
    h("p", {}, h("strong", { class: "figure" }, percent(share)), " agreement over ", plural(compared, "pair")),
    h("p", { class: "note" }, `95 % sure, whenever you look: ${percent(low)} to ${percent(high)}`),
    noise !== null && h("p", { class: "note" }, `the champion agrees with itself in ${percent(noise)} of ${count(noise_compared)} probes`),
    coverage !== null && coverage < 1 && h("p", { class: "warn" },
      `${percent(coverage)} of the pairs compared (not: ${Object.entries(skipped).map(([why, number]) => `${why} ${count(number)}`).join(", ")})`),
    kinds.length > 0 && h("ul", { class: "chips", "aria-label": "What differs" },
      kinds.map(([kind, number]) => h("li", { class: "chip bad" }, `${kind} ${count(number)}`))),
  );
}

const left = (lanes) => SERVING.filter((name) => lanes[name]?.abandoned).map((name) => `${name} ${count(lanes[name].abandoned)}`);

/** What was lost on the way, in words, each with its weight. */
export function losses({ lanes, fallbacks, bad_answers: bad, max_bad_answers: most, shadow_dropped: dropped, champion }) {
  const lines = [];
  const gone = left(lanes);
  if (gone.length) lines.push(["warn", `clients that left before their answer was whole: ${gone.join(", ")}`]);
  if (champion.verdict === "FAIL") lines.push(["bad", `the champion fails as well: ${champion.failures} of ${champion.answers}`]);
  if (bad) lines.push(["bad", `the candidate failed ${count(bad)} requests of clients in the whole rollout${most ? `, of ${count(most)} at most` : ""}`]);
  if (fallbacks) lines.push(["warn", `the champion stepped in for the candidate ${count(fallbacks)} times`]);
  const kinds = Object.entries(dropped).filter(([, number]) => number);
  if (kinds.length) lines.push(["warn", `copies not made: ${kinds.map(([why, number]) => `${why} ${count(number)}`).join(", ")}`]);
  return lines;
}
