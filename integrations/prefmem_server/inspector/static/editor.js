// The form for a rule: to change one, to add one, or to try what would be.

import { Problem } from "./api.js";
import { el, fill } from "./dom.js";
import { button, choice, field, refused } from "./parts.js";

const POLARITIES = [
  ["do", "do it"],
  ["avoid", "keep away from it"],
];
const SCOPES = [
  ["conditional", "where its situation or topic comes up"],
  ["global", "for every answer"],
];
let made = 0;

/**
 * Make the form. `card`: the rule to change, none for a new one. `save` gets what is new (of a card
 * the fields that changed); what the server refuses is shown in the form.
 */
export function editor({ title, card, save, cancel, page, action = "Save" }) {
  const prefix = `rule-${(made += 1)}`;
  const id = (name) => `${prefix}-${name}`;
  const text = (name, value) => el("textarea", { id: id(name), rows: 2, value: value ?? "", data: { testid: `edit-${name}` } });
  const condition = text("condition", card?.condition);
  const wish = text("action", card?.action);
  const polarity = choice(id("polarity"), POLARITIES, card?.polarity ?? "do");
  const scope = choice(id("scope"), SCOPES, card?.scope.kind ?? "conditional");
  const problem = el("div", { "aria-live": "polite" });
  const given = () => ({ condition: condition.value.trim(), action: wish.value.trim(), polarity: polarity.value, scope: scope.value });
  const was = card && { condition: card.condition, action: card.action, polarity: card.polarity, scope: card.scope.kind };
  const news = () => {
    if (was) return Object.fromEntries(Object.entries(given()).filter(([name, value]) => value !== was[name]));
    const { scope: kind, ...rest } = given(); // without a situation, the memory says where it holds
    return kind === "global" ? { ...rest, scope: kind } : rest;
  };

  const submit = async (event) => {
    event.preventDefault();
    if (!given().action) return refused(problem, new Problem(422, "say what to do: the action is empty"));
    const changes = news();
    if (!Object.keys(changes).length) return cancel?.();
    fill(problem);
    try {
      await save(changes);
    } catch (error) {
      page.failed(problem, error);
    }
  };
  return el("form", { class: "editor card fields", "aria-label": title, on: { submit }, data: { testid: "editor" } },
    el("h3", {}, title),
    field("When …", condition, "The situation; empty for none."),
    field("What to do", wish),
    el("div", { class: "pair" }, field("Kind", polarity), field("Holds", scope)),
    problem,
    el("div", { class: "buttons" },
      el("button", { class: "button primary", data: { testid: "save" } }, action),
      cancel && button("Cancel", cancel, { id: "cancel-edit" })));
}
