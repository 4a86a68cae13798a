// What is asked before something changes; each gives whether it was done, when the dialog is closed.

import { el } from "./dom.js";
import { situation, wish } from "./words.js";

const WORD = "forget";

/** Let the user write a rule anew; `save` gets what changed. */
export function editRule(card, save) {
  const global = card.scope.kind === "global";
  const when = el("input", { type: "text", id: "edit-when", value: card.condition, maxlength: 4000 });
  const what = el("textarea", { id: "edit-what", required: true, maxlength: 4000, value: card.action });
  const answer = () => {
    const changed = {};
    if (!global && when.value.trim() !== card.condition) changed.condition = when.value.trim();
    if (what.value.trim() !== card.action) changed.action = what.value.trim();
    return Object.keys(changed).length ? changed : null;
  };
  return asked("Change this note", answer, save, button("Save", "primary"), [
    !global && el("div", { class: "field" },
      el("label", { for: "edit-when" }, "When"), when,
      el("p", { class: "hint" }, "The situation it is for, such as “writing mails to customers”.")),
    el("div", { class: "field" }, el("label", { for: "edit-what" }, "What your assistant should do"), what),
    card.evidence.length > 0 && el("p", { class: "hint" }, "Your own words stay with it as they were."),
  ]);
}

/** Ask before one rule goes. */
export function confirmForget(card, forget) {
  return asked("Forget this?", () => true, forget, button("Forget it", "danger"), [
    el("p", { class: "user-text" }, el("strong", {}, `${situation(card)}: `), wish(card)),
    el("p", {}, "The note, your words behind it and its history are removed. This cannot be undone; if you say it again, it is learned again."),
  ]);
}

/** Ask before everything goes; the user has to type a word. */
export function forgetEverything(count, forget) {
  const typed = el("input", { type: "text", id: "typed", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const go = button("Forget everything", "danger", { disabled: true });
  const right = () => typed.value.trim().toLowerCase() === WORD;
  typed.addEventListener("input", () => (go.disabled = !right()));
  return asked("Forget everything?", right, forget, go, [
    el("p", {}, count === 1 ? "The one note" : `All ${count} notes`, ", your words behind them and everything learned from how you used them are removed. This cannot be undone."),
    el("p", {}, "Your conversations themselves are kept by your app, not here. Your assistant goes on learning from new ones."),
    el("div", { class: "field" }, el("label", { for: "typed" }, `To go on, type the word ${WORD}`), typed),
  ]);
}

/**
 * Ask; `work` is done with the answer when the user agrees, and what the server refuses is said in the
 * dialog, so that nothing typed is lost. Once it is begun, nothing calls it back. Gives whether it was
 * done; throws where the link has ended or is another one now, as the dialog is closed then.
 */
function asked(title, answer, work, go, body) {
  const no = el("button", { class: "button", type: "button" }, "Keep it as it is");
  const mistake = el("p", { class: "mistake", role: "alert" });
  const buttons = el("div", { class: "buttons" }, go, no);
  const form = el("form", { method: "dialog" }, el("h2", { id: "dialog-title" }, title), body, mistake, buttons);
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
  let working = false;
  const works = (now) => {
    working = go.disabled = no.disabled = now;
  };
  no.addEventListener("click", () => dialog.close());
  dialog.addEventListener("cancel", (event) => working && event.preventDefault());
  document.body.append(dialog);
  return new Promise((resolve, reject) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault(); // the policy of the page lets no form be sent
      if (working) return;
      const given = answer();
      if (!given) return dialog.close();
      works(true);
      try {
        await work(given);
        dialog.close();
        resolve(true);
      } catch (problem) {
        if (problem.status === 401 || problem.name === "AbortError") dialog.close();
        if (!dialog.open) reject(problem);
        mistake.textContent = problem.message;
      }
      works(false);
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!working) resolve(false); // else closed by force, as by Escape twice: the work tells
    });
    dialog.showModal();
  });
}

const button = (name, kind, props = {}) => el("button", { class: `button ${kind}`, ...props }, name);
