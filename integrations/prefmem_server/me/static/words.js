// Plain words for what the server calls by short names.

const KINDS = {
  learn: "Learned from what you said",
  add: "Written down for you",
  edit: "Changed",
  load: "Taken over from an export",
  undo: "Undone",
  sweep: "Ended, as it was not confirmed in time",
};

/** Say what an event did, in a word or two. */
export function happened(event) {
  const change = event.changes[0];
  if (event.kind === "learn" && change.op === "merge") return "Heard again";
  return KINDS[event.kind] ?? "Changed";
}

/** Name the situation that a rule is for. */
export function situation(card) {
  if (card.scope.kind === "global" || !card.condition) return "In every answer";
  const said = card.condition.trim();
  return /^(when|if|for|in|on|at|while|before|after|during|with|unless)\b/i.test(said)
    ? said[0].toUpperCase() + said.slice(1)
    : `When ${said}`;
}

/** Say what the assistant does, as a sentence. */
export function wish(card) {
  const said = card.action.trim();
  return `${said.slice(0, 1).toUpperCase()}${said.slice(1).replace(/\.+$/, "")}.`;
}

/** Say where a rule without quotes comes from. */
export function origin(card) {
  return (
    {
      added: "Written down directly, not read from a conversation.",
      inferred: "Concluded from how you change drafts.",
      distilled: "Concluded from texts of yours; it ends if you do not confirm it.",
      imported: "Taken over from an export.",
    }[card.source] ?? "No words of yours are kept with it."
  );
}
