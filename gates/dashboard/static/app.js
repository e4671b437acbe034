// The page as a whole: which view is open, and how the connection is.

import { follow, get, logIn, logOut } from "./api.js";
import { askForToken } from "./dialogs.js";
import { h } from "./dom.js";
import { count, plural, words } from "./format.js";
import { ModelView } from "./model.js";
import { Overview } from "./overview.js";

const at = (id) => document.getElementById(id);
let close = () => {};
let heard = "no time";

let rights = null;

/** The view that the address asks for: `#fraud_detector` is a model's, `#` is that of all. `who` looks at it. */
function open(who = rights) {
  close();
  rights = who;
  const model = decodeURIComponent(location.hash.slice(1));
  const view = model ? new ModelView(model, who) : new Overview();
  document.title = model ? `${model} · Penstock` : "Penstock";
  at("main").replaceChildren(view.element);
  at("lost").hidden = true;
  let newest = null;
  const draw = () => {
    if (newest && !document.hidden) view.show(newest);
  };
  const stop = follow(`api/stream${model ? `?model=${encodeURIComponent(model)}` : ""}`, {
    told(picture) {
      newest = picture;
      heard = new Date().toLocaleTimeString("en-GB");
      found(picture.status);
      draw();
    },
    lost,
    refused: (error) => refused(error, view),
  });
  document.addEventListener("visibilitychange", draw);
  close = () => {
    stop();
    document.removeEventListener("visibilitychange", draw);
    view.close();
  };
}

function found(status) {
  const behind = Object.values(status.workers).filter((held) => held !== status.generation).length;
  const workers = Object.keys(status.workers).length;
  const told = [plural(workers, "worker"), `generation ${count(status.generation)}`];
  if (behind) told.splice(1, 0, `${behind} behind`);
  connection(workers ? "live" : "warn", workers ? `live · ${told.join(" · ")}` : "live · no worker is alive");
  at("lost").hidden = true;
  const trouble = status.store_trouble || status.configuration?.trouble || status.registry?.trouble || "";
  at("trouble").hidden = !trouble;
  if (at("trouble").textContent !== trouble) at("trouble").textContent = trouble;
}

function lost(reason) {
  connection("lost", "connection lost");
  at("lost").hidden = false;
  at("lost").textContent =
    `Connection lost: ${reason}. What you see is how things stood at ${heard}. Trying again; traffic is served all the same.`;
  at("main").dataset.stale = "";
}

function refused(error, view) {
  connection("lost", "refused");
  at("lost").hidden = true;
  view.refuse(error.message);
  if (error.status !== 401) return;
  at("who").replaceChildren();
  comeIn();
}

/** Whoever closes the dialog can have it again. */
function comeIn() {
  askForToken(async ({ token }) => {
    await logIn(token);
    enter();
  });
  const again = h("button", { type: "button", class: "quiet", onclick: comeIn }, "Log in");
  at("dialog").addEventListener("close", () => at("who").childElementCount || at("who").append(again), { once: true });
}

/** Who looks, and with what rights; the buttons are those that the rights allow. */
async function enter() {
  const who = await get("api/session").catch(() => null);
  const out = h("button", { type: "button", class: "quiet", onclick: leave }, "Log out");
  at("who").replaceChildren(...(who?.required ? [`${who.name} · ${who.roles.map(words).join(", ")}`, out] : []));
  open(who);
}

async function leave() {
  await logOut();
  enter();
}

function connection(state, text) {
  const place = at("connection");
  place.dataset.state = state;
  if (place.textContent !== text) place.textContent = text;
  if (state !== "lost") delete at("main").dataset.stale;
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names a model
  at("main").focus();
});
addEventListener("hashchange", () => open());
enter();
