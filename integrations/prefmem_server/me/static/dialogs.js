// What is asked before something changes; each gives its answer when the dialog is closed.

import { el } from "./dom.js";
import { situation, wish } from "./words.js";

const WORD = "forget";

/** Let the user write a rule anew; gives what changed, or null. */
export function editRule(card) {
  const global = card.scope.kind === "global";
  const when = el("input", { type: "text", id: "edit-when", value: card.condition, maxlength: 4000 });
  const what = el("textarea", { id: "edit-what", required: true, maxlength: 4000, value: card.action });
  const answer = () => {
    const changed = {};
    if (!global && when.value.trim() !== card.condition) changed.condition = when.value.trim();
    if (what.value.trim() !== card.action) changed.action = what.value.trim();
    return Object.keys(changed).length ? changed : null;
  };
  return asked("Change this note", answer, "Save", "primary", [
    !global && el("div", { class: "field" },
      el("label", { for: "edit-when" }, "When"), when,
      el("p", { class: "hint" }, "The situation it is for, such as “writing mails to customers”.")),
    el("div", { class: "field" }, el("label", { for: "edit-what" }, "What your assistant should do"), what),
    card.evidence.length > 0 && el("p", { class: "hint" }, "Your own words stay with it as they were."),
  ]);
}

/** Ask before one rule goes. */
export function confirmForget(card) {
  return asked("Forget this?", () => true, "Forget it", "danger", [
    el("p", { class: "user-text" }, el("strong", {}, `${situation(card)}: `), wish(card)),
    el("p", {}, "The note, your words behind it and its history are removed. This cannot be undone; if you say it again, it is learned again."),
  ]);
}

/** Ask before everything goes; the user has to type a word. */
export function forgetEverything(count) {
  const typed = el("input", { type: "text", id: "typed", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const go = el("button", { class: "button danger", value: "yes", disabled: true }, "Forget everything");
  typed.addEventListener("input", () => (go.disabled = typed.value.trim().toLowerCase() !== WORD));
  return asked("Forget everything?", () => typed.value.trim().toLowerCase() === WORD, go, "danger", [
    el("p", {}, count === 1 ? "The one note" : `All ${count} notes`, ", your words behind them and everything learned from how you used them are removed. This cannot be undone."),
    el("p", {}, "Your conversations themselves are kept by your app, not here. Your assistant goes on learning from new ones."),
    el("div", { class: "field" }, el("label", { for: "typed" }, `To go on, type the word ${WORD}`), typed),
  ]);
}

function asked(title, answer, yes, kind, body) {
  const go = typeof yes === "string" ? el("button", { class: `button ${kind}`, value: "yes" }, yes) : yes;
  const no = el("button", { class: "button", value: "no", type: "button", formnovalidate: true }, "Keep it as it is");
  const form = el("form", { method: "dialog" }, el("h2", { id: "dialog-title" }, title), body, el("div", { class: "buttons" }, go, no));
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
  no.addEventListener("click", () => dialog.close("no"));
  form.addEventListener("submit", (event) => {
    event.preventDefault(); // the policy of the page lets no form be sent
    dialog.close("yes");
  });
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "yes" ? answer() : null;
      dialog.remove();
      resolve(given);
    });
    dialog.showModal();
  });
}
