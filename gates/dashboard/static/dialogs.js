// The dialogs: for a reason, for a new rollout, for a token. What the control plane refuses is told in the dialog itself.

import { h } from "./dom.js";

const NAME = "penstock-name";
const dialog = () => document.getElementById("dialog");

/** Ask why, and who asks; `send` gets { by, reason } and may throw what the dialog shows. */
export function askForReason({ title, does, label, kind }, send) {
  open({ title, does, label, kind }, [reasonField(), nameField()], send);
}

/** Ask for a candidate, and why it is tried. */
export function askForStart(model, send) {
  const candidate = field("candidate", "Candidate", "A version that the configuration serves, or an alias such as @challenger.", h("input", { required: true }));
  const does = "Copies of the traffic come first: its answers are compared, and reach nobody.";
  const override = h("label", { class: "check" }, h("input", { type: "checkbox", name: "override" }), "Whatever the cool-down after a rollback");
  open({ title: `Start a rollout of ${model}`, does, label: "Start", kind: "first" }, [candidate, reasonField(), nameField(), override], (body) =>
    send({ ...body, override: Boolean(body.override) }));
}

/** Ask for a token until one is given. */
export function askForToken(why) {
  const token = field("token", "Token", "It stays in this tab, and is gone with it.", h("input", { type: "password", required: true, autocomplete: "off" }));
  return new Promise((resolve) => open({ title: "This control plane asks who you are", does: why, label: "Go on", kind: "first" }, [token], (body) => resolve(body.token)));
}

const reasonField = () =>
  field("reason", "Reason", "It stands in the record, for whoever reads it later.", h("textarea", { rows: 3, required: true, maxlength: 2000 }));

function nameField() {
  const input = h("input", { value: localStorage.getItem(NAME) ?? "", maxlength: 200, autocomplete: "name" });
  input.addEventListener("change", () => localStorage.setItem(NAME, input.value));
  return field("by", "Your name", "For the record.", input);
}

function field(name, label, hint, input) {
  input.setAttribute("name", name);
  input.setAttribute("id", `field-${name}`);
  input.setAttribute("aria-describedby", `hint-${name}`);
  return h("p", { class: "field" }, h("label", { for: `field-${name}` }, label), input, h("small", { id: `hint-${name}`, class: "note" }, hint));
}

function open({ title, does, label, kind }, fields, send) {
  const wrong = h("p", { class: "banner bad", role: "alert", hidden: true });
  const submit = h("button", { class: kind }, label);
  const form = h("form", { method: "dialog" },
    h("h2", { id: "dialog-title" }, title), h("p", { class: "note" }, does), fields, wrong,
    h("p", { class: "row end" }, h("button", { type: "button", onclick: () => dialog().close() }, "Cancel"), submit));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      await send(Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()])));
      dialog().close();
    } catch (error) {
      wrong.hidden = false;
      wrong.textContent = error.message;
    } finally {
      submit.disabled = false;
    }
  });
  dialog().replaceChildren(form);
  dialog().showModal();
}
