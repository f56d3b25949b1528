// pushctl's preferences: pause for a week, fewer, stop, erase me.
// Loaded by pushctl.preferences() and pushctl.consent(), and by nobody else.

import { BRAND, button, direct, here, host, language, make, words } from "./pushctl-look.js";

const WEEK = 7 * 86_400_000;

const STYLE = `
  dialog { width: 420px; max-width: calc(100vw - 28px); padding: 16px 12px }
  dialog::backdrop { background: #00000080 }
  section { box-shadow: none; padding: 16px 12px }
  .head { display: flex; align-items: center; justify-content: space-between; gap: 16px;
    min-height: 40px; margin-block-end: 8px; padding-inline-start: 12px }
  h2 { font-size: 18px; margin: 0 }
  .close { min-width: 40px; padding: 0; font-size: 22px; line-height: 1; font-weight: 400 }
  .row { display: flex; align-items: center; justify-content: space-between; gap: 16px; width: 100%;
    min-height: 64px; padding: 8px 12px; text-align: start; font-weight: 400;
    border: 0; border-block-start: 1px solid color-mix(in srgb, var(--ink) 12%, transparent);
    border-radius: 0 }
  .row b, .row small { display: block }
  .row b { font-weight: 600 }
  .row small { font-size: 13px; color: color-mix(in srgb, var(--ink) 80%, var(--back)) }
  .erase b, .yes { color: var(--danger) }
  .knob { position: relative; flex: none; width: 48px; height: 28px; box-sizing: border-box;
    border: 2px solid color-mix(in srgb, var(--ink) 60%, var(--back)); border-radius: 14px }
  .knob::after { content: ""; position: absolute; inset-block: 4px; inset-inline-start: 4px; width: 16px;
    border-radius: 50%; background: color-mix(in srgb, var(--ink) 60%, var(--back)) }
  [aria-checked=true] .knob { background: var(--accent); border-color: var(--accent) }
  [aria-checked=true] .knob::after { inset-inline-start: 24px; background: var(--on-accent) }
  @media (forced-colors: active) { .knob::after { background: ButtonText } }
  .sure { display: flex; flex-wrap: wrap; align-items: center; justify-content: flex-end; gap: 8px;
    padding: 4px 12px 12px }
  .sure[hidden] { display: none }
  .sure p { flex: 1 1 100% }
  .sure button { border: 1px solid color-mix(in srgb, currentColor 40%, transparent) }
  .off { padding: 12px; display: flex; flex-wrap: wrap; align-items: center; gap: 12px;
    justify-content: space-between; border-block-start: 1px solid color-mix(in srgb, var(--ink) 12%, transparent) }
  .id { padding: 12px; font-size: 13px;
    border-block-start: 1px solid color-mix(in srgb, var(--ink) 12%, transparent) }
  .id bdi { font-family: ui-monospace, monospace; white-space: nowrap; user-select: all }
  .said { min-height: 22px; margin-block-start: 8px; padding-inline: 12px }
  @media (max-width: 600px) { dialog { margin-block-end: max(14px, env(safe-area-inset-bottom)) } }
  @media (prefers-reduced-motion: no-preference) {
    dialog { animation: come .3s cubic-bezier(.2, .8, .2, 1) }
    .knob::after { transition: inset-inline-start .15s }
  }
`;

// consent({ text, tracking }): what somebody agreed to, when and on which page. An answer
// about tracking alone leaves that as it was; only true is a yes ("no", 0 and null are none).
// It is told when it changes: what asks for consent may say the same on each page.
export async function agree({ stored, store, now, silent, sync }, given) {
  const { text, tracking } = Object(given) === given ? given : { tracking: given };
  const agreed = text && { text: `${text}`.slice(0, 255), at: now(), page: here() };
  const said = tracking === undefined ? {} : { tracking: tracking === true };
  const before = stored().consent;
  store({ consent: { ...before, ...agreed, ...said } });
  if (silent()) store({ events: [], landing: undefined, cart: undefined, ...lessening(stored()) });
  await sync(text || permits(before) !== permits(stored().consent));
  return stored().consent;
}

const permits = (consent) => consent?.tracking ?? true;

// What takes away is told although nothing else is: logging out, too.
function lessening({ tags = {}, alias }) {
  const off = Object.entries(tags).filter(([, on]) => !on);
  return { tags: Object.fromEntries(off), alias: alias?.alias === null ? { alias: null } : undefined };
}

// The dialog that stands open: whoever clicks twice needs no second one.
let standing;

// A dialog; or, with into: "#place", a part of the page. Settles when the dialog is closed.
export async function open(inner, given) {
  // The script may be there before the page is.
  if (document.readyState === "loading")
    await new Promise((done) => addEventListener("DOMContentLoaded", done, { once: true }));
  const options = { ...BRAND, ...given };
  const { into } = options;
  const place = typeof into === "string" ? document.querySelector(into) : into;
  if (into && !place) throw new Error(`pushctl.preferences(): nothing on this page is ${into}`);
  if (place) return show(inner, options, place);
  // Two questions at once are one too many.
  inner.withdraw?.();
  inner.choosing = true;
  standing ??= show(inner, options).finally(() => (standing = inner.choosing = undefined));
  return standing;
}

async function show(inner, options, place) {
  const spoken = language(options);
  const said = words(options, spoken);
  const element = host("pushctl-preferences", STYLE, options);
  const box = make(place ? "section" : "dialog", {});
  direct(box, spoken);
  box.setAttribute("aria-labelledby", "title");
  if (place) box.setAttribute("role", "region");
  element.shadowRoot.append(box);
  const before = document.activeElement;
  place?.querySelector(":scope > pushctl-preferences")?.remove();
  (place ?? document.body).append(element);
  await fill(inner, box, said, spoken, !place);
  if (place) return;
  box.showModal();
  await new Promise((done) => (box.onclose = done));
  element.remove();
  before?.focus?.();
}

async function fill(inner, box, said, spoken, closes) {
  const news = make("p", { className: "said" });
  news.setAttribute("role", "status");
  const head = make("div", { className: "head" }, make("h2", { id: "title", textContent: said.preferences }));
  if (closes) {
    const close = button("close", "×", () => box.close());
    close.setAttribute("aria-label", said.close);
    head.append(close);
  }
  // Tells, then says how it went; what did not get through changes nothing here.
  const attempt = async (work, text) => {
    news.textContent = "";
    try {
      await work();
      await draw();
      news.textContent = text;
    } catch {
      news.textContent = said.failed;
    }
  };
  const rows = make("div", {});
  const draw = async () => {
    const at = [...rows.children].indexOf(box.getRootNode().activeElement);
    const state = await inner.api.state();
    const own = await name(inner);
    rows.replaceChildren(...(state.subscribed
      ? choices(inner, said, spoken, attempt) : absent(inner, said, state, attempt)),
    ...(own ? [label(said, own)] : []));
    if (at < 0) return;
    const there = [...rows.children].filter((one) => one.matches("button") || one.querySelector("button"));
    const row = there[Math.min(at, there.length - 1)];
    (row?.querySelector("button") ?? row)?.focus();
  };
  await draw();
  box.replaceChildren(head, rows, news);
}

function choices(inner, said, spoken, attempt) {
  const { paused = 0, fewer = false } = inner.stored().preferences ?? {};
  const resting = paused > Date.now();
  const date = new Date(paused).toLocaleDateString(spoken, { day: "numeric", month: "long" });
  const rest = () => prefer(inner, { pause: resting ? 0 : WEEK / 1000 },
    { paused: resting ? 0 : Date.now() + WEEK });
  const less = () => prefer(inner, { fewer: !fewer }, { fewer: !fewer });
  const leave = () => inner.api.unsubscribe();
  const weekly = row("fewer", said.fewer, said.weekly, () => attempt(less, said.saved));
  weekly.append(make("span", { className: "knob" }));
  weekly.setAttribute("role", "switch");
  weekly.setAttribute("aria-checked", String(fewer));
  return [
    row("pause", resting ? said.resume : said.pause, resting ? said.paused.replace("{date}", date) : "",
      () => attempt(rest, said.saved)),
    weekly,
    row("stop", said.stop, "", () => attempt(leave, said.off)),
    ...erasing(inner, said, attempt),
  ];
}

// By this a visitor without an account can ask for their data: `pushctl subscribers show` knows
// it. Who has turned it off is shown the last one: their data is still there.
async function name({ update, stored, store }) {
  const last = await update().catch(() => {});
  if (last?.at) {
    const endpoint = new TextEncoder().encode(last.endpoint);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", endpoint)).slice(0, 6);
    const digits = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    store({ id: digits.match(/..../g).join("-") });
  }
  return stored().id;
}

function label({ id }, own) {
  const [before, after] = id.split("{id}");
  const shown = make("bdi", { dir: "ltr", textContent: own });
  return make("p", { className: "id" }, before, shown, after ?? "");
}

function row(look, name, note, onclick) {
  const text = make("span", {}, make("b", { textContent: name }));
  if (note) text.append(make("small", { textContent: note }));
  const made = button(`row ${look}`, "", onclick);
  made.append(text);
  return made;
}

function erasing(inner, said, attempt) {
  const back = button("back", said.back, () => ((sure.hidden = true), erase.focus()));
  const yes = button("yes", said.yes, () => attempt(() => forget(inner), said.erased));
  const sure = make("div", { className: "sure", hidden: true },
    make("p", { textContent: said.sure }), back, yes);
  const erase = row("erase", said.erase, said.everything, () => ((sure.hidden = false), back.focus()));
  return [erase, sure];
}

function absent(inner, said, { supported, permission }, attempt) {
  const only = (textContent) => [make("p", { className: "off", textContent })];
  // An iPhone could, from its home screen.
  if (!supported) return only(navigator.standalone === false ? said.home : said.off);
  if (permission === "denied") return only(said.blocked);
  const subscribe = async () => {
    if ((await inner.api.subscribe()) === "failed") throw new Error("no subscription");
  };
  const allow = button("allow", said.allow, () => attempt(subscribe, ""));
  return [make("div", { className: "off" }, make("span", { textContent: said.off }), allow)];
}

async function signed(inner, path, fields = {}) {
  const last = await inner.update();
  if (last) await inner.post(path, { endpoint: last.endpoint, ...fields }, last);
}

async function prefer(inner, fields, kept) {
  await signed(inner, "/v1/preferences", fields);
  inner.store({ preferences: { ...inner.stored().preferences, ...kept } });
}

// Here, too, nothing stays.
async function forget(inner) {
  await signed(inner, "/v1/forget");
  const subscription = await inner.current();
  await inner.update(() => undefined);
  await subscription?.unsubscribe();
  indexedDB.deleteDatabase("pushctl");
  // Nothing but that somebody has turned it off: nobody invites them by itself again.
  await inner.update(() => null);
  inner.store(Object.fromEntries(Object.keys(inner.stored()).map((key) => [key, undefined])));
  try {
    localStorage.removeItem("pushctl");
  } catch {
    // forbidden: then there is nothing in it
  }
}
