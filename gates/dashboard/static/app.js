// The page as a whole: which view is open, and how the connection is.

import { follow, get, logIn, logOut } from "./api.js";
import { askForToken } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { count, plural, words } from "./format.js";
import { ModelView } from "./model.js";
import { Overview } from "./overview.js";
import { banner, troubles } from "./troubles.js";

const at = (id) => document.getElementById(id);
let close = () => {};
let heard = ""; // when the newest picture of this view came

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
  heard = "";
  const ears = {
    told(picture) {
      heard = new Date().toLocaleTimeString("en-GB");
      found(picture.status);
      view.show(picture);
    },
    lost,
    refused(error) {
      document.removeEventListener("visibilitychange", attend);
      refused(error, view);
    },
  };
  let stop = () => {};
  // A stream holds one of the few connections that a browser has to one address: without those of pages that nobody
  // looks at, some are left for the buttons. The first picture of a new stream brings whatever was missed.
  function attend() {
    stop();
    stop = document.hidden ? () => {} : follow(`api/stream${model ? `?model=${encodeURIComponent(model)}` : ""}`, ears);
    if (document.hidden) connection("waiting", "resting");
  }
  attend();
  document.addEventListener("visibilitychange", attend);
  close = () => {
    stop();
    document.removeEventListener("visibilitychange", attend);
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
  fill(at("troubles"), troubles(status), (found) => found.map(banner));
}

/** Nothing was heard, or the control plane `answered` that it has no picture now. */
function lost(reason, answered) {
  const seen = heard ? ` What you see is how things stood at ${heard}.` : "";
  connection("lost", answered ? "no picture" : "connection lost");
  at("lost").hidden = false;
  at("lost").textContent = answered
    ? `The control plane has no picture to show: ${reason}.${seen} Asking again.`
    : `Connection lost: ${reason}.${seen} Trying again; traffic is served all the same.`;
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
