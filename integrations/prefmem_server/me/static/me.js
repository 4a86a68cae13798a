// The user's own page: what is kept, why, and how to change it.

import { Problem } from "./api.js";
import { announce, el, fill, when } from "./dom.js";
import { ask, dropLink, takeLink } from "./link.js";
import { confirmForget, editRule, forgetEverything } from "./dialogs.js";
import { happened, origin, situation, wish } from "./words.js";

const content = document.getElementById("content");
const toast = document.getElementById("toast");
let may = false; // change anything
let erases = false; // everything at once

let turn = 0; // of showing; what an earlier one asked for is not shown

start();
addEventListener("hashchange", () => { // a host may put a new link into the frame
  if (new URLSearchParams(location.hash.slice(1)).has("link")) start();
});

async function start() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  toast.hidden = true;
  fill(content); // what is there may be another user's
  content.setAttribute("aria-busy", "true");
  if (!takeLink()) return locked();
  await show();
}

/** Show what there is; gives false where it is shown again meanwhile. */
async function show() {
  const mine = (turn += 1);
  try {
    const [myself, { cards }, { events }] = await Promise.all([ask(""), ask("cards"), ask("events")]);
    if (mine !== turn) return false;
    may = myself.scopes.includes("write");
    erases = myself.erases;
    render(myself, cards, events);
  } catch (problem) {
    if (mine !== turn) return false;
    failed(problem);
  }
  content.removeAttribute("aria-busy");
  return true;
}

/** Do something and say so, unless it gives false; what the server refuses is said instead. */
async function act(work, said, place) {
  try {
    if ((await work()) === false) return;
  } catch (problem) {
    return refused(problem);
  }
  return done(said, place);
}

/** Show what there is after a change, and put the focus where it makes sense. */
async function done(said, { undo = null, focus = "used-title" } = {}) {
  if (!(await show())) return;
  notify(said, undo);
  announce(said);
  (document.getElementById(focus) ?? document.getElementById("main")).focus();
}

function render(myself, cards, events) {
  const is = (...kinds) => cards.filter((card) => kinds.includes(card.status));
  const [held, used, over] = [is("quarantined", "candidate"), is("active"), is("superseded", "expired")];
  fill(
    content,
    el("p", { class: "lead" }, lead(used.length)),
    held.length > 0 && section("waiting", "Waiting for you", waitingNote, held.map(waiting)),
    section("used", "What it goes by", null, used.length ? grouped(used) : nothing()),
    over.length > 0 && el("details", { class: "over", id: "over" },
      el("summary", {}, `No longer used (${over.length})`),
      el("ul", { class: "plain rules" }, over.map(old))),
    events.length > 0 && el("details", { class: "lately", id: "lately" },
      el("summary", {}, "What changed lately"),
      el("ul", { class: "plain" }, events.toReversed().map((event) => change(event, events)))),
    yours(cards.length),
    el("p", { class: "soft small foot" }, "These notes belong to ", el("span", { class: "user-text" }, myself.user_id),
      ". This page can be used until ", when(myself.expires_at), "."),
  );
}

const waitingNote =
  "Your assistant does not use these until you say so: it was not sure, or they ask for more than how to answer.";

function lead(count) {
  const some = count === 1 ? "one thing" : `${count} things`;
  return count
    ? `Your assistant keeps short notes on how you like things done, so that you need not say it again. It goes by ${some}. You can change or remove any of them.`
    : "Your assistant keeps short notes on how you like things done, so that you need not say it again.";
}

function nothing() {
  return el("p", { class: "empty" }, "Nothing yet. When you tell your assistant how you like something, it appears here.");
}

function section(id, title, note, body) {
  return el("section", { "aria-labelledby": `${id}-title` },
    el("h2", { id: `${id}-title`, tabindex: -1 }, title),
    note && el("p", { class: "soft" }, note),
    body.tagName || Array.isArray(body[0]) ? body : el("ul", { class: "plain rules" }, body));
}

function grouped(cards) {
  const groups = new Map();
  for (const card of cards) {
    const name = situation(card);
    groups.set(name, [...(groups.get(name) ?? []), card]);
  }
  const always = (name) => (name === "In every answer" ? 0 : 1);
  const names = [...groups.keys()].sort((a, b) => always(a) - always(b)); // otherwise as said
  return el("div", { class: "groups" }, names.map((name) =>
    el("div", { class: "group" },
      el("h3", { class: "user-text" }, name),
      el("ul", { class: "plain rules" }, groups.get(name).map(rule)))));
}

/** A rule that is in use. */
function rule(card) {
  return item(card, [
    button("Change", card, () => edit(card)),
    button("Forget", card, () => forget(card), "danger"),
  ]);
}

/** One that waits. */
function waiting(card) {
  return item(card, [
    button("Yes, use it", card, () => confirm(card), "primary"),
    button("Change", card, () => edit(card)),
    button("Forget", card, () => forget(card), "danger"),
  ], situation(card));
}

/** One that is over. */
function old(card) {
  const why = card.status === "expired" ? "Ended" : card.superseded_by ? "Replaced by a newer one" : "Taken back";
  return item(card, [
    button("Use it again", card, () => confirm(card)),
    button("Forget", card, () => forget(card), "danger"),
  ], `${situation(card)} · ${why}`);
}

function item(card, buttons, above = null) {
  return el("li", { class: "rule", data: { card: card.id } },
    above && el("p", { class: "soft small user-text" }, above),
    el("p", { class: "wish user-text", id: `rule-${card.id}`, tabindex: -1 }, wish(card)),
    because(card),
    may && el("div", { class: "buttons" }, buttons));
}

function because(card) {
  if (!card.evidence.length) return el("p", { class: "because soft" }, origin(card), " ", when(card.valid_from, { date: true }));
  const [first, ...more] = card.evidence;
  return el("div", { class: "because" },
    el("p", {}, el("span", { class: "soft" }, "Because you said: "), el("q", { class: "quote" }, first.quote)),
    more.length > 0 && el("details", {},
      el("summary", {}, `and ${more.length === 1 ? "once" : `${more.length} times`} more`),
      el("ul", { class: "plain" }, more.map((e) => el("li", {}, el("q", { class: "quote" }, e.quote))))),
    el("p", { class: "soft small" }, "Since ", when(card.valid_from, { date: true })));
}

function button(name, card, work, kind = "") {
  const described = `rule-${card.id}`;
  return el("button", { class: `button ${kind}`, type: "button", "aria-describedby": described, on: { click: work } }, name);
}

function change(event, events) {
  const undone = events.some((other) => other.undoes === event.id);
  return el("li", { class: "event" },
    el("p", {}, `${happened(event)}: `, el("span", { class: "user-text" }, event.changes[0].card.text)),
    el("p", { class: "soft small" }, when(event.at), undone && " · undone since"),
    may && !undone && el("button", {
      class: "button quiet", type: "button", "aria-label": `Undo: ${happened(event)}: ${event.changes[0].card.text}`,
      on: { click: () => undo(event.id) },
    }, "Undo"));
}

function yours(count) {
  return el("section", { class: "yours", "aria-labelledby": "yours-title" },
    el("h2", { id: "yours-title" }, "It is yours"),
    el("p", { class: "soft" }, "Beside these notes your assistant keeps figures of how often each was used and helped, and texts that you corrected; the download has all of it."),
    el("div", { class: "buttons" },
      el("button", { class: "button", type: "button", on: { click: download } }, "Download everything"),
      erases && el("button", { class: "button danger", type: "button", id: "forget-all", on: { click: () => everything(count) } }, "Forget everything")));
}

// What can be done

async function edit(card) {
  const save = (changed) => ask(`cards/${card.id}`, { method: "PATCH", body: changed });
  await act(() => editRule(card, save), "Changed.", { undo: card.id, focus: `rule-${card.id}` });
}

async function confirm(card) {
  const use = () => ask(`cards/${card.id}`, { method: "PATCH", body: { status: "active" } });
  await act(use, "It is used from now on.", { undo: card.id, focus: `rule-${card.id}` });
}

async function forget(card) {
  const work = () => ask(`cards/${card.id}`, { method: "DELETE" });
  await act(() => confirmForget(card, work), "Forgotten for good.");
}

async function everything(count) {
  const work = () => ask("", { method: "DELETE" });
  await act(() => forgetEverything(count, work), "Everything is forgotten.");
}

async function undo(event) {
  await act(() => ask(`events/${event}/undo`, { method: "POST" }), "Undone.");
}

async function download() {
  let data;
  try {
    data = await ask("export");
  } catch (problem) {
    return refused(problem);
  }
  const file = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
  const link = el("a", { href: file, download: "what-my-assistant-knows.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(file), 60_000);
  return notify("The download has begun.");
}

// What is said about it

/** Say what was done; with a card, offer to take its last change back. */
function notify(text, card = null) {
  const back = async () => {
    toast.hidden = true;
    const { events } = await ask(`cards/${card}/history`);
    await undo(events.at(-1).id);
  };
  fill(toast, el("span", {}, text),
    card && el("button", { class: "button", type: "button", on: { click: () => back().catch(refused) } }, "Undo"),
    el("button", { class: "button", type: "button", on: { click: () => (toast.hidden = true) } }, "Close"));
  toast.hidden = false;
}

/** Say what the server refused; where the link has ended, there is nothing more to show. */
function refused(problem) {
  if (!(problem instanceof Problem) || problem.status === 401) return failed(problem);
  announce(problem.message, { assertive: true });
  return notify(problem.message);
}

function locked() {
  content.removeAttribute("aria-busy");
  fill(content, el("p", { class: "notice" }, "This page opens with a link from your app. Go back there and open it again."));
}

function failed(problem) {
  if (problem.name === "AbortError") return; // of a link that is over
  if (!(problem instanceof Problem)) throw problem;
  if (problem.status === 401) {
    dropLink();
    toast.hidden = true;
    return fill(content, el("p", { class: "notice", role: "alert" }, "This link has ended, to keep your notes safe. Go back to your app and open the page again."));
  }
  return fill(content,
    el("div", { class: "notice bad", role: "alert" }, el("p", {}, problem.message)),
    el("p", {}, el("button", { class: "button", type: "button", on: { click: show } }, "Try again")));
}
