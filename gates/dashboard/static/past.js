// The points of a rollout that the charts draw: what the control plane keeps, and what this page has seen itself.

import { get, modelPath } from "./api.js";

const MOST = 300; // as many as the control plane keeps of the last minutes
const FRESH = 15_000; // the whole rollout is asked for anew so often

export class Past {
  recent = [];
  whole = [];
  #model;
  #rollout = "";
  #asked = 0;

  constructor(model) {
    this.#model = model;
  }

  /** Add the newest rows. Whatever was missed, by a break of the connection or a slow page, is asked for. */
  async take(rollout, rows) {
    const last = this.recent.at(-1)?.at ?? 0;
    const fresh = this.#columns ? rows.map((row) => this.#point(row)).filter((point) => point.at > last) : [];
    const missed = rollout !== this.#rollout || !this.#columns || fresh.length === rows.length;
    if ((missed && rows.length) || performance.now() - this.#asked > FRESH || rollout !== this.#rollout) return this.#ask(rollout);
    this.recent = [...this.recent, ...fresh].slice(-MOST);
  }

  #columns = null;

  #point = (row) => Object.fromEntries(this.#columns.map((name, at) => [name, row[at]]));

  /** A control plane that has started anew knows less than this page: what is older stays. */
  async #ask(rollout) {
    this.#asked = performance.now();
    const series = await get(`${modelPath(this.#model)}/history`).catch(() => null); // the next picture asks again
    if (!series) return;
    this.#columns = series.columns;
    const [recent, whole] = [series.recent.map(this.#point), series.whole.map(this.#point)];
    const kept = rollout === this.#rollout;
    this.recent = [...(kept ? older(this.recent, recent) : []), ...recent].slice(-MOST);
    this.whole = [...(kept ? older(this.whole, whole) : []), ...whole].slice(-MOST);
    this.#rollout = rollout;
  }
}

function older(mine, theirs) {
  const first = theirs[0]?.at ?? Infinity;
  return mine.filter(({ at }) => at < first);
}
