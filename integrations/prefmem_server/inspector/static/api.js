// Calls of the server: the key goes in a header, never in an address or a cookie.

const ROOT = new URL("../../", import.meta.url); // static/ lies two below the server's root
const KEY = "prefmem.key";
const USER = "prefmem.user";

/** What the server refused, or that it did not answer (status 0). */
export class Problem extends Error {
  constructor(status, detail, mistakes = []) {
    super(detail);
    this.status = status;
    this.mistakes = mistakes;
  }
}

/** Move a key from the address (#key=…) to this tab's storage; the address forgets it. */
export function takeKey() {
  const found = new URLSearchParams(location.hash.slice(1)).get("key");
  if (found === null) return;
  sessionStorage.setItem(KEY, found);
  history.replaceState(null, "", location.pathname + location.search);
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  drop: () => sessionStorage.removeItem(KEY),
};

/** The user whom calls are about; a key that belongs to one user needs none. */
export const user = {
  get: () => sessionStorage.getItem(USER),
  set: (value) => sessionStorage.setItem(USER, value),
  drop: () => sessionStorage.removeItem(USER),
};

/**
 * Call the server: `call("v1/cards", { query: { status: "active" } })`.
 *
 * `query`: parameters, null and "" left out. `body`: sent as JSON. `about`: the user; the chosen one
 * unless given, null for none. `token`: the key that opens; the kept one unless given. Gives the answer's JSON, null for none; throws a `Problem`.
 */
export async function call(
  path,
  { method = "GET", query = {}, body, about = user.get(), token = key.get(), signal } = {},
) {
  const address = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") address.searchParams.set(name, value);
  }
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (about) headers["Prefmem-User"] = encodeURIComponent(about);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer. Is it still running?");
  }
  const data = answer.status === 204 ? null : await answer.json().catch(() => null);
  signal?.throwIfAborted(); // an answer that is cut off is none
  if (answer.ok) return data;
  throw new Problem(answer.status, data?.detail ?? `the server answered ${answer.status}`, data?.errors);
}
