// pushctl's invitation: a small question of ours before the browser's own.
// Loaded by pushctl.prompt() for those who may be asked, and by nobody else.

import { BRAND, button, direct, here, host, language, make, picture, words } from "./pushctl-look.js";
import { inSight, matches, scrolled } from "./pushctl-watch.js";

const DAY = 86_400_000;
// A visit ends when nothing was opened for so long.
const PAUSE = 1_800_000;

const STYLE = `
  section {
    position: fixed;
    z-index: 2147483647;
    inset-block-start: 14px;
    inset-inline-start: 14px;
    width: 400px;
    max-width: calc(100vw - 28px);
    display: grid;
    grid-template-columns: auto 1fr;
    column-gap: 16px;
  }
  .icon { grid-row: span 2 }
  a { color: inherit; white-space: nowrap }
  div { grid-column: 1 / -1; display: flex; flex-wrap: wrap; justify-content: flex-end; gap: 8px;
    margin-block-start: 16px }
  .bar { inset: auto 0 0; width: auto; max-width: none; border-radius: 0; border-width: 1px 0 0;
    grid-template-columns: auto 1fr auto; align-items: center; padding: 16px max(20px, 50vw - 560px) }
  .bar div { grid-area: 1 / 3 / 3; margin: 0; flex-wrap: nowrap }
  .bell { inset: auto 16px max(16px, env(safe-area-inset-bottom)) auto }
  .bell:dir(rtl) { right: auto; left: 16px }
  .inline { position: static; width: auto; max-width: none; box-shadow: none }
  .ring { position: fixed; z-index: 2147483646; inset: auto 16px max(16px, env(safe-area-inset-bottom)) auto;
    width: 56px; height: 56px; padding: 0; color: var(--on-accent); background: var(--accent);
    box-shadow: 0 1px 3px #0000001f, 0 8px 24px #0000003d }
  .ring:dir(rtl) { right: auto; left: 16px }
  .ring:hover { background: color-mix(in srgb, var(--accent) 88%, var(--ink)) }
  .ring .icon { width: 28px; height: 28px; padding: 0; margin: 14px; color: inherit; background: none }
  @media (max-width: 600px) {
    .card, .bar { inset: auto 14px max(14px, env(safe-area-inset-bottom)); width: auto; padding: 18px;
      grid-template-columns: auto 1fr; align-items: start; border-width: 1px;
      border-radius: var(--pushctl-radius, 16px) }
    .bell { inset-inline: 14px; width: auto }
    div, .bar div { grid-area: auto / 1 / auto / -1; margin-block-start: 16px; flex-wrap: wrap }
    div button { flex: 1; min-height: 44px }
  }
  @media (prefers-reduced-motion: no-preference) {
    section:not(.inline) { animation: come .3s cubic-bezier(.2, .8, .2, 1) }
  }
`;

// The invitation that waits for its moment, or stands there.
let current;

// Resolves to what subscribe() gives, "later", or "skipped" when nobody was asked.
export async function prompt(inner, given = {}) {
  // Nor is anybody asked who chooses in the preferences now.
  if (!given.again && (current || inner.choosing)) return "skipped";
  current?.leave();
  const one = { left: false, leave: () => (one.left = true) };
  current = one;
  inner.withdraw = () => one.leave();
  try {
    if (given.kind !== "bell" && !(await welcome(inner, given))) return "skipped";
    const options = chosen(inner, given);
    if (!options.again && !(await moment(inner, options, one))) return "skipped";
    return await ask(inner, options, one);
  } finally {
    if (current === one) current = undefined;
  }
}

// Whoever has turned it off here is asked on a click of theirs only; whoever has said yes, not
// while their subscription is still on its way.
async function welcome({ update, stored }, { again }) {
  const clicked = again && navigator.userActivation?.isActive !== false;
  return (clicked || (await update()) !== null) && !(Notification.permission === "granted" && stored().pending);
}

// --- when -------------------------------------------------------------------------

async function moment(inner, options, one) {
  const number = visit(inner, options);
  if (!matches(options.pages, location)) return false;
  if (number < (options.visits ?? 1)) return false;
  await new Promise((done) => setTimeout(done, options.delay ?? 0));
  if (one.left) return false;
  // The script may be there before the page is.
  if (!document.body) await new Promise((done) => addEventListener("DOMContentLoaded", done, { once: true }));
  if (options.scroll) await scrolled(options.scroll);
  await inSight();
  return !one.left;
}

// Counts this visit, and says which one it is. The first is told, once a browser: of the new
// visitors who could be asked, how many agree? Not where nothing can be kept: each page would be
// a first visit.
function visit(inner, options) {
  const { stored, store } = inner;
  const { count: before = 0, last = 0 } = stored().visits ?? {};
  const number = Date.now() - last > PAUSE ? before + 1 : before;
  store({ visits: { count: number, last: Date.now() } });
  // What is counted keeps nobody from being asked.
  if (!before && stored().visits)
    Promise.resolve().then(() => count(inner, options, language(options), "visit")).catch(() => {});
  return number;
}

// --- which ------------------------------------------------------------------------

// { a: { kind: "bar" }, b: { weight: 2, texts } }: each browser keeps the one it got.
export function chosen({ stored, store }, { variants, ...given }) {
  const options = { ...BRAND, ...given };
  const names = Object.keys(variants ?? {});
  if (!names.length) return { ...options, variant: options.kind ?? "card" };
  const kept = stored().variant;
  const variant = names.includes(kept) ? kept : draw(variants, names);
  if (variant !== kept) store({ variant });
  return { ...options, ...variants[variant], variant };
}

function draw(variants, names) {
  const weight = (name) => variants[name].weight ?? 1;
  let lot = Math.random() * names.reduce((sum, name) => sum + weight(name), 0);
  return names.find((name) => (lot -= weight(name)) < 0) ?? names[0];
}

// --- asking -----------------------------------------------------------------------

async function ask(inner, options, one) {
  const spoken = language(options);
  const said = words(options, spoken);
  // Once each: what is counted is people, not clicks.
  const told = new Set();
  const tell = (stage) => told.has(stage) || (told.add(stage), count(inner, options, spoken, stage));
  if (options.kind === "bell") return ring(inner, options, spoken, said, tell, one);
  const answer = await question(inner, options, spoken, said, tell, one);
  if (answer === "later") inner.store({ later: Date.now() + (options.days ?? 14) * DAY });
  return answer;
}

function count({ HOME, silent }, { variant }, spoken, stage) {
  if (silent()) return;
  fetch(`${HOME}/v1/prompts`, {
    method: "POST",
    body: JSON.stringify({ stage, variant, language: spoken }),
    // Spares the preflight.
    headers: { "Content-Type": "text/plain" },
    credentials: "omit",
    keepalive: true,
  }).catch(() => {});
}

function question(inner, options, spoken, said, tell, one) {
  const { element, box, later, allow } = build(options, spoken, said);
  const before = document.activeElement;
  // Somebody opened it: focus may follow.
  const clicked = navigator.userActivation?.isActive;
  place(element, options);
  if (clicked) box.focus({ preventScroll: options.kind === "inline" });
  tell("seen");

  return new Promise((done) => {
    const close = (answer) => {
      const inside = document.activeElement === element;
      element.remove();
      if (inside) before?.focus?.();
      done(answer);
    };
    const dismiss = () => (tell("dismissed"), close("later"));
    one.leave = () => close("skipped");
    later.onclick = dismiss;
    box.onkeydown = ({ key }) => key === "Escape" && dismiss();
    if (allow) allow.onclick = () => close(accept(inner, options, said, tell));
  });
}

// In the same turn as the click, or the browser takes it for a question without one.
async function accept({ api, store, stored, now }, options, said, tell) {
  tell("accepted");
  const { consent: text = version(said) } = options;
  const before = stored().consent;
  store({ consent: { ...before, text: `${text}`.slice(0, 255), at: now(), page: here() } });
  const answer = await api.subscribe({ language: asked(options) });
  // What failed is tried again.
  if (!/granted|failed/.test(answer)) store({ consent: before });
  const stage = { granted: "allowed", denied: "denied", default: "dismissed", failed: "failed" }[answer];
  if (stage) tell(stage);
  return answer;
}

// Who says yes on a page is written to in its language, though we may lack words in it; the
// browser's own counts where no page says one. "tr_TR": as in pushctl-look.js.
export function asked({ language }) {
  const wanted = (language || document.documentElement.lang).replaceAll("_", "-");
  return /^[a-z\d-]{1,35}$/i.test(wanted) ? wanted : undefined;
}

// Names the words that were agreed to where the page has no name for them (FNV-1a).
export function version({ title, body, allow }) {
  let hash = 0x811c9dc5;
  for (const letter of [title, body, allow].join("\n")) {
    hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193);
  }
  return `words-${(hash >>> 0).toString(16).padStart(8, "0")}`;
}

function place(element, { kind, into }) {
  const found = typeof into === "string" ? document.querySelector(into) : into;
  if (kind === "inline" && found) found.append(element);
  // First in the order of Tab, for whoever comes by keyboard.
  else document.body.prepend(element);
}

// iPhones and iPads know push in pages on the home screen only.
const installs = () => !("PushManager" in window) && navigator.standalone === false;

function build(options, spoken, said) {
  const { kind = "card", icon, privacy } = options;
  const element = host("pushctl-prompt", STYLE, options);
  const home = installs();
  const later = button("later", home ? said.understood : said.later);
  const allow = home ? undefined : button("allow", said.allow);
  const body = make("p", { id: "body" }, home ? said.home : said.body);
  if (privacy) body.append(" ", make("a", { href: privacy, textContent: said.privacy }));
  const box = make("section", { className: kind, tabIndex: -1 },
    picture(icon), make("h2", { id: "title", textContent: said.title }), body,
    make("div", {}, later, ...(allow ? [allow] : [])));
  direct(box, spoken);
  box.setAttribute("role", kind === "inline" ? "region" : "dialog");
  box.setAttribute("aria-labelledby", "title");
  box.setAttribute("aria-describedby", "body");
  element.shadowRoot.append(box);
  return { element, box, later, allow };
}

// --- the bell ---------------------------------------------------------------------

// Stands in the corner: asks, or leads to the preferences. Resolves to the first answer.
function ring(inner, options, spoken, said, tell, one) {
  if (!("PushManager" in window) && !installs()) return "skipped";
  const element = host("pushctl-bell", STYLE, options);
  const bell = make("button", { type: "button", className: "ring" }, picture());
  bell.setAttribute("aria-label", said.bell);
  direct(bell, spoken);
  element.shadowRoot.append(bell);
  document.body.append(element);
  tell("seen");
  return new Promise((done) => {
    let asked;
    one.leave = () => (asked?.leave?.(), element.remove(), done("skipped"));
    // The bell stays.
    inner.withdraw = () => asked?.leave?.();
    bell.onclick = async () => {
      const { subscribed, permission } = await inner.api.state();
      if (subscribed || permission === "denied") return inner.api.preferences({ ...options, into: undefined });
      asked = {};
      bell.hidden = true;
      const answer = await question(inner, options, spoken, said, tell, asked);
      bell.hidden = false;
      bell.focus();
      if (!/later|skipped/.test(answer)) done(answer);
    };
  });
}
