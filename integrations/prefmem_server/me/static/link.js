// The token of the link: out of the address at once, into this tab's storage where there is one.

import { call } from "./api.js";

const PLACE = "prefmem.link";
let held = null; // a frame may be denied storage; then a reload needs a new link

/** Take the token out of the address (#link=…), or find the one that this tab has. */
export function takeLink() {
  const given = new URLSearchParams(location.hash.slice(1)).get("link");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (given !== null) sessionStorage.setItem(PLACE, given);
    held = given ?? sessionStorage.getItem(PLACE);
  } catch {
    held = given ?? held;
  }
  return held !== null;
}

/** Forget the token: it opens nothing any more. */
export function dropLink() {
  held = null;
  try {
    sessionStorage.removeItem(PLACE);
  } catch {
    // nothing was kept
  }
}

/** Ask for the user of the link: `ask("cards", { query: … })`, as `call`; an AbortError where it is another link by then. */
export async function ask(path, given = {}) {
  const token = held;
  const asked = call(path ? `v1/me/${path}` : "v1/me", { ...given, about: null, token });
  await asked.catch(() => null);
  if (token !== held) throw new DOMException("There is another link now.", "AbortError");
  return asked;
}
