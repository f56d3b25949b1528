// Whatever a shop calls, gives or has: its page goes on, and what counts is told.

import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { oddities } from "./odd.mjs";
import { lazy, page, pushManager, RECEIVER, SITE } from "./support.mjs";

const kept = (browser) => JSON.parse(browser.localStorage.getItem("pushctl")).events;
const told = (browser) => browser.asked.flatMap(({ json }) => json.events ?? []);
const paths = (browser) => browser.asked.map(({ path }) => path);

mock.method(console, "warn", () => {}); // pushctl-fit.js says what it left out

async function subscribed(options) {
  const browser = page(options);
  assert.equal(await browser.pushctl.subscribe(), "granted");
  return browser;
}

test("a browser without randomUUID or digests, as on plain http, keeps what it is told", async () => {
  const getRandomValues = (array) => array.fill(7);
  const browser = page({ crypto: { getRandomValues }, unsupported: true });
  assert.equal(await browser.pushctl.track("page_view"), false);
  assert.equal(await browser.pushctl.cart({ items: [{ id: "lamp", price: 49 }] }), false);
  for (const { id } of kept(browser)) assert.match(id, /^[\w-]{22}$/);
});

test("in a frame without an origin every call resolves", async () => {
  const refused = () => { throw new Error("SecurityError"); };
  const localStorage = { getItem: refused, setItem: refused };
  const browser = page({ origin: "null", localStorage, database: { open: refused } });
  const { pushctl } = browser;
  assert.equal((await pushctl.state()).supported, false);
  assert.equal((await pushctl.state()).subscribed, false);
  assert.equal(await pushctl.unsubscribe(), undefined);
  assert.equal(await pushctl.subscribe(), "unsupported");
  assert.equal(await pushctl.prompt(), "skipped");
  assert.equal(await pushctl.track("page_view"), false);
  assert.deepEqual(browser.warnings, []);
});

test("without storage a call resolves, and says why", async () => {
  const refused = () => { throw new Error("SecurityError"); };
  const browser = page({ database: { open: refused }, permission: "granted" });
  const { pushctl } = browser;
  await pushctl.ready;
  for (const call of ["unsubscribe", "track", "cart", "tag", "prompt", "state", "identify"]) await pushctl[call]();
  assert.equal(await pushctl.subscribe(), "failed");
  assert.ok(browser.warnings.includes("SecurityError"));
});

for (const [what, properties] of Object.entries(oddities())) {
  test(`a purchase with ${what} is told`, async () => {
    const browser = await subscribed();
    assert.equal(await browser.pushctl.track("purchase", properties), true);
    const [event] = told(browser);
    assert.equal(event.name, "purchase");
    if (properties?.total) assert.equal(event.properties.total, 5);
    assert.ok(browser.asked.at(-1).body.length < 8192);
  });
}

test("a thing that no call can mean stops nothing", async () => {
  const { pushctl, warnings } = await subscribed();
  const throwing = new Proxy({}, { get() { throw new Error("theirs"); }, ownKeys() { throw new Error("theirs"); } });
  for (const thing of [null, 7, "x", Symbol("x"), 2n, throwing, () => {}, [null]]) {
    for (const call of ["cart", "track", "tag", "untag", "identify", "push"]) await pushctl[call](thing, thing);
  }
  assert.ok(warnings.length > 5);
  assert.equal(await pushctl.track("later"), true);
});

test("subscribing goes through whatever is said of the person", async () => {
  for (const attributes of Object.values(oddities())) {
    const browser = page();
    assert.equal(await browser.pushctl.subscribe({ attributes }), "granted");
    assert.equal(browser.asked[0].json.chosen, true);
  }
});

test("an old browser has no at() of lists", async () => {
  const browser = await subscribed();
  await browser.pushctl.tag(["lamps", "sofas"], "beds", { days: 30 });
  const names = browser.asked.at(-1).json.add.map(({ name }) => name);
  assert.deepEqual(names, ["lamps", "sofas", "beds"]);
});

// --- baskets ----------------------------------------------------------------------

const cart = async (content) => {
  const browser = await subscribed();
  await browser.pushctl.cart(content);
  return told(browser)[0];
};

test("count and total are of all items, also of those that are not sent", async () => {
  const items = Array.from({ length: 1000 }, (_, id) => ({ id, name: `Lamp ${id}`, price: 0.1, quantity: 3, more: "x".repeat(90) }));
  const { name, properties } = await cart({ items, currency: "EUR" });
  assert.equal(name, "cart_updated");
  assert.deepEqual([properties.count, properties.total, properties.items.length], [3000, 300, 20]);
  assert.deepEqual(properties.items[19], { id: 19, name: "Lamp 19", price: 0.1, quantity: 3 });
});

test("what the shop says of its basket counts", async () => {
  const { properties } = await cart({ items: [{ id: "a", price: 50 }], total: "45,00", count: 2 });
  assert.deepEqual([properties.total, properties.count], ["45,00", 2]);
});

test("a total that can't be known is none", async () => {
  for (const items of [
    [{ price: 5 }, { price: "1.249" }], [{ price: 5 }, {}], [{ price: 5, quantity: "2" }], [{ price: 5, quantity: null }],
    [null], [{ price: 5n }], [{ price: 5, currency: "EUR" }, { price: 5 }],
  ]) {
    assert.equal((await cart({ items })).properties.total ?? null, null, JSON.stringify(items.length));
  }
  assert.equal((await cart({ items: [{ price: 5, quantity: 0.75 }] })).properties.total, 3.75);
});

test("only an empty basket empties it, not a name that is misspelt", async () => {
  const browser = await subscribed();
  for (const wrong of [{}, { itms: [{ id: 1 }] }, { items: undefined }, { items: 3 }, { items: {} }, [{ id: 1 }]])
    assert.equal(await browser.pushctl.cart(wrong), false);
  assert.deepEqual(told(browser), []);
  assert.match(browser.warnings[0], /no items/);
  for (const empty of [undefined, null, { items: [] }, { items: [{ id: 1, quantity: 0 }] }])
    await browser.pushctl.cart(empty);
  assert.ok(!browser.warnings.some((text) => text.includes("need id")));
  // PHP writes a list with holes as an object; the receiver's side takes lists alone.
  await browser.pushctl.cart({ items: { 1: { id: "a", price: 5 }, 4: { id: "b", price: 6 } } });
  const names = told(browser).map(({ name }) => name);
  assert.deepEqual(names, [...Array(4).fill("cart_emptied"), "cart_updated"]);
  const { total, items } = told(browser).at(-1).properties;
  assert.deepEqual([total, items.map(({ id }) => id)], [11, ["a", "b"]]);
});

test("items that no message can name are said in the console", async () => {
  for (const items of [["lamp"], [{ sku: 1, title: "Lamp", cost: 5 }], { id: "lamp", price: 5 }, [{ id: 1 }, null]]) {
    const browser = await subscribed();
    await browser.pushctl.cart({ items });
    assert.match(browser.warnings[0], /pushctl\.cart.*id or name/);
  }
});

const deep = { a: { b: { c: { d: 1 } } } };
const wide = Object.fromEntries(Array.from({ length: 80 }, (_, number) => [`key ${number}`, number]));
for (const [what, oddity] of Object.entries({
  "a name cut inside a letter": { name: "Brass lamp \ud83d" },
  "options of many levels": { options: deep },
  "a number beyond all": { id: 2 ** 60 },
  "eighty keys": wide,
  "the end of a text for C": { name: "Brass\0lamp" },
})) {
  test(`${what} leaves the rest of a basket and of a purchase`, async () => {
    const browser = await subscribed();
    const items = [{ id: "lamp", name: "Brass lamp", price: 49, quantity: 2, ...oddity }, { id: "sofa", price: 1 }];
    assert.equal(await browser.pushctl.cart({ items }), true);
    assert.equal(await browser.pushctl.track("purchase", { total: 12, order: "A1", meta: oddity }), true);
    const [basket, purchase] = told(browser).map(({ properties }) => properties);
    assert.deepEqual([basket.items[0].price, basket.items[1].id, basket.total], [49, "sofa", 99]);
    assert.deepEqual([purchase.total, purchase.order], [12, "A1"]);
    assert.equal(browser.loaded.length, 2);
  });
}

test("what the receiver takes is told as it is", async () => {
  const browser = await subscribed();
  const properties = {
    a: { b: { c: 1 } }, text: "😀 \"x\"", order: "12345678901234567890", none: null, yes: true, list: [[1], {}],
    wide: Object.fromEntries(Object.entries(wide).slice(0, 64)), much: 2 ** 53 - 1,
  };
  await browser.pushctl.track("purchase", properties);
  assert.deepEqual(told(browser)[0].properties, properties);
  assert.deepEqual([browser.loaded, browser.warnings], [[], []]);
});

test("a basket that can't be told empties none", async () => {
  const broken = { get fit() { throw new Error("theirs"); } };
  const browser = await subscribed({ modules: { fit: broken } });
  assert.equal(await browser.pushctl.cart({ items: [{ id: 2 ** 60 }] }), false);
  assert.equal(await browser.pushctl.track("purchase", { total: 2 ** 60 }), true);
  assert.match(browser.warnings.join(), /pushctl\.track.*theirs/);
  browser.answers.push({ status: 400, body: { error: "No." } });
  assert.equal(await browser.pushctl.cart({ items: [{ id: "lamp" }] }), false);
  await browser.pushctl.track("later");
  assert.deepEqual(told(browser).map(({ name, properties }) => [name, Object.keys(properties).length]),
    [["purchase", 0], ["cart_updated", 3], ["later", 0]]);
});

test("an event without a name is none, and an alias's signature has its form", async () => {
  const browser = page();
  for (const name of [undefined, null, { event: "purchase" }, 7])
    assert.equal(await browser.pushctl.track(name), false);
  for (const signature of ["zz", "", "ab".repeat(32), `${"A".repeat(42)}=`])
    assert.equal(await browser.pushctl.identify("customer-7", signature), false);
  assert.equal(browser.warnings.length, 8);
  assert.match(browser.warnings[0], /pushctl\.track\(\)/);
  assert.match(browser.warnings[7], /pushctl\.identify\(\).*43/);
  await browser.pushctl.identify("customer-7", "A".repeat(43));
  await browser.pushctl.subscribe();
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/identify"]);
});

// --- an outage --------------------------------------------------------------------

test("who accepts while the receiver is down is told of on the same page", async () => {
  let down = true;
  const browser = page({ unreachable: () => down });
  assert.equal(await browser.pushctl.subscribe({ language: "ar" }), "failed");
  await browser.pushctl.track("page_view");
  await browser.pass();
  down = false;
  await browser.pass();
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/events"]);
  assert.deepEqual([browser.asked[0].json.language, browser.asked[0].json.chosen], ["ar", true]);
  assert.deepEqual(browser.pauses, [9000, 18_000]);
  assert.equal((await browser.pushctl.state()).subscribed, true);
});

test("a subscription that the browser lost while the receiver is down comes back on the same page", async () => {
  const first = await subscribed();
  first.manager.current = null;
  let down = true;
  const { manager, database, localStorage } = first;
  const next = page({ permission: "granted", manager, database, localStorage, unreachable: () => down });
  await next.pushctl.ready;
  down = false;
  await next.pass();
  assert.deepEqual(paths(next), ["/v1/subscribe"]);
});

test("fifteen calls in an outage wait no longer than one", async () => {
  const browser = await subscribed();
  for (let count = 0; count < 15; count += 1) {
    browser.answers.push("offline");
    await browser.pushctl.track("page_view");
  }
  assert.deepEqual(browser.pauses, [9000]);
  await browser.pass();
  assert.equal(browser.asked.at(-1).json.events.length, 15);
});

test("a long outage is looked at twice a minute, a very long one ever less", async () => {
  const browser = await subscribed();
  browser.answers.push(...Array(60).fill(503));
  await browser.pushctl.track("page_view");
  for (let count = 0; count < 50; count += 1) await browser.pass();
  assert.deepEqual(browser.pauses.slice(0, 4), [9000, 18_000, 27_000, 27_000]);
  assert.equal(Math.max(...browser.pauses.slice(0, 33)), 27_000);
  assert.ok(browser.pauses[50] > 150_000);
});

test("a receiver that never answers keeps no checkout waiting", async () => {
  const clocks = [];
  const AbortSignal = { timeout: (pause) => (clocks.push({ pause }), clocks.at(-1)) };
  const browser = await subscribed({ AbortSignal });
  browser.answers.push({ get status() { return new Promise(() => {}); } });
  clocks.length = 0;
  const waiting = browser.pushctl.track("purchase");
  assert.equal(clocks[0].pause, 5000);
  clocks[0].onabort();
  assert.equal(await waiting, false);
  assert.equal(kept(browser)[0].name, "purchase");
});

// --- a permission that is there already ---------------------------------------------

const modules = { prompt: { prompt: async () => "asked" } };

test("a permission without a subscription of ours is asked for by our own question", async () => {
  const browser = page({ permission: "granted", modules });
  assert.equal(await browser.pushctl.prompt(), "asked");
  assert.equal(await browser.pushctl.subscribe(), "granted");
  assert.equal(await browser.pushctl.prompt(), "skipped");
});

test("whoever turned it off, or is being subscribed, is asked on a click alone", async () => {
  const { prompt } = await lazy("prompt");
  globalThis.location = new URL("/elsewhere", SITE);
  const inner = (known, stored = {}) => ({ update: async () => known, stored: () => stored, store() {} });
  const elsewhere = { pages: "/lamps/*" };
  const asked = async (one, given) => {
    // Whoever may be asked fails at the page that is not there in Node.
    globalThis.document = undefined;
    return prompt(one, given).catch(() => "asked");
  };
  const click = (isActive) => Object.defineProperty(globalThis, "navigator",
    { value: { userActivation: { isActive } }, configurable: true });
  globalThis.Notification = { permission: "granted" };
  click(false);
  assert.equal(await asked(inner(null), { again: true }), "skipped");
  assert.equal(await asked(inner(undefined), { again: true }), "asked");
  click(true);
  assert.equal(await asked(inner(null), { again: true }), "asked");
  assert.equal(await asked(inner(null), {}), "skipped");
  assert.equal(await asked(inner(undefined, { pending: {} }), { again: true }), "skipped");
  assert.equal(await prompt(inner(undefined), elsewhere), "skipped");
});

test("turning it off is remembered", async () => {
  const browser = await subscribed();
  await browser.pushctl.unsubscribe();
  assert.equal(browser.database.values.get("subscription"), null);
});

// --- a push service that fails -------------------------------------------------------

test("a push service that fails is no subscription, and is tried again", async () => {
  const manager = pushManager();
  const { subscribe } = manager;
  manager.subscribe = async () => { throw new Error("Registration failed - push service error"); };
  const browser = page({ manager });
  assert.equal(await browser.pushctl.subscribe(), "failed");
  assert.match(browser.warnings[0], /push service error/);
  assert.deepEqual(browser.asked, []);
  assert.equal(await browser.pushctl.prompt(), "skipped");
  manager.subscribe = subscribe;
  await browser.pass();
  assert.deepEqual(paths(browser), ["/v1/subscribe"]);
});

test("a push service that never answers is none", async () => {
  const clocks = [];
  const AbortSignal = { timeout: (pause) => (clocks.push({ pause }), clocks.at(-1)) };
  const manager = pushManager();
  let asked;
  const reached = new Promise((done) => (asked = done));
  manager.subscribe = () => (asked(), new Promise(() => {}));
  const browser = page({ manager, AbortSignal });
  const answer = browser.pushctl.subscribe();
  await reached;
  clocks.find(({ pause }) => pause === 30_000).onabort();
  assert.equal(await answer, "failed");
});

test("who leaves while the push service thinks has left", async () => {
  const manager = pushManager();
  const { subscribe } = manager;
  let answer, asked;
  const reached = new Promise((done) => (asked = done));
  manager.subscribe = (options) => (asked(), new Promise((done) => (answer = () => done(subscribe(options)))));
  const browser = page({ manager });
  const subscribing = browser.pushctl.subscribe();
  await reached;
  await browser.pushctl.unsubscribe();
  answer();
  await subscribing;
  assert.deepEqual([browser.asked, manager.current.ended], [[], true]);
});

test("another tab that has told the subscription meanwhile keeps it", async () => {
  const one = page();
  const { manager, database, localStorage } = one;
  const other = page({ manager, database, localStorage, permission: "granted", registered: true });
  await Promise.all([one.pushctl.subscribe(), other.pushctl.subscribe()]);
  assert.equal(manager.current.ended, false);
  assert.equal((await one.pushctl.state()).subscribed, true);
});

// --- the rest -----------------------------------------------------------------------

test("what the receiver refuses is not told", async () => {
  const browser = await subscribed();
  for (const call of [["identify", "customer-7", "A".repeat(43)], ["tag", "lamps"], ["track", "page_view"]]) {
    browser.answers.push({ status: 400, body: { error: "No." } });
    assert.equal(await browser.pushctl[call[0]](...call.slice(1)), false, call[0]);
  }
  assert.equal(await browser.pushctl.tag("lamps"), true);
});

test("a name longer than any request is no event, and holds up no other", async () => {
  const browser = page();
  browser.pushctl.track("x".repeat(20_000));
  browser.pushctl.track("later");
  await browser.pushctl.subscribe();
  assert.deepEqual(told(browser).map(({ name }) => name.length), [99, 5]);
});

test("of an event that the receiver refuses the name is told", async () => {
  const browser = await subscribed();
  browser.answers.push({ status: 400, body: { error: "No." } });
  assert.equal(await browser.pushctl.track("purchase", { a: { b: { c: { d: { e: 1 } } } } }), false);
  const [first, second] = told(browser);
  assert.deepEqual(second, { ...first, properties: {} });
  assert.equal(await browser.pushctl.track("later"), true);
  assert.equal(told(browser).length, 3);
});

test("a page says where it is to its own worker alone", () => {
  const { listeners, location } = page();
  const answers = [];
  const port = { postMessage: (text) => answers.push(text) };
  listeners.message({ data: "theirs", ports: [port] });
  listeners.message({ data: null, ports: [] });
  listeners.message({ data: "pushctl", ports: [port] });
  assert.deepEqual(answers, [location.href]);
});

test("what few pages need is loaded by them alone", async () => {
  const browser = await subscribed();
  await browser.pushctl.cart({ items: Array(20).fill({ id: "lamp", name: "Brass lamp", price: 49 }) });
  await browser.pushctl.track("purchase", { total: 49 });
  assert.deepEqual(browser.loaded, []);
  await browser.pushctl.track("purchase", { total: 49n });
  assert.deepEqual(browser.loaded, [`${RECEIVER}/pushctl-fit.js?site=shop`]);
});
