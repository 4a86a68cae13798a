// One rule: what it says, where it comes from, what happened to it, and what can be done with it.

import { call, user } from "./api.js";
import { el, fill, when } from "./dom.js";
import { editor } from "./editor.js";
import { ask, button, chip, told } from "./parts.js";
import { SOURCE, STATUS_MEANS, counted, happened, relation } from "./words.js";

/** Show a rule in a place; `changed` is called after it changed, `close` leaves it. */
export async function showRule(place, page, id, { changed, close }) {
  const { signal } = page;
  const about = user.get(); // also where another user is shown by the time that something is done
  const work = (path, options) => call(`inspect/api/${path}`, { about, ...options });
  const read = (options) => work(`rules/${encodeURIComponent(id)}`, options);
  const anew = () => Promise.all([changed(), !signal.aborted && showRule(place, page, id, { changed, close })]);
  let found;
  try {
    found = await read({ signal });
  } catch (problem) {
    if (problem.status === 404) return gone(place, close);
    return page.failed(place, problem);
  }
  const { card } = found;
  const problem = el("div", {});
  const act = async (doing, text) => {
    try {
      await doing();
      await anew();
      const newest = (await read()).history.at(-1);
      told(text, newest && (() => undo(newest)));
    } catch (error) {
      page.failed(problem, error);
    }
  };
  const patch = (body) => work(`cards/${encodeURIComponent(id)}`, { method: "PATCH", body });
  const undo = async (event) => {
    try {
      await work(`events/${event.id}/undo`, { method: "POST" });
      await anew();
      told("Undone.");
    } catch (error) {
      page.failed(problem, error);
    }
  };
  const edit = () => {
    const save = async (body) => {
      await patch(body);
      await act(() => null, "Saved.");
    };
    fill(form, editor({ title: "Change the rule", card, save, cancel: () => fill(form), page }));
    form.querySelector("textarea").focus();
  };
  const forget = async () => {
    const live = card.status === "active" || card.status === "candidate";
    const answer = await ask("Forget this rule for good?", [
      el("p", { class: "user-text" }, card.text),
      el("p", {}, `It is erased with ${quotes(card)}, its history and what was learned about it. That cannot be undone.`,
        live ? " To take it out of use and keep the way back, set it aside." : ""),
    ], { yes: "Forget it", also: live ? "Set it aside" : null });
    if (answer === "also") return act(() => patch({ status: "quarantined" }), "Set aside: it waits to be confirmed.");
    if (answer !== "yes") return;
    try {
      await work(`cards/${encodeURIComponent(id)}`, { method: "DELETE" });
      if (signal.aborted) await changed();
      else close();
      told("Forgotten.");
    } catch (error) {
      page.failed(problem, error);
    }
  };
  const form = el("div", {});
  const waits = card.status !== "active";
  fill(place,
    el("article", { class: "rule card", data: { testid: "rule-detail", card: card.id, status: card.status } },
      el("div", { class: "top" },
        chip(card.status),
        el("span", { class: "soft small" }, STATUS_MEANS[card.status]),
        button("Close", close, { kind: "quiet closing", "aria-label": "Close the rule" })),
      el("h2", { class: "user-text" }, card.text),
      page.may("write") && el("div", { class: "buttons" },
        waits && button(card.status === "superseded" || card.status === "expired" ? "Bring back" : "Confirm",
          () => act(() => patch({ status: "active" }), "Confirmed."), { kind: "primary", id: "confirm" }),
        button("Edit", edit, { id: "edit" }),
        button("What if …", () => page.go("whatif", id), { id: "try" }),
        button("Forget", forget, { kind: "danger", id: "forget" })),
      problem,
      form,
      facts(card, found),
      evidence(found),
      links(found, page),
      history(found, page, undo)));
  if (document.activeElement === document.body) place.focus({ preventScroll: true }); // what had it is gone
}

const quotes = (card) => (card.evidence.length ? counted(card.evidence.length, "quote") : "everything known of it");

function gone(place, close) {
  fill(place, el("div", { class: "card" },
    el("p", {}, "This rule is not there any more."),
    button("Back to the rules", close)));
}

function facts(card, found) {
  const scope = card.scope;
  const narrower = [
    scope.audience && `for ${scope.audience}`,
    scope.task && `in ${scope.task}`,
    scope.language && `in the language ${scope.language}`,
  ].filter(Boolean);
  const lines = [
    ["When", card.condition || el("span", { class: "soft" }, "always")],
    ["Do", [card.action, card.polarity === "avoid" && el("span", { class: "soft" }, " (something to keep away from)")]],
    ["Holds", [scope.kind === "global" ? "for every answer" : "where its situation or topic comes up", narrower.length > 0 && `, ${narrower.join(", ")}`]],
    ["Confidence", `${Math.round(card.confidence * 100)} %`],
    ["Source", SOURCE[card.source] ?? card.source],
    ["Since", when(card.valid_from)],
    card.valid_to && ["Until", when(card.valid_to)],
    found.replaced_by && ["Replaced by", found.replaced_by],
    ["Id", el("span", { class: "mono" }, card.id)],
  ];
  return el("dl", { class: "facts-list" }, lines.filter(Boolean).map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", { class: "user-text" }, value))));
}

function evidence(found) {
  return el("section", { "aria-label": "Evidence" },
    el("h3", {}, "What the user said"),
    found.quotes.length
      ? el("ol", { class: "plain quotes" }, found.quotes.map(quoted))
      : el("p", { class: "soft" }, "No words of the user stand behind it."));
}

function quoted(quote) {
  const place = [
    quote.at && when(quote.at),
    quote.session_id && el("span", {}, "conversation ", el("span", { class: "mono" }, quote.session_id)),
    el("span", {}, "turn ", el("span", { class: "mono" }, quote.turn_id)),
  ].filter(Boolean);
  return el("li", { data: { testid: "quote" } },
    el("blockquote", { class: "quote" }, quote.quote),
    el("p", { class: "small soft user-text" }, place.flatMap((part, n) => (n ? [" · ", part] : [part]))),
    quote.beside.length > 0 && el("div", { class: "beside small" },
      el("p", { class: "soft" }, "In the same turn:"),
      el("ul", { class: "plain" }, quote.beside.map((other) =>
        el("li", {}, el("span", { class: "quote" }, other.quote), " ",
          el("a", { href: `#rules/${encodeURIComponent(other.card_id)}` }, other.text))))));
}

function links(found) {
  if (!found.links.length) return null;
  return el("section", { "aria-label": "Other rules" },
    el("h3", {}, "Beside other rules"),
    el("ul", { class: "plain" }, found.links.map((link) =>
      el("li", {}, `It ${relation(link.relation)} `,
        link.text ? el("a", { href: `#rules/${encodeURIComponent(link.card_id)}` }, link.text) : "a rule that is gone",
        el("span", { class: "soft" }, ` (${link.probability.toFixed(2)})`)))));
}

function history(found, page, undo) {
  const id = found.card.id;
  const last = found.history.at(-1);
  const steps = found.history.toReversed().map((event) => {
    const change = event.changes.find((one) => one.card.id === id) ?? event.changes[0];
    return el("li", { data: { testid: "event", event: event.id } },
      el("div", { class: "step" },
        el("p", {}, happened(event, change), change.because && el("span", { class: "soft" }, ` · ${change.because}`)),
        el("p", { class: "small soft" }, when(event.at))),
      el("p", { class: "user-text small" }, change.card.text, " ", chip(change.card.status)),
      page.may("write") && event === last && button("Undo this", () => undo(event), { kind: "quiet", id: "undo" }));
  });
  return el("section", { "aria-label": "History" },
    el("h3", {}, "History"),
    el("ol", { class: "plain history" }, steps));
}
