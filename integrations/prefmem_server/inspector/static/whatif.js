// What would be given: as things are, and after a change that is not made.

import { call, user } from "./api.js";
import { announce, el, fill } from "./dom.js";
import { editor } from "./editor.js";
import { button, choice, field, terms } from "./parts.js";
import { counted } from "./words.js";

const CHANGES = [
  ["", "as things are"],
  ["edit", "if this rule said something else"],
  ["confirm", "if this rule were confirmed"],
  ["forget", "if this rule were forgotten"],
  ["add", "if there were another rule"],
];
const ABOUT = ["edit", "confirm", "forget"];
let whose = null;

/** Show the box; `id` is the rule that a change would be about. */
export async function showWhatIf(section, page, id) {
  if (whose !== user.get() || !section.hasChildNodes()) {
    whose = user.get();
    frame(section, page);
  }
  await section.about(id);
}

function frame(section, page) {
  const query = el("textarea", { id: "query", rows: 2, required: true, data: { testid: "query" } });
  const context = el("input", { id: "context", type: "text", autocomplete: "off", data: { testid: "context" } });
  const result = el("div", { class: "result", data: { testid: "result" } });
  const about = el("div", { class: "about" });
  let card = null; // the rule that a change is about
  let asking = null; // the call under way
  let patch = null; // what it would say, or the rule that would be there

  const kind = choice("change", CHANGES, "", () => shown());
  const run = async () => {
    if (!query.value.trim()) return query.focus();
    const change = asked();
    if (change === undefined) return about.querySelector("textarea")?.focus();
    asking?.abort();
    const mine = (asking = new AbortController());
    const signal = AbortSignal.any([mine.signal, page.signal]);
    section.setAttribute("aria-busy", "true");
    try {
      const body = { query: query.value.trim(), context: context.value.trim(), change };
      const found = await call("inspect/api/whatif", { method: "POST", body, signal });
      compare(result, page, found, card);
      const [before, after] = [found.before, found.after ?? found.before].map(given);
      announce(found.after ? `${before} before, ${after} after the change.` : `${counted(before, "rule")} would be given.`);
    } catch (problem) {
      page.failed(result, problem);
    }
    if (asking === mine) section.removeAttribute("aria-busy");
  };
  const asked = () => {
    const about = card?.id;
    if (kind.value === "forget") return { kind: "forget", card_id: about };
    if (kind.value === "confirm") return { kind: "edit", card_id: about, patch: { status: "active" } };
    if (!kind.value) return null;
    if (!patch) return undefined;
    return kind.value === "edit" ? { kind: "edit", card_id: about, patch } : { kind: "add", card: patch };
  };
  const shown = () => {
    patch = null;
    const form = (title, of) =>
      editor({ title, card: of, page, action: "Compare", save: async (news) => { patch = news; await run(); } });
    fill(about,
      card && ABOUT.includes(kind.value) && el("p", { class: "user-text" }, el("span", { class: "soft" }, "The rule: "), card.text),
      kind.value === "edit" && form("It would say", card),
      kind.value === "add" && form("The other rule", null));
  };
  section.about = async (id) => {
    const { signal } = page;
    try {
      card = id ? (await call(`inspect/api/rules/${encodeURIComponent(id)}`, { signal })).card : null;
    } catch (problem) {
      return page.failed(result, problem);
    }
    for (const option of kind.options) option.disabled = ABOUT.includes(option.value) && !card;
    kind.value = !card ? "" : card.status === "active" ? "edit" : "confirm";
    shown();
    query.focus();
  };
  const submit = (event) => {
    event.preventDefault();
    run();
  };
  fill(section,
    el("div", { class: "tools" }, el("h1", {}, "What if")),
    el("p", { class: "soft lead" }, "Ask as the user would. Nothing here is logged, learned from or saved."),
    el("form", { class: "fields asking", on: { submit } },
      field("The user asks", query),
      el("div", { class: "pair" },
        field("After asking for (optional)", context, "Only for a follow-up such as “shorter, please”."),
        field("Show", kind, "Open a rule and choose “What if …” to change that rule.")),
      el("div", { class: "buttons" }, el("button", { class: "button primary", data: { testid: "run" } }, "Show what would be given"))),
    about,
    result);
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  });
}

const given = (side) => side.candidates.filter((row) => row.injected).length + side.written.filter((row) => row.injected).length;

function compare(place, page, found, card) {
  const inside = (side) => new Set(side.candidates.filter((row) => row.injected).map((row) => row.card_id));
  const open = (id) => page.go("rules", id);
  if (!found.after) return fill(place, side(found.before, "As things are", "before", open));
  const [was, is] = [inside(found.before), inside(found.after)];
  const marked = new Map();
  for (const id of is) if (!was.has(id)) marked.set(id, "comes in");
  const leaving = new Map([...was].filter((id) => !is.has(id)).map((id) => [id, "goes out"]));
  if (card && is.has(card.id) && was.has(card.id)) marked.set(card.id, "changed");
  fill(place,
    el("p", { class: "outcome", data: { testid: "outcome" } }, outcome(found, marked, leaving)),
    el("div", { class: "sides" },
      side(found.before, "As things are", "before", open, leaving),
      side(found.after, "After the change", "after", open, marked)));
}

function outcome(found, marked, leaving) {
  if (found.before.block === found.after.block) return "The block for this question would stay the same.";
  const coming = [...marked.values()].filter((word) => word === "comes in").length;
  const parts = [coming && `${counted(coming, "rule")} would come in`, leaving.size && `${counted(leaving.size, "rule")} would go out`].filter(Boolean);
  return parts.length ? `${parts.join(", ")}.` : "The same rules would be given, in other words or another order.";
}

function side(found, title, name, open, marked = new Map()) {
  const written = found.written.map((one) =>
    el("li", { class: "user-text" }, el("span", { class: `chip ${one.injected ? "injected" : "withheld"}` }, one.injected ? "injected" : "withheld"), " ", one.text));
  const copy = async () => {
    await navigator.clipboard.writeText(found.block);
    announce("Copied.");
  };
  return el("section", { class: "side", "aria-label": title, data: { testid: name } },
    el("h2", {}, title),
    el("h3", {}, "The block for the system prompt"),
    found.block
      ? el("pre", { class: "block", tabindex: "0", data: { testid: "block" } }, found.block)
      : el("p", { class: "notice", data: { testid: "block" } }, "Nothing: no rule applies."),
    found.block && navigator.clipboard && button("Copy", copy, { kind: "quiet" }),
    el("h3", {}, "Candidates"),
    terms(found.candidates, { caption: `${title}: every candidate`, open, marked }),
    written.length > 0 && [el("h3", {}, "Written by the preference agent"), el("ul", { class: "plain" }, written)]);
}
