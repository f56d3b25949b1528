// The shop's pages. All it knows of push is in the functions of the last part.

import { GOODS, TEXTS } from "./texts.js";

const LANGUAGE = document.documentElement.lang;
const CURRENCY = "EUR";
const PROMOTIONS = { BASKET15: 15 };
const main = document.querySelector("main");

const say = (key, values = {}) =>
  TEXTS[LANGUAGE][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const money = (amount) =>
  new Intl.NumberFormat(LANGUAGE, { style: "currency", currency: CURRENCY }).format(amount);
const address = (path) => `${path}?lang=${LANGUAGE}`;

// --- the basket ------------------------------------------------------------------

const basket = {
  read: () => JSON.parse(localStorage.getItem("basket") ?? "{}"),
  write(counts) {
    localStorage.setItem("basket", JSON.stringify(counts));
    showCount();
  },
  change(id, by) {
    const counts = basket.read();
    counts[id] = Math.max(0, (counts[id] ?? 0) + by);
    if (!counts[id]) delete counts[id];
    basket.write(counts);
    tellBasket();
  },
  // The basket as a link tells it, "&items=cup.2_lamp.1", and as it is read from there:
  // a reminder may be clicked where this one was never filled.
  told: () => "&items=" + Object.entries(basket.read()).map((one) => one.join(".")).join("_"),
  restore() {
    const told = new URLSearchParams(location.search).get("items");
    if (!told || Object.keys(basket.read()).length) return;
    const pairs = told.split("_").map((one) => one.split("."));
    const known = pairs.filter(([id]) => GOODS.some((good) => good.id === id));
    basket.write(Object.fromEntries(known.map(([id, count]) => [id, Math.min(99, count | 0) || 1])));
  },
  items() {
    const counts = basket.read();
    return GOODS.filter(({ id }) => counts[id]).map((good) => ({
      id: good.id,
      name: good[LANGUAGE][0],
      price: good.price,
      quantity: counts[good.id],
      tone: good.tone,
    }));
  },
  subtotal: () => basket.items().reduce((sum, { price, quantity }) => sum + price * quantity, 0),
  percent: () => PROMOTIONS[localStorage.getItem("promo")] ?? 0,
  total: () => Math.round(basket.subtotal() * (100 - basket.percent())) / 100,
};

// --- making elements ---------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function picture(id) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/static/goods.svg#${id}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

const link = (path, text, look = "button") => make("a", { class: look, href: address(path) }, text);

// --- pages -------------------------------------------------------------------------

function front() {
  const hero = make("section", { class: "hero" },
    make("div", {},
      make("h1", {}, say("headline")),
      make("p", {}, say("lead")),
      make("a", { class: "button", href: "#collection" }, say("browse"))),
    picture("hero"));
  const cards = GOODS.map((good) => make("li", { class: "good" },
    make("div", { class: `picture ${good.tone}` }, picture(good.id)),
    make("div", { class: "about" },
      make("h3", {}, good[LANGUAGE][0]),
      make("span", { class: "price" }, money(good.price)),
      make("p", {}, good[LANGUAGE][1]),
      make("button", { class: "button", type: "button", "data-add": good.id, onclick: () => add(good) },
        say("add")))));
  return [hero, make("h2", { id: "collection" }, say("collection")), make("ul", { class: "goods" }, ...cards)];
}

function add(good) {
  basket.change(good.id, 1);
  toast(say("added", { name: good[LANGUAGE][0] }));
}

function basketPage() {
  const items = basket.items();
  if (!items.length) return [nothing()];
  return [make("section", { class: "sheet" },
    make("h1", {}, say("basket")),
    make("ul", { class: "lines" }, ...items.map((item) => line(item, true))),
    sums(),
    make("div", { class: "row" },
      make("button", { class: "button plain", type: "button", id: "clear", onclick: clear }, say("clear")),
      link("/checkout", say("checkout"))))];
}

function line({ id, name, price, quantity, tone }, changing) {
  const step = (by, sign, label) =>
    make("button", { type: "button", "aria-label": say(label, { name }), onclick: () => (basket.change(id, by), show()) }, sign);
  const count = make("b", {}, new Intl.NumberFormat(LANGUAGE).format(quantity));
  return make("li", {},
    make("div", { class: `picture ${tone}` }, picture(id)),
    make("h3", {}, name),
    changing
      ? make("div", { class: "stepper" }, step(-1, "−", "one_less"), count, step(1, "+", "one_more"))
      : make("span", {}, "× ", count),
    make("span", { class: "price" }, money(price * quantity)));
}

function sums() {
  const rows = [];
  const row = (look, name, value) =>
    rows.push(make("dt", { class: look }, name), make("dd", { class: look }, value));
  if (basket.percent()) {
    const percent = new Intl.NumberFormat(LANGUAGE).format(basket.percent());
    row("", say("subtotal"), money(basket.subtotal()));
    row("off", say("discount", { percent }), money(basket.total() - basket.subtotal()));
  }
  row("total", say("total"), money(basket.total()));
  return make("dl", { class: "sums" }, ...rows);
}

function checkoutPage() {
  const items = basket.items();
  if (!items.length) return [nothing()];
  tellCheckout();
  return [make("section", { class: "sheet" },
    make("h1", {}, say("checkout_title")),
    make("ul", { class: "lines" }, ...items.map((item) => line(item, false))),
    sums(),
    make("p", { class: "note" }, make("b", {}, say("delivery")), say("delivery_note")),
    make("div", { class: "row" },
      link("/basket", say("basket"), "button plain"),
      make("button", { class: "button", type: "button", id: "buy", onclick: buy },
        say("pay", { total: money(basket.total()) }))))];
}

function thanksPage() {
  const order = sessionStorage.getItem("order") ?? "";
  return [make("section", { class: "empty" },
    picture("vase"),
    make("h1", {}, say("thanks")),
    make("p", {}, say("thanks_note", { order })),
    link("/", say("back")))];
}

function nothing() {
  return make("section", { class: "empty" },
    picture("cup"),
    make("h1", {}, say("basket")),
    make("p", {}, say("empty")),
    link("/", say("collection")));
}

async function buy() {
  const order = `LL-${Date.now().toString(36).slice(-5).toUpperCase()}`;
  await tellPurchase(order);
  sessionStorage.setItem("order", order);
  localStorage.removeItem("promo");
  basket.write({});
  location.assign(address("/thanks"));
}

function clear() {
  basket.write({});
  tellBasket();
  show();
  toast(say("cleared"));
}

// --- the frame -----------------------------------------------------------------------

const PAGES = {
  "/": front,
  "/basket": basketPage,
  "/cart": basketPage, // the address that shipped templates lead to
  "/checkout": checkoutPage,
  "/thanks": thanksPage,
};

function show() {
  main.replaceChildren(...PAGES[location.pathname]());
  showCount();
}

function showCount() {
  const counts = Object.values(basket.read());
  const sum = counts.reduce((all, one) => all + one, 0);
  const badge = document.querySelector("#count");
  badge.hidden = !sum;
  badge.textContent = new Intl.NumberFormat(LANGUAGE).format(sum);
}

let fading;
function toast(text) {
  const place = document.querySelector("#toast");
  place.textContent = text;
  place.classList.add("there");
  clearTimeout(fading);
  fading = setTimeout(() => place.classList.remove("there"), 3200);
}

function frame() {
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = say(place.dataset.text);
  for (const place of document.querySelectorAll("[data-label]")) place.setAttribute("aria-label", say(place.dataset.label));
  for (const place of document.querySelectorAll("[data-to]")) place.href = address(place.dataset.to);
  document.querySelector(`.languages [lang=${LANGUAGE}]`).setAttribute("aria-current", "true");
  document.querySelector("#bell").addEventListener("click", ring);
  const promo = new URLSearchParams(location.search).get("promo");
  if (promo in PROMOTIONS) localStorage.setItem("promo", promo);
  basket.restore();
}

// --- push: as docs/embedding.md tells ---------------------------------------------------

// Usable before pushctl.js has come: it does then what was asked meanwhile.
const pushctl = (...call) => (window.pushctl ??= []).push(...call);

function tellBasket() {
  const items = basket.items().map(({ tone, ...item }) => item);
  const url = location.origin + address("/basket") + basket.told();
  pushctl(["cart", { items, total: basket.total(), currency: CURRENCY, url }]);
  if (items.length) pushctl(["tag", "Abandoned basket 1"]);
  else pushctl(["untag", "Abandoned basket 1", "Abandoned basket 2"]);
}

function tellCheckout() {
  pushctl(["track", "checkout_started", { total: basket.total(), currency: CURRENCY }]);
  pushctl(["tag", "Abandoned basket 2"], ["untag", "Abandoned basket 1"]);
}

async function tellPurchase(order) {
  pushctl(["track", "purchase", { order, total: basket.total(), currency: CURRENCY }]);
  pushctl(["untag", "Abandoned basket 1", "Abandoned basket 2"]);
}

const INVITATION = { language: LANGUAGE, name: "Lamp & Loom" };

// The bell: asks, or leads to pause, fewer, stop and erase.
async function ring() {
  const { prompt, preferences, state } = window.pushctl;
  const { supported, subscribed, permission } = await state();
  if (!supported) return toast(say("unsupported"));
  if (permission === "denied") return toast(say("denied"));
  if (permission === "default") await prompt({ ...INVITATION, again: true });
  else await preferences({ language: LANGUAGE });
  const now = await state();
  if (now.subscribed !== subscribed) await showBell(true);
}

async function showBell(aloud = false) {
  const { subscribed } = await window.pushctl.state();
  document.querySelector("#bell").classList.toggle("on", subscribed);
  if (aloud) toast(say(subscribed ? "on" : "off"));
}

frame();
show();
pushctl(["track", "page_view", { page: location.pathname }]);
pushctl((loaded) => showBell()
  .then(() => loaded.prompt({ ...INVITATION, delay: 1500 }))
  .then((answer) => answer === "skipped" || showBell(answer === "granted")));
