// What the memory's own words mean to a person.

export const STATUSES = ["active", "quarantined", "candidate", "superseded", "expired"];

export const STATUS = {
  active: "active",
  quarantined: "to confirm",
  candidate: "not sure yet",
  superseded: "replaced",
  expired: "over",
};

export const STATUS_MEANS = {
  active: "Given to the agent where it applies.",
  quarantined: "Kept from the agent until it is confirmed: it may be somebody else’s wish, or be about more than how an answer is given.",
  candidate: "Heard once and not surely meant; it becomes active when it is said again, or confirmed.",
  superseded: "A newer rule took its place, or it was taken back.",
  expired: "Its time is over.",
};

export const SOURCE = {
  said: "said in a chat",
  edited: "edited by hand",
  inferred: "read off corrected drafts",
  distilled: "read off the user’s texts by a model",
  imported: "imported",
  added: "added by hand",
};

const REASON = {
  global: "holds for every answer",
  relevant: "applies",
  irrelevant: "does not apply: below the floor",
  doubted: "what came back speaks against it",
  paused: "the user wants this conversation without it",
  "other audience": "is for somebody else, or another language",
  overruled: "another rule is an exception to it",
  duplicate: "says the same as another one",
  contradicted: "is against what the user said",
  refused: "is no rule about answers",
  "over limit": "better ones took the places",
  "over global limit": "too many rules that hold always",
  "over budget": "no room left in the block",
  candidate: "is not sure yet",
  quarantined: "waits to be confirmed",
  superseded: "was replaced",
  expired: "is over",
};

const DONE = {
  add: "added",
  merge: "said again",
  edit: "changed",
  supersede: "closed",
  restore: "brought back",
  remove: "taken out",
};

const EVENT = {
  learn: "learned from a chat",
  add: "added by hand",
  edit: "edited",
  load: "imported",
  undo: "undone",
  sweep: "ended, as nobody confirmed it",
};

export const reason = (name) => REASON[name] ?? name;

/** Say what an event did to the card of a change: "said again (learned from a chat)". */
export function happened(event, change) {
  if (event.undoes) return change.op === "remove" ? "taken out again: undone" : "undone: as it was before";
  const why = EVENT[event.kind] ?? event.kind;
  const what = DONE[change.op] ?? change.op;
  return change.op === "edit" || why.startsWith(what) ? why : `${what} (${why})`;
}

/** Say what a rule is to another one. */
export const relation = (name) =>
  ({
    exception: "is an exception to",
    supersede: "would take the place of",
    widen: "would take in",
    same: "says the same as",
  })[name] ?? name;

export const counted = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;
