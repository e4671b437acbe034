// The dialogs: for a reason, for a new rollout, for a token. What the control plane refuses is told in the dialog itself.

import { h } from "./dom.js";

const NAME = "penstock-name";
const dialog = () => document.getElementById("dialog");

/** Ask why, and who asks unless that is `known`; `send` gets { by, reason } and may throw what the dialog shows. */
export function askForReason({ title, does, label, kind, known, override }, send) {
  open({ title, does, label, kind }, [reasonField(), !known && nameField(), override && check("override", override)], send);
}

/** Ask for a candidate, and why it is tried. */
export function askForStart({ model, known }, send) {
  const hint = "A version that the configuration serves, or an alias such as @challenger.";
  const candidate = field("candidate", "Candidate", hint, h("input", { required: true }));
  const does = "Copies of the traffic come first: its answers are compared, and reach nobody.";
  const against = "Whatever the cool-down and the offline and staging gates say, and though the registry may not answer";
  const fields = [candidate, reasonField(), !known && nameField(), check("override", against)];
  open({ title: `Start a rollout of ${model}`, does, label: "Start", kind: "first" }, fields, send);
}

/** Ask for a token; `send` gets { token }. */
export function askForToken(send) {
  const hint = "It is shown once; a cookie, which no script can read, stands for it until you log out.";
  const input = h("input", { type: "password", required: true, autocomplete: "current-password" });
  const token = field("token", "Token", hint, input);
  open({ title: "Log in", does: "This control plane asks who you are.", label: "Log in", kind: "first" }, [token], send);
}

function reasonField() {
  const input = h("textarea", { rows: 3, required: true, maxlength: 2000 });
  return field("reason", "Reason", "It stands in the record, for whoever reads it later.", input);
}

function nameField() {
  const input = h("input", { value: localStorage.getItem(NAME) ?? "", maxlength: 200, autocomplete: "name" });
  input.addEventListener("change", () => localStorage.setItem(NAME, input.value));
  return field("by", "Your name", "For the record.", input);
}

const check = (name, label) => h("label", { class: "check" }, h("input", { type: "checkbox", name }), label);

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
    h("h2", { id: "dialog-title" }, title), h("p", { class: "note" }, does), fields.filter(Boolean), wrong,
    h("p", { class: "row end" }, h("button", { type: "button", onclick: () => dialog().close() }, "Cancel"), submit));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      const said = [...form.elements].filter((input) => input.name);
      await send(Object.fromEntries(said.map(({ name, type, value, checked }) => [name, type === "checkbox" ? checked : value.trim()])));
      if (form.isConnected) dialog().close(); // and not one that was opened since
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
