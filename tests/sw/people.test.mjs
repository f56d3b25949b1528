// Whose an order is: the key in the shop's cart, the alias, the hash of an e-mail address.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

import { page, pushManager, SITE, subscription } from "./support.mjs";

// What is loaded when it is needed runs outside of the page that asks for it here.
globalThis.location = new URL("/basket", SITE);

const HASH = "0123456789abcdef".repeat(4);
const SIGNATURE = "A".repeat(43);
const kept = (browser) => JSON.parse(browser.localStorage.getItem("pushctl") ?? "{}");
const told = (browser) => browser.asked.map(({ path, json }) => [path, json.cart]);

async function subscribed(options = {}) {
  const browser = page(options);
  await browser.pushctl.ready;
  assert.equal(await browser.pushctl.subscribe(), "granted");
  return browser;
}

// The key is told beside the call: until the receiver has heard of *count* subscriptions.
async function heard(browser, count) {
  while (browser.asked.filter(({ path }) => path === "/v1/subscribe").length < count)
    await new Promise((done) => setImmediate(done));
  // And what follows is done.
  await browser.pushctl.identify("customer-7");
  browser.asked.pop();
}

test("a cart's key is random, stays the same, and is told by whoever subscribes later", async () => {
  const browser = page();
  const key = await browser.pushctl.cartKey();
  assert.match(key, /^[\w-]{22}$/);
  assert.equal(await browser.pushctl.cartKey(), key);
  assert.notEqual(await page().pushctl.cartKey(), key);
  const { localStorage } = browser;
  const next = await subscribed({ localStorage });
  assert.equal(await next.pushctl.cartKey(), key);
  await next.pushctl.track("page_view");
  await next.pushctl.identify("customer-7", SIGNATURE);
  await next.pushctl.tag("lamps");
  assert.deepEqual(told(next), [
    ["/v1/subscribe", key], ["/v1/events", key], ["/v1/identify", key], ["/v1/tags", undefined],
  ]);
});

test("who has subscribed tells a new key at once, and once", async () => {
  const browser = await subscribed();
  assert.equal(browser.asked[0].json.cart, undefined);
  const key = await browser.pushctl.cartKey();
  await heard(browser, 2);
  assert.deepEqual(told(browser)[1], ["/v1/subscribe", key]);
  // That is no wish of the person's.
  assert.equal(browser.asked[1].json.chosen, undefined);
  await browser.pushctl.cartKey();
  await heard(browser, 2);
  assert.equal(browser.asked.length, 2);
});

test("a key goes along to a new endpoint", async () => {
  const browser = await subscribed();
  const key = await browser.pushctl.cartKey();
  await heard(browser, 2);
  const next = page({
    permission: "granted", registered: true, ...browser, manager: pushManager(subscription(5)), early: undefined,
  });
  await next.pushctl.ready;
  assert.deepEqual(told(next), [["/v1/subscribe", key]]);
  assert.ok(next.asked[0].json.previous);
});

test("where nothing is tracked there is no key, and an earlier one is told to nobody", async () => {
  const quiet = page({ navigator: { globalPrivacyControl: true } });
  assert.equal(await quiet.pushctl.cartKey(), null);
  assert.equal(kept(quiet).cart, undefined);

  const browser = await subscribed();
  const key = await browser.pushctl.cartKey();
  await heard(browser, 2);
  await browser.pushctl.consent({ tracking: false });
  assert.equal(await browser.pushctl.cartKey(), null);
  assert.equal(kept(browser).cart, undefined);
  const before = browser.asked.length;
  await browser.pushctl.identify(null);
  assert.deepEqual(told(browser).slice(before), [["/v1/identify", undefined]]);
  await browser.pushctl.consent({ tracking: true });
  assert.notEqual(await browser.pushctl.cartKey(), key);

  const { localStorage } = page();
  localStorage.setItem("pushctl", JSON.stringify({ cart: "B".repeat(22) }));
  const later = await subscribed({ localStorage, navigator: { globalPrivacyControl: true } });
  await later.pushctl.identify(null);
  assert.deepEqual(told(later), [["/v1/subscribe", undefined], ["/v1/identify", undefined]]);
});

test("a hash of an e-mail address goes with the alias, or alone", async () => {
  const browser = await subscribed();
  const person = { alias: "customer-7", signature: SIGNATURE, emailHash: HASH };
  assert.equal(await browser.pushctl.identify(person), true);
  assert.equal(await browser.pushctl.identify({ emailHash: HASH }), true);
  assert.equal(await browser.pushctl.identify({ alias: null }), true);
  const [, ...asked] = browser.asked.map(({ json: { endpoint, ...rest } }) => rest);
  assert.deepEqual(asked, [
    { alias: "customer-7", signature: SIGNATURE, email_hash: HASH }, { email_hash: HASH }, { alias: null },
  ]);
});

test("what is no hash is told to nobody, and named", async () => {
  const browser = await subscribed();
  for (const emailHash of ["ada@shop.example", "AB".repeat(32), "ab", 7])
    assert.equal(await browser.pushctl.identify({ alias: "customer-7", emailHash }), false);
  assert.equal(await browser.pushctl.identify({}), false);
  assert.equal(browser.asked.length, 1);
  assert.equal(browser.warnings.length, 5);
  for (const warning of browser.warnings) assert.match(warning, /identify\(\): .*emailHash: 64/);
});

test("who refuses tracking is not called by a hash either", async () => {
  const browser = page();
  await browser.pushctl.identify({ emailHash: HASH });
  await browser.pushctl.consent({ tracking: false });
  assert.equal(kept(browser).alias, undefined);
  assert.equal(await browser.pushctl.identify({ emailHash: HASH }), false);
  assert.equal(kept(browser).alias, undefined);
});

test("a hash that comes while the alias is being told is not forgotten", async () => {
  const browser = await subscribed();
  const first = browser.pushctl.identify("customer-7");
  const second = browser.pushctl.identify({ alias: "customer-7", emailHash: HASH });
  await Promise.all([first, second]);
  assert.equal(browser.asked.at(-1).json.email_hash, HASH);
});

// The lines that docs/embedding.md shows for shops, run on a page with such a shop's form.
async function runExamples(pushctl) {
  const docs = readFileSync(new URL("../../docs/embedding.md", import.meta.url), "utf8");
  const examples = [...docs.matchAll(/```js\n(pushctl\.cartKey\(\).*?)\n```/gs)].map(([, code]) => code);
  assert.equal(examples.length, 4);
  const [asked, fields, cookies] = [{}, {}, []];
  for (const code of examples) {
    const form = {
      querySelector: (selector) => (fields[selector] ??= {}),
      set cookie(text) {
        cookies.push(text.split(";")[0]);
      },
    };
    const fetch = (path, { body }) => (asked[path] = JSON.parse(body));
    await vm.runInNewContext(code, { pushctl, fetch, document: form });
  }
  return { asked, fields, cookies };
}

test("the lines for shops put the key where it comes back", async () => {
  const { pushctl } = page();
  const key = await pushctl.cartKey();
  const { asked, fields, cookies } = await runExamples(pushctl);
  assert.deepEqual(asked["/cart/update.js"], { attributes: { _pushctl: key } });
  assert.deepEqual(asked["/create-checkout-session"], { cart: key });
  assert.deepEqual(cookies, [`pushctl_key=${key}`]);
  assert.equal(fields["#buy [name=order-ext-ref]"].value, key);
});

test("the lines for shops put nothing there where nothing is tracked", async () => {
  const { asked, fields, cookies } = await runExamples(page({ navigator: { globalPrivacyControl: true } }).pushctl);
  assert.deepEqual(asked, { "/create-checkout-session": { cart: null } });
  assert.deepEqual(cookies, []);
  assert.deepEqual(fields["#buy [name=order-ext-ref]"], undefined);
});
