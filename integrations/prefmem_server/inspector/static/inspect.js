// The operator's page: who looks, at whom, and which view is shown.

import { Problem, call, key, takeKey, user } from "./api.js";
import { announce, el, fill } from "./dom.js";
import { button, field, refused, sentence } from "./parts.js";
import { showRecalls } from "./recalls.js";
import { showRules } from "./rules.js";
import { showWhatIf } from "./whatif.js";

const VIEWS = [
  ["rules", "Rules", showRules],
  ["recalls", "Recalls", showRecalls],
  ["whatif", "What if", showWhatIf],
  ["plots", "Plots", showPlots],
];
const PAUSE = 200; // milliseconds after the last key
const top = document.getElementById("top");
const gate = document.getElementById("gate");
let looking = new AbortController(); // of what is shown now; ends with it
let whose = null; // whom the views are drawn for

/** What the views share: who looks, and how they reach each other. */
const page = {
  who: null,
  get signal() { // for what a view asks: a late answer is not shown in the place of another
    return looking.signal;
  },
  may: (scope) => page.who.scopes.includes(scope),
  go: (view, id = "") => {
    const hash = `#${view}${id && `/${encodeURIComponent(id)}`}`;
    if (location.hash === hash) route();
    else location.hash = hash;
  },
  failed: (place, problem) => {
    if (problem.name === "AbortError") return;
    if (problem instanceof Problem && problem.status === 401) return locked(problem);
    if (!(problem instanceof Problem)) throw problem;
    refused(place, problem);
  },
};

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address goes on naming the view
  document.getElementById("main").focus();
});
takeKey();
addEventListener("hashchange", () => {
  if (new URLSearchParams(location.hash.slice(1)).has("key")) {
    takeKey();
    open();
  } else route();
});
open();

async function open() {
  page.who = null;
  leave(null);
  try {
    page.who = await call("inspect/api/who", { about: null, signal: page.signal });
  } catch (problem) {
    return problem.name === "AbortError" ? null : locked(problem);
  }
  fill(gate);
  if (page.who.user_id) user.set(page.who.user_id);
  header();
  route();
}

/** Let what was asked for before end, and nothing of another user stay. */
function leave(chosen) {
  looking.abort();
  looking = new AbortController();
  if (chosen !== whose) for (const [view] of VIEWS) fill(document.getElementById(view));
  whose = chosen;
}

function route() {
  if (!page.who) return;
  const [name, id] = location.hash.slice(1).split("/");
  const known = VIEWS.find(([view]) => view === name) ?? VIEWS[0];
  const chosen = user.get();
  leave(chosen);
  for (const [view, title] of VIEWS) {
    const section = document.getElementById(view);
    section.hidden = view !== known[0] || !chosen;
    const link = document.getElementById(`to-${view}`);
    if (view === known[0]) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
    if (!section.hidden) document.title = `${title} · prefmem inspector`;
  }
  if (!chosen) return welcome();
  fill(gate);
  known[2](document.getElementById(known[0]), page, id ? decodeURIComponent(id) : "");
}

function header() {
  const tenant = page.who.tenant && el("span", { class: "soft" }, `tenant ${page.who.tenant}`);
  const links = VIEWS.map(([view, title]) => el("a", { id: `to-${view}`, href: `#${view}`, data: { testid: `to-${view}` } }, title));
  fill(
    top,
    el("div", { class: "bar" },
      el("p", { class: "brand" }, el("strong", {}, "prefmem"), " inspector ", tenant),
      page.who.user_id ? el("p", { class: "whose" }, el("span", { class: "unseen" }, "User: "), page.who.user_id) : picker()),
    el("nav", { class: "tabs", "aria-label": "Views" }, links),
  );
}

/** The box that says whose memory is looked into. */
function picker() {
  const list = el("datalist", { id: "known-users" });
  const input = el("input", {
    id: "user", type: "search", autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    list: "known-users", placeholder: "User id", value: user.get() ?? "", data: { testid: "user" },
  });
  let asked;
  let waiting;
  input.addEventListener("input", () => {
    asked?.abort();
    clearTimeout(waiting);
    if (page.may("admin")) waiting = setTimeout(find, PAUSE);
  });
  const find = async () => {
    asked = new AbortController();
    try {
      const found = await call("inspect/api/users", { about: null, query: { holding: input.value.trim() }, signal: AbortSignal.any([asked.signal, page.signal]) });
      fill(list, found.users.map((id) => el("option", { value: id })));
    } catch (problem) {
      page.failed(gate, problem);
    }
  };
  const choose = (event) => {
    event.preventDefault();
    look(input.value.trim());
  };
  return el("form", { class: "picker", role: "search", on: { submit: choose } },
    el("label", { for: "user", class: "unseen" }, "User whose memory to look into"),
    input, list,
    el("button", { class: "button", data: { testid: "look" } }, "Look"));
}

function look(id) {
  if (!id) return;
  user.set(id);
  document.getElementById("user").value = id;
  announce(`The memory of ${id}.`);
  page.go("rules");
}

/** Nobody is chosen yet: the tenant's users, where the key may list them. */
async function welcome() {
  const list = el("div", {});
  fill(gate, el("div", { class: "card narrow" },
    el("h1", {}, "Whose memory?"),
    el("p", { class: "soft" }, "Give a user’s id above, as your app names the user."),
    list));
  if (!page.may("admin")) return;
  try {
    const found = await call("inspect/api/users", { about: null, signal: page.signal });
    const more = found.total - found.users.length;
    fill(list,
      el("h2", {}, found.total ? "Users" : "There is nobody in this store yet."),
      el("ul", { class: "plain users" }, found.users.map((id) =>
        el("li", {}, button(id, () => look(id), { kind: "quiet", id: "pick-user" })))),
      more > 0 && el("p", { class: "soft" }, `and ${more.toLocaleString()} more: type a part of the id above.`));
  } catch (problem) {
    page.failed(list, problem);
  }
}

/** No key, or none that opens: ask for one. */
function locked(problem) {
  page.who = null;
  leave(null);
  fill(top);
  for (const [view] of VIEWS) document.getElementById(view).hidden = true;
  const given = el("input", { id: "key", type: "password", autocomplete: "off", data: { testid: "key" } });
  const enter = (event) => {
    event.preventDefault();
    key.set(given.value.trim());
    open();
  };
  fill(gate, el("form", { class: "card narrow fields", on: { submit: enter } },
    el("h1", {}, "prefmem inspector"),
    key.get() || problem.status !== 401
      ? el("p", { class: "notice bad", role: "alert" }, sentence(problem.message))
      : el("p", { class: "soft" }, "Open the address that prefmem inspect wrote, or give a key of this server."),
    field("Key", given, "It is kept in this tab alone, until you close it."),
    el("div", { class: "buttons" }, el("button", { class: "button primary", data: { testid: "enter" } }, "Open"))));
  given.focus();
}

async function showPlots(section) {
  const { signal } = page;
  section.setAttribute("aria-busy", "true");
  try {
    const [plots, data] = await Promise.all([import("./plots.js"), call("inspect/api/plots", { signal })]);
    signal.throwIfAborted();
    plots.draw(section, data, (id) => page.go("rules", id));
  } catch (problem) {
    page.failed(section, problem);
  }
  if (!signal.aborted) section.removeAttribute("aria-busy");
}
