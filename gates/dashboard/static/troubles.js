// What is wrong beside the rollouts, what it means, and what to do about it; `penstock status` says the same.

import { h } from "./dom.js";
import { plural } from "./format.js";

const STORE = "Only rollbacks are decided, and written once it answers; clients are served all the same. Mend the database: nothing has to be restarted.";
const REGISTRY = "Aliases, tags and runs are behind until it answers, and versions named by an alias wait; clients are served all the same.";
const REFUSED = "The last good configuration stays. Mend what is named and save: it is taken up at once.";
const RESTART = "All else that was saved is in force. Restart the control plane when it suits: rollouts go on where they were.";
const STUCK = "It is tried again each second. Mend what stands in the way, or roll back to another version.";
const UNROUTED = "Its requests are answered 404 until the registry tells. A version number in the configuration counts at once.";
const UNRESOLVED = "All goes on as it was until the registry tells. A version number in the configuration counts at once.";

/** Each with a line for every cause; `kind` is `bad` for what nobody may pass over. */
export function troubles({ models, store_trouble: store, registry, configuration, unresolved }) {
  const found = [...models.filter(({ rollout }) => rollout?.stuck).map(stuck), ...unresolved.map(waiting)];
  if (store) found.push({ kind: "bad", what: "The store fails", causes: [store], means: STORE });
  if (registry?.trouble) {
    const errands = `${plural(registry.waiting, "errand")} ${registry.waiting === 1 ? "waits" : "wait"}`;
    found.push({ kind: "warn", what: `The registry fails, ${errands}`, causes: [registry.trouble], means: REGISTRY });
  }
  if (configuration?.trouble) {
    const causes = configuration.trouble.split("\n");
    found.push({ kind: "bad", what: "The configuration as saved is not in force", causes, means: REFUSED });
  }
  if (configuration?.waits_for_restart.length) {
    const causes = [configuration.waits_for_restart.join(", ")];
    found.push({ kind: "warn", what: "Saved, and not in force before a new start", causes, means: RESTART });
  }
  return found;
}

const stuck = ({ model, rollout }) => (
  { kind: "bad", what: `${model} serves a version that should give way`, causes: [rollout.stuck], means: STUCK });

function waiting({ model, alias, routed, reason }) {
  const causes = [reason || "the registry has not told yet which version that is"];
  if (routed) return { kind: "warn", what: `${model} waits for ${alias}`, causes, means: UNRESOLVED };
  return { kind: "bad", what: `${model} has no route: it waits for ${alias}`, causes, means: UNROUTED };
}

export const banner = ({ kind, what, causes, means }) => h("div", { class: `banner ${kind}` },
  h("p", {}, h("strong", {}, what), `: ${causes.length === 1 ? causes[0] : ""}`),
  causes.length > 1 && h("ul", {}, causes.map((cause) => h("li", {}, cause))),
  h("p", { class: "means" }, means));
