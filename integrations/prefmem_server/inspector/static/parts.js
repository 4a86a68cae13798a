// Pieces that several views are made of.

import { announce, el, fill, svg } from "./dom.js";
import { STATUS, STATUS_MEANS, reason } from "./words.js";

const TOAST_SECONDS = 12;

export const chip = (status) =>
  el("span", { class: `chip ${status}`, title: STATUS_MEANS[status], data: { testid: "status" } }, STATUS[status] ?? status);

export const button = (text, on, { kind = "", id, ...props } = {}) =>
  el("button", { type: "button", class: `button ${kind}`, data: id ? { testid: id } : {}, on: { click: on }, ...props }, text);

export const field = (label, control, hint) =>
  el("div", { class: "field" }, el("label", { for: control.id }, label), control, hint && el("p", { class: "hint" }, hint));

export function choice(id, options, value, on) {
  const items = options.map(([key, text]) => el("option", { value: key, selected: key === value }, text));
  return el("select", { id, name: id, ...(on && { on: { change: on } }) }, items);
}

/** A figure in [0, 1] with a bar behind it; the floor as a mark. */
export function share(value, floor = 0) {
  if (value === null || value === undefined) return el("span", { class: "soft", title: "not known" }, "–");
  const bar = svg("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 6 }),
    svg("rect", { class: "value", width: Math.max(0, Math.min(1, value)) * 100, height: 6 }),
    floor > 0 && svg("rect", { class: "floor", x: floor * 100, width: 1.5, height: 6 }));
  return [el("span", { class: "figure" }, value.toFixed(2)), bar];
}

/** Every candidate with its terms, what was decided and why; rows of `marked` ids stand out. */
export function terms(rows, { caption, open, marked = new Map() }) {
  if (!rows.length) return el("p", { class: "empty" }, "No rule came into question.");
  const logged = rows.every((row) => row.dense === null);
  const head = ["Rule", !logged && "Cosine", "Applies", "Right", "Total", "Decision"].filter(Boolean);
  const body = rows.map((row) =>
    el("tr", { class: row.injected ? "in" : "out", data: { card: row.card_id, testid: "candidate" } },
      el("td", { class: "user-text", data: { label: "Rule" } },
        row.text === null ? el("span", { class: "soft" }, "a rule that is gone") : opener(row, open),
        marked.has(row.card_id) && el("span", { class: "chip plain changed" }, marked.get(row.card_id))),
      !logged && cell("Cosine", row.dense === null ? "–" : row.dense.toFixed(2)),
      cell("Applies", share(row.relevance, row.scope === "global" ? 0 : row.floor), before(row)),
      cell("Right", share(row.belief)),
      cell("Total", share(row.worth, row.floor)),
      el("td", { data: { label: "Decision" } }, verdict(row))));
  return [
    el("div", { class: "scroll" },
      el("table", { class: "terms", data: { testid: "candidates" } },
        el("caption", { class: "unseen" }, caption),
        el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col", class: TERM[name] && "number" }, name)))),
        el("tbody", {}, body))),
    el("details", { class: "columns small soft" },
      el("summary", {}, "What the columns mean"),
      el("dl", {}, head.filter((name) => TERM[name]).map((name) => el("div", {}, el("dt", {}, name), el("dd", {}, TERM[name]))))),
  ];
}

const TERM = {
  Cosine: "How alike question and rule are, from -1 to 1, before any ranker reads them.",
  Applies: "Chance that the rule applies to the question, by the calibrated ranker.",
  Right: "Chance that giving it is right where it applies, by what has worked for this user.",
  Total: "Both together. The red mark is the floor that it has to reach; a rule for every answer has none.",
};

const cell = (label, ...content) => el("td", { class: "number", data: { label } }, content);

const opener = (row, open) =>
  open && row.text ? el("button", { type: "button", class: "link", on: { click: () => open(row.card_id) } }, row.text) : row.text;

const before = (row) =>
  row.reranked && el("span", { class: "soft small", title: "By the cosine alone, before the reranker read both" }, `from ${row.dense_relevance.toFixed(2)}`);

function verdict(row) {
  const word = row.injected ? "injected" : "withheld";
  return [
    el("span", { class: `chip ${word}` }, word),
    el("span", { class: "because" }, ` ${reason(row.reason)}`, row.by && `: ${row.by_text ?? row.by}`),
  ];
}

/** Steps through pages; `go` gets how many to skip. */
export function pager({ skip, most, total, shown, more }, go) {
  const last = total === undefined ? more : skip + shown < total;
  if (!skip && !last) return null;
  const place = total === undefined ? `${skip + 1}–${skip + shown}` : `${skip + 1}–${skip + shown} of ${total.toLocaleString()}`;
  return el("nav", { class: "pager", "aria-label": "Pages" },
    button("Previous", () => go(Math.max(0, skip - most)), { id: "previous", disabled: !skip }),
    el("span", { class: "soft" }, place),
    button("Next", () => go(skip + most), { id: "next", disabled: !last }));
}

/** Ask once before something that cannot be taken back; gives whether to do it. */
export function ask(title, body, { yes, also }) {
  return new Promise((resolve) => {
    const close = (answer) => () => {
      dialog.close();
      resolve(answer);
    };
    const dialog = el("dialog", { "aria-labelledby": "ask-title", on: { cancel: () => resolve(null) } },
      el("h2", { id: "ask-title" }, title),
      body,
      el("div", { class: "buttons" },
        button("Cancel", close(null), { id: "cancel", autofocus: true }),
        also && button(also, close("also"), { id: "instead" }),
        button(yes, close("yes"), { kind: "danger", id: "confirm-yes" })));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
}

let ending = 0;

/** Say what was done, with the way back where there is one. */
export function told(text, undo) {
  clearTimeout(ending);
  const place = document.getElementById("toast");
  const end = () => fill(place);
  fill(place, el("div", { class: "toast", data: { testid: "toast" } },
    el("span", {}, text),
    el("span", { class: "buttons" },
      undo && button("Undo", () => { end(); undo(); }, { id: "undo-last" }),
      button("Close", end, { "aria-label": "Close this message" }))));
  if (!undo) ending = setTimeout(end, TOAST_SECONDS * 1000);
  announce(undo ? `${text} Undo is at the end of the page.` : text);
}

/** Show what the server refused, in place. */
export function refused(place, problem) {
  const mistakes = problem.mistakes?.map((one) => el("li", {}, `${one.at}: ${one.detail}`));
  fill(place, el("div", { class: "notice bad", role: "alert", data: { testid: "problem" } },
    el("p", {}, sentence(problem.message)), mistakes?.length ? el("ul", {}, mistakes) : null));
}

export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
