import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";

import { lazy, memoryStorage } from "./support.mjs";

const DAY = 86_400_000;
const { watch } = await lazy("rules");
const { matches } = await lazy("watch");

// A page as far as rules look at it: where it is, how far it is read, what is clicked.
let listeners, observers, found;
beforeEach(() => {
  listeners = {};
  observers = [];
  found = {};
  globalThis.location = new URL("https://shop.example/lamps/brass?a=b#c");
  globalThis.document = {
    visibilityState: "visible",
    readyState: "complete",
    scrollingElement: { scrollTop: 0, clientHeight: 500, scrollHeight: 2000 },
    querySelector: (selector) => found[selector] ?? null,
  };
  globalThis.navigation = { addEventListener: (name, listener) => (listeners[name] = listener) };
  globalThis.addEventListener = (name, listener) => (listeners[name] = listener);
  globalThis.removeEventListener = (name) => delete listeners[name];
  globalThis.IntersectionObserver = class {
    constructor(call) {
      observers.push(call);
    }
    observe() {}
    disconnect() {}
  };
});

function core() {
  const labels = [];
  const storage = memoryStorage();
  const stored = () => JSON.parse(storage.getItem("pushctl")) ?? {};
  const inner = {
    labels,
    heard: [],
    now: () => Date.now(),
    stored,
    store: (change) => storage.setItem("pushctl", JSON.stringify({ ...stored(), ...change })),
    label: (names, value, more) => labels.push([names[0], value, more]),
  };
  return inner;
}

const names = ({ labels }) => labels.map(([name]) => name);
const settled = () => new Promise((done) => setImmediate(done));
const element = (...selectors) => ({ closest: (one) => (selectors.includes(one) ? { href: found.href } : null) });

for (const [pattern, address, fits] of [
  ["/lamps/*", "/lamps/brass", true],
  ["/lamps/*", "/lamps/", true],
  ["/lamps", "/lamps/brass", false],
  ["/lamps", "/lamps?page=2", true],
  ["*/sale/*", "/en/sale/1", true],
  ["https://shop.example/*", "/anything", true],
  ["https://other.example/*", "/anything", false],
  ["*?colour=red*", "/lamps?colour=red&size=2", true],
  ["/a.b", "/axb", false],
  ["/(a+)+$", "/aaaa", false],
  ["*", "/anything", true],
  ["/a*a", "/a", false],
  ["/a*b*c", "/a-b-c", true],
  ["/a*b*b", "/a-b", false],
  ["/a**c", "/abc", true],
  ["/лампы/*", "/лампы/латунь", true],
  ["/%D0%BB*", "/лампы/", true],
  ["https://shop.example/مصابيح", "/مصابيح", true],
  ["/a%*", "/a%zz", true],
]) {
  test(`${pattern} ${fits ? "means" : "does not mean"} ${address}`, () => {
    assert.equal(matches(pattern, new URL(address, "https://shop.example")), fits);
  });
}

test("a long address made to keep the page busy is looked at in no time", () => {
  const begun = performance.now();
  assert.equal(matches("/*a*a*a*a*a*b*/", { href: "", pathname: "/" + "a".repeat(20_000) }), false);
  assert.ok(performance.now() - begun < 1000);
});

test("no pattern means every page, several mean any of them", () => {
  assert.equal(matches(undefined, location), true);
  assert.equal(matches(["/sofas/*", "/lamps/*"], location), true);
});

test("a page puts its tag on, with its end", () => {
  const inner = core();
  watch(inner, [{ tag: "Lamps", page: "/lamps/*", expires: 3600 }, { tag: "Sofas", page: "/sofas/*" }]);
  const [[name, until]] = inner.labels;
  assert.deepEqual(names(inner), ["Lamps"]);
  assert.equal(name, "Lamps");
  assert.ok(Math.abs(until - Date.now() - 3_600_000) < 5000);
});

test("a tag that can't be told in time is no fault of the page", async () => {
  const faults = [];
  const hear = (error) => faults.push(error);
  process.on("unhandledRejection", hear);
  const inner = { ...core(), label: async () => { throw new Error("pushctl: no answer"); } };
  watch(inner, [{ tag: "Lamps" }]);
  await settled();
  process.off("unhandledRejection", hear);
  assert.deepEqual(faults, []);
});

test("the same is said once a day, its opposite at once", () => {
  const inner = core();
  const on = [{ tag: "Lamps", page: "/lamps/*" }];
  mock.timers.enable({ apis: ["Date"], now: 1_800_000_000_000 });
  watch(inner, on);
  watch(inner, on);
  assert.deepEqual(inner.labels, [["Lamps", true, true]]);
  watch(inner, [{ tag: "Lamps", page: "/lamps/*", remove: true }]);
  watch(inner, on);
  mock.timers.tick(DAY);
  watch(inner, on);
  mock.timers.reset();
  assert.deepEqual(inner.labels.map(([, value]) => value), [true, false, true, true]);
});

test("an event counts whether it came before the rules or after", () => {
  const inner = core();
  inner.heard.push("trial_viewed");
  watch(inner, [
    { tag: "Trial", event: "trial_viewed" },
    { tag: "Abandoned basket 1", event: "cart_emptied", remove: true },
    { tag: "Elsewhere", event: "cart_emptied", page: "/sofas" },
  ]);
  assert.deepEqual(names(inner), ["Trial"]);
  inner.heard.push("cart_emptied");
  assert.deepEqual(inner.labels.at(-1), ["Abandoned basket 1", false, true]);
  assert.equal(inner.labels.length, 2);
});

test("a depth is reached by scrolling, not by loading", async () => {
  const inner = core();
  watch(inner, [{ tag: "Read", scroll: 0.8 }]);
  await settled();
  assert.deepEqual(names(inner), []);
  document.scrollingElement.scrollTop = 1100;
  listeners.scroll();
  await settled();
  assert.deepEqual(names(inner), ["Read"]);
  assert.equal(listeners.scroll, undefined);
});

test("time counts while the page is in sight", async () => {
  const inner = core();
  mock.timers.enable({ apis: ["setInterval"] });
  watch(inner, [{ tag: "Stayed", dwell: 3 }]);
  mock.timers.tick(2000);
  document.visibilityState = "hidden";
  mock.timers.tick(60_000);
  document.visibilityState = "visible";
  await settled();
  assert.deepEqual(names(inner), []);
  mock.timers.tick(1000);
  mock.timers.reset();
  await settled();
  assert.deepEqual(names(inner), ["Stayed"]);
});

test("a click counts by what it is on, or by where it leads", () => {
  const inner = core();
  watch(inner, [{ tag: "Brochure", click: ".brochure" }, { tag: "Partner", link: "https://partner.example/*" }]);
  found.href = "https://partner.example/offer";
  listeners.click({ target: element() });
  assert.deepEqual(names(inner), []);
  listeners.click({ target: element(".brochure") });
  listeners.auxclick({ target: element("a[href]") });
  assert.deepEqual(names(inner), ["Brochure", "Partner"]);
});

test("a link that leads nowhere, or one in a drawing, stops no other rule", () => {
  for (const href of ["https://[", { baseVal: "/a" }, undefined]) {
    const inner = core();
    watch(inner, [{ tag: "Partner", link: "https://partner.example/*" }, { tag: "Brochure", click: ".brochure" }]);
    found.href = href;
    listeners.click({ target: element("a[href]", ".brochure") });
    assert.deepEqual(names(inner), ["Brochure"]);
  }
});

test("a click on what is no element changes nothing", () => {
  watch(core(), [{ tag: "Brochure", click: ".brochure" }]);
  listeners.click({ target: {} });
});

test("a form is reached by seeing it, or by writing into one that came later", async () => {
  const inner = core();
  found["#pay"] = {};
  watch(inner, [{ tag: "Payment", form: "#pay" }, { tag: "Trial", form: "#trial" }]);
  observers[0]([{ isIntersecting: false }]);
  await settled();
  assert.deepEqual(names(inner), []);
  observers[0]([{ isIntersecting: true }]);
  await settled();
  assert.deepEqual(names(inner), ["Payment"]);
});

test("a selector that nobody can read stops no other rule", () => {
  const inner = core();
  const { querySelector } = document;
  document.querySelector = (one) => {
    if (one === "a[") throw new SyntaxError("no selector");
    return querySelector(one);
  };
  const { warn } = console;
  const warned = [];
  console.warn = (text) => warned.push(text);
  watch(inner, [{ tag: "Broken", click: "a[" }, { tag: "Lamps", page: "/lamps/*" }]);
  console.warn = warn;
  assert.deepEqual(names(inner), ["Lamps"]);
  assert.deepEqual(warned, ["pushctl: no selector"]);
});

test("writing into a form reaches it", async () => {
  const inner = core();
  watch(inner, [{ tag: "Trial", form: "#trial" }]);
  listeners.focusin({ target: element("#trial") });
  await settled();
  assert.deepEqual(names(inner), ["Trial"]);
});

const go = (path) => {
  globalThis.location = new URL(path, "https://shop.example");
  listeners.currententrychange();
};

test("a page that is reached without loading one counts, too", async () => {
  const inner = core();
  watch(inner, [
    { tag: "Lamps", page: "/lamps/*" },
    { tag: "Sofas", page: "/sofas/*" },
    { tag: "Bought", event: "purchase", page: "/thanks" },
  ]);
  go("/lamps/brass?a=b#d"); // the same page
  assert.deepEqual(names(inner), ["Lamps"]);
  inner.heard.push("purchase");
  go("/sofas/red");
  assert.deepEqual(names(inner), ["Lamps", "Sofas"]);
  go("/thanks");
  inner.heard.push("purchase");
  assert.deepEqual(names(inner), ["Lamps", "Sofas", "Bought"]);
});

test("what was begun on a page ends with it", async () => {
  const inner = core();
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  watch(inner, [
    { tag: "Stayed", page: "/lamps/*", dwell: 3 },
    { tag: "Read", page: "/lamps/*", scroll: 0.1 },
    { tag: "Form", page: "/lamps/*", form: "#trial" },
  ]);
  const { scroll, focusin } = listeners;
  mock.timers.tick(500);
  go("/sofas");
  mock.timers.tick(9000);
  scroll();
  focusin({ target: element("#trial") });
  mock.timers.reset();
  await settled();
  assert.deepEqual(names(inner), []);
});

test("without the Navigation API the address is looked at now and then", () => {
  const inner = core();
  delete globalThis.navigation;
  mock.timers.enable({ apis: ["setInterval"] });
  watch(inner, [{ tag: "Sofas", page: "/sofas" }]);
  globalThis.location = new URL("https://shop.example/sofas");
  mock.timers.tick(1000);
  mock.timers.reset();
  assert.deepEqual(names(inner), ["Sofas"]);
});

test("a page that is not all there has not been read", async () => {
  const inner = core();
  mock.timers.enable({ apis: ["setTimeout"] });
  Object.assign(document, { readyState: "loading" });
  document.scrollingElement.scrollHeight = 500;
  watch(inner, [{ tag: "Read", scroll: 0.8 }]);
  mock.timers.tick(1000);
  Object.assign(document, { readyState: "complete" });
  document.scrollingElement.scrollHeight = 2000;
  mock.timers.tick(1000);
  await settled();
  assert.deepEqual(names(inner), []);
  document.scrollingElement.scrollHeight = 600;
  listeners.scroll();
  mock.timers.reset();
  await settled();
  assert.deepEqual(names(inner), ["Read"]);
});

test("a short page counts as read without scrolling, once it is there", async () => {
  const inner = core();
  mock.timers.enable({ apis: ["setTimeout"] });
  document.scrollingElement.scrollHeight = 400;
  watch(inner, [{ tag: "Read", scroll: 0.8 }]);
  mock.timers.tick(1000);
  mock.timers.reset();
  await settled();
  assert.deepEqual(names(inner), ["Read"]);
});

test("a tag that lives shorter than a day is told again within its life", () => {
  const inner = core();
  const on = [{ tag: "Here now", page: "/lamps/*", expires: 3600 }];
  mock.timers.enable({ apis: ["Date"], now: 1_800_000_000_000 });
  watch(inner, on);
  mock.timers.tick(1_000_000);
  watch(inner, on);
  assert.equal(inner.labels.length, 1);
  mock.timers.tick(1_000_000);
  watch(inner, on);
  mock.timers.reset();
  assert.equal(inner.labels.length, 2);
});

test("a path in a rule for links is one of the site's own", () => {
  const inner = core();
  watch(inner, [{ tag: "Prices", link: "/prices/*" }]);
  found.href = "https://other.example/prices/1";
  listeners.click({ target: element("a[href]") });
  assert.deepEqual(names(inner), []);
  found.href = "https://shop.example/prices/1";
  listeners.click({ target: element("a[href]") });
  assert.deepEqual(names(inner), ["Prices"]);
});

test("a page that nobody has before them is not looked at", async () => {
  const inner = core();
  Object.assign(document, {
    visibilityState: "hidden",
    addEventListener: (name, listener) => (listeners[name] = listener),
  });
  watch(inner, [{ tag: "Lamps", page: "/lamps/*" }, { tag: "Bought", event: "purchase" }]);
  inner.heard.push("purchase");
  await settled();
  assert.deepEqual(names(inner), ["Bought"]);
  document.visibilityState = "visible";
  listeners.visibilitychange();
  await settled();
  assert.deepEqual(names(inner), ["Bought", "Lamps"]);
});
