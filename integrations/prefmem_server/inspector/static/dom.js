// Elements, built from data as text: there is no way here to turn a string into markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 *
 * `props`: `class`, `data` (an object for data-…), `on` (listeners by event), `value` and `checked` as
 * properties, and everything else as an attribute; true sets it empty, false, null and undefined leave
 * it out. `children`: nodes, texts and numbers, lists of them; null, undefined and false are left out.
 */
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** Make an SVG element; as `el`. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

/** Put other children in the place of a node's own. */
export function fill(node, ...children) {
  node.replaceChildren(...nodes(children));
  return node;
}

/** Say something to those who listen to the page; `assertive` interrupts. */
export function announce(text, { assertive = false } = {}) {
  const region = document.getElementById(assertive ? "alert" : "status");
  if (!region) return;
  region.textContent = "";
  setTimeout(() => {
    region.textContent = text;
  }, 30); // an empty moment, so that the same words are read again
}

/** Write a time for people: "21 Nov 2026, 14:05"; the element holds the exact one. */
export function when(iso, { date = false } = {}) {
  const time = new Date(iso);
  const style = date ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  return el(
    "time",
    { datetime: iso, title: iso },
    new Intl.DateTimeFormat(undefined, style).format(time),
  );
}

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.setAttribute("class", value);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") listen(node, value);
    else if (name === "value" || name === "checked") node[name] = value;
    else if (/^on|^srcdoc$|^style$/i.test(name)) throw new Error(`${name} is not set from data`);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...nodes(children));
  return node;
}

function listen(node, listeners) {
  for (const [event, listener] of Object.entries(listeners)) node.addEventListener(event, listener);
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
