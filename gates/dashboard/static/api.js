// What the page asks of the control plane: the API, and the live stream. A cookie tells who asks, where that is asked.

const SILENCE = 10_000; // the stream says something every few seconds, or it is dead
const RETRY = [500, 1000, 2000, 4000, 8000];

/** An answer that is no success: its status, and what the control plane said; `told` is false where somebody between
 * here and there answered in its place. */
export class Refused extends Error {
  constructor(status, body) {
    super([body.message, body.remedy].filter(Boolean).join(": ") || `status ${status}`);
    this.status = status;
    this.told = Boolean(body.error);
  }
}

export const get = async (path) => (await ask(path)).json();
export const post = async (path, body) =>
  (await ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } })).json();
export const logIn = (token) => post("api/session", { token });
export const logOut = () => ask("api/session", { method: "DELETE" });
export const modelPath = (model) => `api/models/${encodeURIComponent(model)}`;

async function ask(path, options = {}) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  if (answer.ok) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

/** Follow a stream until the returned function is called. `told` gets each picture; `lost` is called at each failure,
 * before the next try, with the reason and whether it is the control plane's own; `refused` when the stream will not be
 * had at all. */
export function follow(path, { told, lost, refused }) {
  let stopped = false;
  let current = null;
  (async () => {
    for (let failures = 0; !stopped; ) {
      current = new AbortController();
      try {
        await read(path, current, (picture) => {
          failures = 0;
          if (!stopped) told(picture);
        });
        // It ended in order, as each stream does after a while: whoever goes on is looked at anew.
        await new Promise((resolve) => setTimeout(resolve, RETRY[0]));
      } catch (error) {
        if (stopped) return;
        if (error instanceof Refused && error.status < 500) return refused(error);
        const wait = RETRY[Math.min(failures++, RETRY.length - 1)];
        lost(error.name === "AbortError" ? "nothing was heard for a while" : error.message, Boolean(error.told));
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  })();
  return () => {
    stopped = true;
    current?.abort();
  };
}

/** Server-sent events, by hand and not by EventSource, which tells nothing of why it was refused. */
async function read(path, controller, told) {
  let alarm = setTimeout(() => controller.abort(), SILENCE);
  try {
    const answer = await ask(path, { signal: controller.signal, headers: { accept: "text/event-stream" } });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(alarm);
      alarm = setTimeout(() => controller.abort(), SILENCE);
      const events = (text + part.value).split("\n\n");
      text = events.pop();
      const pictures = events.filter((event) => event.startsWith("data: "));
      if (pictures.length) told(JSON.parse(pictures.at(-1).slice("data: ".length)));
    }
  } finally {
    clearTimeout(alarm);
  }
}
