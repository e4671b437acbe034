// What the page asks of the control plane: the API with a token if one is needed, and the live stream.

const TOKEN = "penstock-token";
const SILENCE = 10_000; // the stream says something every few seconds, or it is dead
const RETRY = [500, 1000, 2000, 4000, 8000];

/** An answer that is no success: its status, and what the control plane said. */
export class Refused extends Error {
  constructor(status, body) {
    super([body.message, body.remedy].filter(Boolean).join(": ") || `status ${status}`);
    this.status = status;
  }
}

/** The token stays in this tab, and goes with it. */
export const setToken = (token) => sessionStorage.setItem(TOKEN, token);

export const get = async (path) => (await ask(path)).json();
export const post = async (path, body) =>
  (await ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } })).json();
export const modelPath = (model) => `api/models/${encodeURIComponent(model)}`;

async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { cache: "no-store", ...options, headers });
  if (answer.ok) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

/** Follow a stream until the returned function is called. `told` gets each picture; `lost` is called with the reason
 * at each failure, before the next try, and `refused` when the stream will not be had at all. */
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
        throw new Error("the control plane has ended the stream");
      } catch (error) {
        if (stopped) return;
        if (error instanceof Refused && error.status < 500) return refused(error);
        const wait = RETRY[Math.min(failures++, RETRY.length - 1)];
        lost(error.name === "AbortError" ? "nothing was heard for a while" : error.message);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  })();
  return () => {
    stopped = true;
    current?.abort();
  };
}

/** Server-sent events, by hand and not by EventSource, which can carry no token. */
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
