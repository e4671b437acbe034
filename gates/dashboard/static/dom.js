// Elements, and places that are filled anew only when what they show has changed.

/** An element: h("p", { class: "note" }, "text", child). A text is always text, and never markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "style") Object.entries(value).forEach(([key, text]) => element.style.setProperty(key, text));
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const FOCUSABLE = "a, button, input, select, summary, [tabindex]";
const shown = new WeakMap();

/** Draw into `place` if `state` is not what it shows already, so that nothing flickers; what had the focus keeps it. */
export function fill(place, state, draw) {
  const key = JSON.stringify(state);
  if (shown.get(place) === key) return;
  shown.set(place, key);
  const held = [...place.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  place.replaceChildren(...[draw(state)].flat(Infinity).filter(Boolean));
  if (held >= 0) place.querySelectorAll(FOCUSABLE)[held]?.focus({ preventScroll: true });
}

/** A text for those who listen to the page, and no picture for those who look at it. */
export const unseen = (text) => h("span", { class: "unseen" }, text);

/** A section with a heading, and the place below it. */
export function section(title, kind = "") {
  const id = `at-${title.toLowerCase().replaceAll(/\W+/g, "-")}`;
  const place = h("div");
  return { place, element: h("section", { class: `card ${kind}`, "aria-labelledby": id }, h("h2", { id }, title), place) };
}
