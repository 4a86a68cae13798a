// The list of rules, and beside it the one that is looked at.

import { call, user } from "./api.js";
import { announce, el, fill, when } from "./dom.js";
import { editor } from "./editor.js";
import { button, chip, choice, pager, told } from "./parts.js";
import { showRule } from "./rule.js";
import { STATUS, STATUSES, counted } from "./words.js";

const MOST = 50;
const PAUSE = 200; // milliseconds after the last key
const ORDERS = [
  ["newest", "newest first"],
  ["oldest", "oldest first"],
  ["surest", "surest first"],
  ["doubtful", "least sure first"],
];
const asked = { status: "", words: "", order: "newest", skip: 0 };
let whose = null;
let under = null; // the call under way
let last = ""; // the rule that was looked at

/** Show the rules, and one of them. */
export async function showRules(section, page, id) {
  const { signal } = page;
  if (whose !== user.get() || !section.hasChildNodes()) {
    whose = user.get();
    Object.assign(asked, { status: "", words: "", order: "newest", skip: 0 });
    frame(section, page);
  }
  section.classList.toggle("detailed", Boolean(id));
  await list(section, page, id);
  if (signal.aborted) return;
  const detail = section.querySelector(".detail");
  if (id) await showRule(detail, page, id, { changed: () => list(section, page, opened()), close: () => page.go("rules") });
  else fill(detail, el("p", { class: "empty" }, "Choose a rule to see where it comes from."));
  if (signal.aborted) return;
  if (document.activeElement === document.body) {
    const place = id ? detail : section.querySelector(`[data-card="${CSS.escape(last)}"] a`);
    place?.focus({ preventScroll: Boolean(id) });
  }
  last = id;
}

function frame(section, page) {
  let waiting;
  const words = el("input", {
    id: "words", type: "search", placeholder: "Words in rules or quotes", autocomplete: "off", data: { testid: "words" },
    on: {
      input: () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => again({ words: words.value.trim() }), PAUSE);
      },
    },
  });
  const again = (change) => {
    Object.assign(asked, { skip: 0 }, change);
    list(section, page, opened());
  };
  const order = choice("order", ORDERS, asked.order, (event) => again({ order: event.target.value }));
  const add = el("div", { class: "adding", hidden: true });
  fill(section,
    el("div", { class: "tools" },
      el("h1", {}, "Rules"),
      el("div", { class: "grow" }, el("label", { for: "words", class: "unseen" }, "Search rules"), words),
      el("div", {}, el("label", { for: "order", class: "unseen" }, "Order"), order),
      page.may("write") && button("Add a rule", () => adding(add, section, page), { id: "add" })),
    add,
    el("div", { class: "filters", role: "group", "aria-label": "Status" }),
    el("div", { class: "split" },
      el("div", { class: "list" }),
      el("div", { class: "detail", tabindex: "-1" })));
  section.again = again;
}

function adding(place, section, page) {
  place.hidden = false;
  const close = () => {
    place.hidden = true;
    section.querySelector("[data-testid=add]")?.focus();
  };
  const save = async (card) => {
    const { signal } = page;
    const added = await call("inspect/api/cards", { method: "POST", body: card });
    close();
    if (!signal.aborted) page.go("rules", added.id);
    told("Added.");
  };
  fill(place, editor({ title: "A new rule", save, cancel: close, page }));
  place.querySelector("input, textarea").focus();
}

/** Give the id of the rule that the address names. */
const opened = () => decodeURIComponent(location.hash.split("/")[1] ?? "");

async function list(section, page, id) {
  under?.abort();
  under = new AbortController();
  const place = section.querySelector(".list");
  if (!place) return; // the page is locked
  try {
    const found = await call("inspect/api/rules", { query: { ...asked, most: MOST }, signal: AbortSignal.any([under.signal, page.signal]) });
    filters(section, found);
    const held = place.contains(document.activeElement);
    fill(place,
      found.rules.length
        ? el("ol", { class: "plain rules", data: { testid: "rules" } }, found.rules.map((card) => row(card, id)))
        : el("p", { class: "empty" }, asked.words || asked.status ? "No rule fits." : "Nothing is known of this user."),
      pager({ ...asked, most: MOST, total: found.total, shown: found.rules.length }, (skip) => section.again({ skip })));
    if (held) place.querySelector("[aria-current=true]")?.focus({ preventScroll: true });
    announce(counted(found.total, "rule"));
  } catch (problem) {
    page.failed(place, problem);
  }
}

function filters(section, found) {
  const all = Object.values(found.counts).reduce((sum, n) => sum + n, 0);
  const one = (status, text, n) =>
    el("button", {
      type: "button", class: "filter", "aria-pressed": String(asked.status === status), data: { testid: `filter-${status || "all"}` },
      on: { click: () => section.again({ status }) },
    }, text, " ", el("span", { class: "soft" }, n.toLocaleString()));
  const place = section.querySelector(".filters");
  const held = place.contains(document.activeElement) && document.activeElement.dataset.testid;
  fill(place,
    one("", "all", all),
    STATUSES.filter((s) => found.counts[s] || s === asked.status).map((s) => one(s, STATUS[s], found.counts[s] ?? 0)));
  if (held) place.querySelector(`[data-testid=${held}]`)?.focus();
}

function row(card, id) {
  const quote = card.evidence.at(-1);
  return el("li", { class: "row", data: { testid: "rule", card: card.id, status: card.status } },
    el("a", { href: `#rules/${encodeURIComponent(card.id)}`, "aria-current": card.id === id ? "true" : null },
      el("span", { class: "rule-text user-text" }, card.text),
      quote && el("span", { class: "quote small soft" }, quote.quote)),
    el("div", { class: "facts" },
      chip(card.status),
      el("span", { class: "soft small" }, card.scope.kind === "global" ? "always" : "where it applies"),
      el("span", { class: "soft small", title: "confidence" }, `${Math.round(card.confidence * 100)} %`),
      el("span", { class: "soft small" }, when(card.valid_from, { date: true }))));
}
