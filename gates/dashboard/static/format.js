// Numbers and names as people read them.

export const words = (name) => name.replaceAll("_", " ");
export const count = (number) => number.toLocaleString("en");
export const plural = (number, name) => `${count(number)} ${name}${number === 1 ? "" : "s"}`;

/** Rounded down, so that 100 % means all. */
export function percent(share, digits = 2) {
  if (share === null || share === undefined) return "–";
  const scale = 10 ** digits;
  return `${(Math.floor(share * 100 * scale + 1e-9) / scale).toFixed(digits)} %`;
}

export function millis(value) {
  if (value === null || value === undefined) return "–";
  return value < 100 ? `${value.toFixed(1)} ms` : `${count(Math.round(value))} ms`;
}

/** In the two largest units: 59 s, 1 min 5 s, 1 h, 23 h 55 min. */
export function duration(seconds) {
  const whole = Math.max(Math.round(seconds), 0);
  const parts = [["d", Math.floor(whole / 86400)], ["h", Math.floor(whole / 3600) % 24], ["min", Math.floor(whole / 60) % 60], ["s", whole % 60]];
  const first = parts.findIndex(([, number]) => number);
  const shown = first < 0 ? [] : parts.slice(first, first + 2).filter(([, number]) => number);
  return shown.map(([unit, number]) => `${number} ${unit}`).join(" ") || "0 s";
}

export const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
export const day = (at) => new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });

export const PHASES = {
  idle: "neutral",
  shadow: "candidate",
  ramp: "candidate",
  bake: "candidate",
  paused: "warn",
  awaiting_approval: "warn",
  promoted: "good",
  rolled_back: "bad",
};
export const VERDICTS = {
  PASS: { mark: "✓", kind: "good" },
  FAIL: { mark: "✗", kind: "bad" },
  INSUFFICIENT: { mark: "…", kind: "wait" },
};
export const LIGHTS = { GO: "good", WARNING: "warn", "NO-GO": "bad" };

/** How far a stage is: done, now, ahead; or fell, where the rollout was rolled back in it. */
export const stateOf = ({ phase, position }, { state }, at) => (phase === "rolled_back" && at === position ? "fell" : state);

/** When the last of the undecided critical gates will have a verdict, in words; "" where nothing is to be said. */
export function timeToVerdict(rollout) {
  const open = rollout.gates.filter((gate) => gate.verdict === "INSUFFICIENT" && gate.severity === "critical");
  const forecasts = open.map((gate) => rollout.forecasts.find((forecast) => forecast.gate === gate.gate));
  if (!open.length || !rollout.forecasts.length) return "";
  if (forecasts.some((forecast) => forecast?.requests === null)) return "no verdict in sight yet";
  if (forecasts.some((forecast) => !forecast || forecast.seconds === null)) return "";
  return `verdict in about ${duration(Math.max(...forecasts.map((forecast) => forecast.seconds)))}`;
}
