// Bought while the reminder was in the air: the worker thanks in its place.

import assert from "node:assert/strict";
import test from "node:test";

import { declarative, notification, page, SITE, TOKEN, worker } from "./support.mjs";

const SENT = 1_764_000_000_000;
const BOUGHT = {
  title: "Thank you", body: "Your lamp is being packed.", navigate: `${SITE}/orders`,
  lang: "en", dir: "ltr", tag: "basket",
};
const reminder = (more) => declarative({
  tag: "basket", image: `${SITE}/lamp.jpg`,
  actions: [{ action: "basket", title: "To my basket", navigate: `${SITE}/cart` }],
  data: { pushctl: TOKEN, at: SENT, bought: BOUGHT, ...more },
});

function afterPurchase(at) {
  const browser = worker({ icon: `${SITE}/icon.png` });
  browser.database.values.set("subscription", { endpoint: "https://push.example/1", bought: at });
  return browser;
}

test("who bought after it was sent is thanked, and nothing else is shown or counted", async () => {
  const browser = afterPurchase(SENT + 1);
  await browser.push(reminder());
  const [shown, ...more] = browser.shown;
  assert.deepEqual(more, []);
  assert.equal(shown.title, BOUGHT.title);
  assert.equal(shown.body, BOUGHT.body);
  assert.equal(shown.tag, "basket");
  assert.equal(shown.icon, `${SITE}/icon.png`);
  assert.equal(shown.image, undefined);
  assert.deepEqual([...shown.actions], []);
  assert.deepEqual(browser.asked.map(({ json }) => [json.message, json.kind]), [[TOKEN, "bought"]]);
  // A click leads to the orders, and is no click of the campaign; nor is closing it told.
  await browser.happen("notificationclick", { notification: notification(shown), action: "" });
  await browser.happen("notificationclose", { notification: notification(shown) });
  assert.deepEqual(browser.opened, [BOUGHT.navigate]);
  assert.equal(browser.asked.length, 1);
});

for (const [what, at] of [["before it was sent", SENT], ["never", undefined]]) {
  test(`who bought ${what} is reminded`, async () => {
    const browser = afterPurchase(at);
    await browser.push(reminder());
    assert.equal(browser.shown[0].title, "Your basket waits");
    assert.equal(browser.shown[0].actions.length, 1);
    assert.equal(browser.asked[0].json.kind, "shown");
  });
}

test("without a text for it a purchase changes nothing", async () => {
  const browser = afterPurchase(SENT + 1);
  await browser.push(reminder({ bought: undefined }));
  assert.equal(browser.shown[0].title, "Your basket waits");
});

for (const [what, open] of [
  ["refuses", () => { throw new Error("SecurityError"); }],
  ["never answers", () => ({})],
]) {
  test(`a storage that ${what} does not cost the notification`, async () => {
    const browser = afterPurchase(SENT + 1);
    const { open: opens } = browser.database;
    let times = 0;
    // It answers later: the report after it is not what is tested.
    browser.database.open = () => times++ ? opens() : open();
    await browser.push(reminder());
    assert.equal(browser.shown[0].title, "Your basket waits");
  });
}

async function subscribed(options) {
  const browser = page(options);
  assert.equal(await browser.pushctl.subscribe(), "granted");
  return browser;
}

const kept = ({ database }) => database.values.get("subscription");

test("the page leaves the time of a purchase where the worker can read it", async () => {
  const browser = await subscribed();
  await browser.pushctl.track("page_view", {});
  assert.equal(kept(browser).bought, undefined);
  browser.clock.now += 5000;
  await browser.pushctl.track("purchase", { total: 49, currency: "EUR", order: "A1" });
  assert.equal(kept(browser).bought, browser.clock.now);
  assert.ok(kept(browser).endpoint);
});

test("the time of a purchase outlives a new announcement of the subscription", async () => {
  const browser = await subscribed();
  await browser.pushctl.track("purchase", { order: "A1" });
  const { bought } = kept(browser);
  assert.equal(await browser.pushctl.subscribe({ tags: ["vip"] }), "granted");
  assert.equal(kept(browser).bought, bought);
});

test("a purchase is kept although the receiver can't be reached", async () => {
  const browser = await subscribed();
  browser.answers.push("offline");
  await browser.pushctl.track("purchase", { order: "A1" });
  assert.equal(kept(browser).bought, browser.clock.now);
});

test("somebody who does not want to be followed leaves no time of a purchase", async () => {
  const browser = await subscribed({ navigator: { globalPrivacyControl: true } });
  await browser.pushctl.track("purchase", { order: "A1" });
  assert.equal(kept(browser).bought, undefined);
});
