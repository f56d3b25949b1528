import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import test from "node:test";

import { encode, memoryStorage, page, pushManager, SITE, subscription } from "./support.mjs";

const OLD = "/OneSignalSDKWorker.js";
const THEIRS = encode(Uint8Array.from({ length: 65 }, (_, i) => 255 - i));

globalThis.location = new URL("/basket", SITE);
globalThis.Notification = { permission: "granted" };

// What the browser has of the former service; `registrations` are those of the whole site.
function former(number = 1, { file = `${OLD}?appId=1`, scope = "/", held = true } = {}) {
  const its = subscription(number, THEIRS);
  const one = {
    scope: SITE + scope,
    active: { scriptURL: SITE + file },
    pushManager: pushManager(held ? its : null),
    its,
    unregistered: false,
    async unregister() {
      one.unregistered = true;
      return true;
    },
  };
  return one;
}

function site(...registrations) {
  const serviceWorker = {
    getRegistrations: async () => registrations.filter((one) => !one.unregistered),
  };
  Object.defineProperty(globalThis, "navigator", { value: { serviceWorker }, configurable: true });
  return registrations;
}

async function visit(given = {}) {
  const browser = page({ permission: "granted", ...given });
  await browser.pushctl.ready;
  return browser;
}

const next = ({ database, localStorage, manager, registered }, more = {}) =>
  visit({ database, localStorage, manager, registered: registered.length > 0, ...more });

test("who allowed it to a former service comes along, and is not asked", async () => {
  const [old] = site(former());
  const browser = await visit();
  assert.equal(await browser.pushctl.adopt({ old: OLD }), "adopted");
  const [{ json }] = browser.asked;
  assert.equal(browser.asked.length, 1);
  assert.equal(browser.Notification.asked, 0);
  assert.deepEqual([json.adopted, json.source, json.chosen], [true, "adopted", undefined]);
  assert.equal(json.previous, old.its.endpoint);
  const [seconds, sealed] = json.previous_signature.split(".");
  const digest = createHash("sha256").update(json.subscription.endpoint).digest("hex");
  const mac = createHmac("sha256", Buffer.from(old.its.getKey("auth")))
    .update(`POST\n/v1/subscribe#previous\n${seconds}\n${digest}`).digest("base64url");
  assert.equal(sealed, mac);
  assert.ok(old.its.ended && old.unregistered);
  assert.equal(await browser.pushctl.adopt({ old: OLD }), "skipped");
  assert.equal(browser.asked.length, 1);
});

test("the former subscription ends after ours is taken, and not before", async () => {
  const [old] = site(former());
  const browser = await visit();
  browser.answers.push("offline");
  assert.equal(await browser.pushctl.adopt({ old: [OLD, "/push/onesignal/OneSignalSDKWorker.js"] }), "failed");
  assert.ok(!old.its.ended && !old.unregistered);
  // The next visit tells it; and the one after that ends it, where that one was left too early.
  const later = await next(browser);
  assert.equal(later.asked[0].json.previous, old.its.endpoint);
  assert.equal(later.asked[0].json.adopted, true);
  assert.ok(!old.its.ended);
  const last = await next(later);
  assert.equal(await last.pushctl.adopt({ old: OLD }), "adopted");
  assert.ok(old.its.ended && old.unregistered);
  assert.deepEqual(last.asked, []);
});

test("what the receiver refuses for good leaves the former one", async () => {
  const [old] = site(former());
  const browser = await visit();
  browser.answers.push(400, 400);
  assert.equal(await browser.pushctl.adopt({ old: OLD }), "failed");
  assert.ok(!old.its.ended && !old.unregistered);
});

test("where there is nothing to take over, nothing happens", async () => {
  const [other, empty] = site(former(1, { file: "/app-sw.js" }), former(2, { held: false }));
  const browser = await visit();
  assert.equal(await browser.pushctl.adopt({ old: OLD }), "skipped");
  assert.ok(!other.unregistered && !other.its.ended, "a worker of the site's own stays");
  assert.ok(!empty.unregistered, "who has left there is not taken along");
  assert.deepEqual([browser.asked, browser.manager.made], [[], []]);
  const unasked = await visit({ permission: "default" });
  assert.equal(await unasked.pushctl.adopt({ old: OLD }), "skipped");
  assert.deepEqual(unasked.loaded, [], "nor is anything loaded");
});

test("who has turned it off here is not taken along", async () => {
  site();
  const browser = await visit({ permission: "default" });
  await browser.pushctl.subscribe();
  await browser.pushctl.unsubscribe();
  const [old] = site(former());
  const later = await next(browser, { localStorage: memoryStorage() });
  assert.equal(await later.pushctl.adopt({ old: OLD }), "skipped");
  assert.ok(!old.its.ended);
  assert.deepEqual(later.asked, []);
});

test("in our own scope ours takes the former one's place", async () => {
  const [old] = site(former(1, { scope: "/pushctl/" }));
  const browser = await visit({ manager: old.pushManager, registered: true });
  assert.equal(await browser.pushctl.adopt({ old: OLD }), "adopted");
  const [{ json }] = browser.asked;
  assert.equal(json.previous, old.its.endpoint);
  assert.notEqual(json.subscription.endpoint, old.its.endpoint);
  assert.ok(old.its.ended && !old.unregistered, "the registration is ours now");
});

test("what fails between there is told at the next visit, with the same proof", async () => {
  const [old] = site(former(1, { scope: "/pushctl/" }));
  const { subscribe } = old.pushManager;
  old.pushManager.subscribe = async () => {
    throw new Error("no push service");
  };
  const browser = await visit({ manager: old.pushManager, registered: true });
  assert.equal(await browser.pushctl.adopt({ old: OLD }), "failed");
  old.pushManager.subscribe = subscribe;
  const later = await next(browser);
  assert.equal(later.asked[0].json.previous, old.its.endpoint);
  assert.equal(later.asked[0].json.adopted, true);
});

test("with Global Privacy Control the source is not told, and no welcome begins", async () => {
  site(former());
  const browser = await visit({ navigator: { globalPrivacyControl: true } });
  assert.equal(await browser.pushctl.adopt({ old: OLD }), "adopted");
  const [{ json }] = browser.asked;
  assert.deepEqual([json.adopted, json.source], [true, undefined]);
});

test("an invitation that has not come yet leaves the former one", async () => {
  const [old] = site(former());
  const browser = await visit();
  const asked = await browser.pushctl.adopt({ old: OLD, ask: { pages: ["/elsewhere"] } });
  assert.equal(asked, "skipped");
  assert.ok(!old.its.ended);
  assert.deepEqual([browser.asked, browser.manager.made], [[], []]);
});

test("an address that is none is said in the console", async () => {
  site(former());
  const browser = await visit();
  assert.equal(await browser.pushctl.adopt(), "failed");
  assert.match(browser.warnings.join(), /pushctl.adopt\(\): old: the former worker's address/);
});
