// Recalls of the past, and why each gave what it gave.

import { call, user } from "./api.js";
import { announce, el, fill, when } from "./dom.js";
import { button, pager, terms } from "./parts.js";
import { counted } from "./words.js";

const MOST = 25;
let skip = 0;
let whose = null;

/** Show the newest recalls, or one of them. */
export async function showRecalls(section, page, id) {
  const { signal } = page;
  if (whose !== user.get()) [whose, skip] = [user.get(), 0];
  section.setAttribute("aria-busy", "true");
  try {
    await (id ? one(section, page, id) : list(section, page));
  } catch (problem) {
    page.failed(section, problem);
  }
  if (!signal.aborted) section.removeAttribute("aria-busy");
}

async function list(section, page) {
  const found = await call("inspect/api/recalls", { query: { skip, most: MOST }, signal: page.signal });
  const go = (to) => {
    skip = to;
    page.go("recalls");
  };
  fill(section,
    el("div", { class: "tools" }, el("h1", {}, "Recalls")),
    el("p", { class: "soft lead" }, "What was considered and given, newest first. What was asked is not kept: the log holds figures and the names of rules, no words."),
    found.recalls.length
      ? el("ol", { class: "plain recalls" }, found.recalls.map(line))
      : el("p", { class: "empty" }, "No recall was logged for this user."),
    pager({ skip, most: MOST, shown: found.recalls.length, more: found.more }, go));
  announce(counted(found.recalls.length, "recall"));
}

function line(recall) {
  return el("li", { class: "row", data: { testid: "recall", recall: recall.id } },
    el("a", { href: `#recalls/${encodeURIComponent(recall.id)}` },
      el("span", {}, `${recall.injected} of ${counted(recall.considered, "rule")} given`),
      el("span", { class: "soft small" }, when(recall.at))),
    el("div", { class: "facts" },
      recall.answers.map(answer),
      recall.session_id && el("span", { class: "soft small mono" }, recall.session_id)));
}

const SHOWS = { satisfied: "content", dissatisfied: "complaint", neutral: "neutral" };

const answer = (found) =>
  el("span", { class: `chip ${found.label === "satisfied" ? "active" : found.label === "dissatisfied" ? "quarantined" : ""}`, title: found.heard ? "read off the next turn" : "said by a button or a command" },
    SHOWS[found.label] ?? found.label, found.reward ? ` ${found.reward > 0 ? "+" : ""}${found.reward.toFixed(1)}` : "");

async function one(section, page, id) {
  const found = await call(`inspect/api/recalls/${encodeURIComponent(id)}`, { signal: page.signal });
  const withheld = found.considered - found.injected;
  fill(section,
    el("p", { class: "back" }, el("a", { href: "#recalls" }, "All recalls")),
    el("div", { class: "tools" }, el("h1", { data: { testid: "why" } }, "Why this recall gave what it gave")),
    el("p", { class: "soft lead" }, when(found.at), ` · ${found.injected} given, ${withheld} withheld`,
      found.session_id && [" · conversation ", el("span", { class: "mono" }, found.session_id)], " · user model ", el("span", { class: "mono" }, found.model)),
    found.answers.length > 0 && el("p", {}, "What came back: ", found.answers.map(answer)),
    terms(found.candidates, { caption: "Every candidate of the recall", open: (card) => page.go("rules", card) }),
    el("p", { class: "soft small note" },
      "“Applies” and the decision are as logged; “right” and “total” are worked out again from what had come back by then. "
      + "Rules are shown as they read now; one that was forgotten left the log, too. The question and its cosines are not kept: to see them, ask again."),
    el("div", { class: "buttons" }, button("Ask again in What if", () => page.go("whatif"), { id: "ask-again" })));
  announce(`${found.injected} given, ${withheld} withheld`);
}
