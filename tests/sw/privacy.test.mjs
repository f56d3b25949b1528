import assert from "node:assert/strict";
import test from "node:test";

import { page, RECEIVER, SITE } from "./support.mjs";

// What is loaded when it is needed runs outside of the page that asks for it here.
globalThis.location = new URL("/basket?utm_source=letter", SITE);

const DAY = 86_400_000;
const quiet = { navigator: { globalPrivacyControl: true } };
const kept = (browser) => JSON.parse(browser.localStorage.getItem("pushctl") ?? "{}");

test("Global Privacy Control: nothing is tracked, not even kept", async () => {
  const browser = page(quiet);
  assert.equal(await browser.pushctl.track("page_view"), false);
  assert.equal(await browser.pushctl.cart({ items: [{ id: "lamp" }], total: 1, currency: "EUR" }), false);
  assert.equal(await browser.pushctl.tag("Abandoned basket 1"), false);
  assert.equal(await browser.pushctl.identify("customer-7", "A".repeat(43)), false);
  assert.deepEqual(kept(browser), {});
  await browser.pushctl.subscribe();
  const [{ path, json }] = browser.asked;
  assert.equal(browser.asked.length, 1);
  assert.equal(path, "/v1/subscribe");
  assert.deepEqual([json.page, json.referrer, json.source], [undefined, undefined, undefined]);
  assert.equal(json.language, "en-GB");
});

test("what people do themselves goes through all the same", async () => {
  const browser = page(quiet);
  await browser.pushctl.subscribe({ tags: ["lamps"] });
  await browser.pushctl.tag("sofas", { chosen: true });
  await browser.pushctl.untag("lamps");
  await browser.pushctl.unsubscribe();
  const [first, second, third, fourth] = browser.asked;
  assert.deepEqual(first.json.tags, ["lamps"]);
  assert.deepEqual(second.json.add, ["sofas"]);
  assert.deepEqual(third.json.remove, ["lamps"]);
  assert.equal(fourth.path, "/v1/unsubscribe");
});

test("tag rules are not even loaded then", async () => {
  const rules = { watch() {} };
  const loud = page({ settings: { rules: true }, modules: { rules } });
  const still = page({ settings: { rules: true }, modules: { rules }, ...quiet });
  await Promise.all([loud.pushctl.ready, still.pushctl.ready]);
  assert.deepEqual(loud.loaded, [`${RECEIVER}/pushctl-rules.js?site=shop`]);
  assert.deepEqual(still.loaded, []);
  assert.deepEqual(page({ modules: { rules } }).loaded, []);
});

test("consent goes with the subscription: which words, when, where", async () => {
  const browser = page();
  await browser.pushctl.consent({ text: "2026-11" });
  await browser.pushctl.subscribe();
  const { consent } = browser.asked[0].json;
  assert.equal(consent.text, "2026-11");
  assert.equal(consent.page, "https://shop.example/basket");
  assert.ok(Math.abs(consent.at - Date.now()) < 10_000);
});

test("consent given later is told at once", async () => {
  const browser = page();
  await browser.pushctl.ready;
  await browser.pushctl.subscribe();
  assert.equal(browser.asked[0].json.consent, undefined);
  assert.equal((await browser.pushctl.consent({ text: "2026-12" })).text, "2026-12");
  assert.equal(browser.asked[1].json.consent.text, "2026-12");
  assert.equal(browser.asked[1].json.consent.tracking, undefined);
});

test("a no to tracking stops it, and drops what was not yet told", async () => {
  const browser = page();
  await browser.pushctl.track("page_view");
  await browser.pushctl.tag("lamps");
  await browser.pushctl.consent({ tracking: false });
  await browser.pushctl.track("page_view");
  await browser.pushctl.subscribe();
  assert.deepEqual(browser.asked.map(({ path }) => path), ["/v1/subscribe"]);
  await browser.pushctl.consent({ tracking: true });
  assert.equal(await browser.pushctl.track("page_view"), true);
});

test("only a yes to tracking is one", async () => {
  for (const said of ["no", "false", "true", 0, 1, null, {}]) {
    const browser = page();
    await browser.pushctl.consent({ tracking: said });
    assert.equal(await browser.pushctl.track("page_view"), false);
    assert.equal(kept(browser).events?.length ?? 0, 0, `${said}`);
  }
  for (const said of [false, null, "no"]) {
    const browser = page();
    await browser.pushctl.consent(said);
    await browser.pushctl.track("page_view");
    assert.equal(kept(browser).events?.length ?? 0, 0, `${said}`);
  }
  const browser = page();
  await browser.pushctl.consent({ text: "2026-11" });
  await browser.pushctl.track("page_view");
  assert.equal(kept(browser).events.length, 1);
});

test("a tag with an end says how long it still lives when it is told", async () => {
  const browser = page();
  browser.pushctl.tag("lamps", { days: 30 });
  browser.pushctl.tag("sofas");
  browser.clock.now += DAY;
  await browser.pushctl.subscribe();
  const { add } = browser.asked.at(-1).json;
  assert.deepEqual(add, [{ name: "lamps", seconds: 29 * 86_400 }, "sofas"]);
});

test("the invitation is loaded for those alone who may be asked", async () => {
  const asked = [];
  const modules = { prompt: { prompt: async (inner, options) => (asked.push(options), "later") } };
  assert.equal(await page({ modules, permission: "denied" }).pushctl.prompt(), "skipped");
  assert.equal(await page({ modules, unsupported: true }).pushctl.prompt(), "skipped");
  const fresh = page({ modules });
  assert.equal(await fresh.pushctl.prompt({ kind: "bar" }), "later");
  assert.deepEqual(asked, [{ kind: "bar" }]);
  assert.deepEqual(fresh.loaded, [`${RECEIVER}/pushctl-prompt.js?site=shop`]);
});

test("an iPhone's browser is told how to get there, its home screen's app is asked", async () => {
  const modules = { prompt: { prompt: async () => "later" } };
  const browser = page({ modules, unsupported: true, navigator: { standalone: false } });
  assert.equal(await browser.pushctl.prompt(), "later");
  const app = page({ modules, navigator: { standalone: true } });
  assert.equal(await app.pushctl.prompt(), "later");
});

test("a bell stands there for subscribers too", async () => {
  const modules = { prompt: { prompt: async () => "granted" } };
  const browser = page({ modules });
  await browser.pushctl.subscribe();
  assert.equal(await browser.pushctl.prompt({ kind: "bell" }), "granted");
  assert.equal(await browser.pushctl.prompt({ kind: "card" }), "skipped");
});

test("without tracking a subscription says what was chosen, and nothing else", async () => {
  const browser = page();
  await browser.pushctl.consent({ tracking: false });
  const options = { language: "tr", tags: ["lamps"], source: "letter", attributes: { plan: "gold" } };
  await browser.pushctl.subscribe(options);
  const { language, tags, chosen, source, attributes } = browser.asked[0].json;
  assert.deepEqual([language, tags, chosen], ["tr", ["lamps"], true]);
  assert.deepEqual([source, attributes, browser.asked[0].json.page], [undefined, undefined, undefined]);
});

test("a tag that has ended before it could be told is not told", async () => {
  const browser = page();
  browser.pushctl.tag("Flash sale", { days: 1 });
  browser.clock.now += 60 * DAY;
  await browser.pushctl.subscribe();
  assert.deepEqual(browser.asked.map(({ path }) => path), ["/v1/subscribe"]);
  browser.pushctl.tag("lamps", { days: 1 / 86_400 });
  await browser.pushctl.untag("sofas");
  const { add, remove } = browser.asked[1].json;
  assert.deepEqual([add, remove], [[{ name: "lamps", seconds: 60 }], ["sofas"]]);
});

test("a no to tracking does not keep what takes away from being told", async () => {
  const browser = page();
  await browser.pushctl.subscribe();
  await browser.pushctl.identify("customer-7", "A".repeat(43));
  browser.answers.push("offline", "offline", "offline");
  await browser.pushctl.tag("lamps");
  await browser.pushctl.untag("sofas");
  await browser.pushctl.identify(null);
  await browser.pushctl.consent({ tracking: false });
  const last = (path) => browser.asked.findLast((one) => one.path === path).json;
  const { add, remove } = last("/v1/tags");
  assert.deepEqual([add, remove, last("/v1/identify").alias], [[], ["sofas"], null]);
});

test("who was to be called by a name is not, after a no to tracking", async () => {
  const browser = page();
  await browser.pushctl.identify("customer-7", "A".repeat(43));
  await browser.pushctl.consent({ tracking: false });
  assert.equal(kept(browser).alias, undefined);
});

test("a no to tracking is told once, and a yes takes it back", async () => {
  const browser = page();
  await browser.pushctl.subscribe();
  assert.equal(browser.asked[0].json.tracking, undefined);
  for (const tracking of [true, false, false, "no", null, true, true]) await browser.pushctl.consent({ tracking });
  const told = browser.asked.slice(1).map(({ path, json }) => [path, json.tracking, json.chosen]);
  assert.deepEqual(told, [["/v1/subscribe", false, undefined], ["/v1/subscribe", true, undefined]]);
});

test("a no to tracking is told by whoever subscribes later, and again when nobody heard it", async () => {
  const browser = page();
  await browser.pushctl.consent({ tracking: false });
  await browser.pushctl.subscribe();
  assert.equal(browser.asked[0].json.tracking, false);
  browser.answers.push("offline");
  await browser.pushctl.consent({ tracking: true });
  await browser.pass();
  assert.deepEqual(browser.asked.map(({ json }) => json.tracking), [false, true, true]);
});

test("a no that no receiver was told before is told within a day", async () => {
  const browser = page();
  await browser.pushctl.subscribe();
  browser.localStorage.setItem("pushctl", JSON.stringify({ ...kept(browser), consent: { tracking: false } }));
  const next = page({ permission: "granted", registered: true, ...browser, early: undefined });
  next.clock.now += 2 * DAY;
  await next.pushctl.consent({ tracking: false });
  await next.pushctl.ready;
  assert.deepEqual(next.asked.map(({ json }) => json.tracking), [false]);
});

test("a no to tracking is no new consent", async () => {
  const browser = page();
  const { at, page: where } = await browser.pushctl.consent({ text: "2026-11" });
  await browser.pushctl.subscribe();
  browser.clock.now += 40 * DAY;
  const after = await browser.pushctl.consent({ tracking: false });
  assert.deepEqual({ ...after }, { text: "2026-11", at, page: where, tracking: false });
  const other = page();
  assert.deepEqual({ ...(await other.pushctl.consent({ tracking: false })) }, { tracking: false });
  const told = browser.asked.map(({ json }) => json.consent);
  for (const one of told) assert.deepEqual(one, { text: "2026-11", at, page: where });
});
