import assert from "node:assert/strict";
import test from "node:test";

import { declarative, KEY, notification, RECEIVER, SITE, subscription, tab, TOKEN, worker }
  from "./support.mjs";

test("a new worker takes over at once", async () => {
  const browser = worker();
  await browser.happen("install");
  await browser.happen("activate");
  assert.deepEqual(browser.order.slice(0, 2), ["skipWaiting", "claim"]);
});

test("a push is shown as it was written", async () => {
  const browser = worker();
  await browser.push(declarative({ tag: "basket", image: "https://shop.example/lamp.jpg" }));
  const [shown] = browser.shown;
  assert.equal(shown.title, "Your basket waits");
  assert.equal(shown.body, "The brass lamp is still in it.");
  assert.equal(shown.lang, "en");
  assert.equal(shown.tag, "basket");
  assert.equal(shown.image, "https://shop.example/lamp.jpg");
});

test("Arabic keeps its direction", async () => {
  const browser = worker();
  await browser.push(declarative({ title: "سلّتك بانتظارك", lang: "ar", dir: "rtl" }));
  assert.equal(browser.shown[0].dir, "rtl");
  assert.equal(browser.shown[0].title, "سلّتك بانتظارك");
});

test("shown first, reported after", async () => {
  const browser = worker();
  await browser.push(declarative());
  assert.deepEqual(browser.order, ["show", "fetch"]);
  const [report] = browser.asked;
  assert.equal(report.url, `${RECEIVER}/v1/reports`);
  assert.equal(report.json.message, TOKEN);
  assert.equal(report.json.kind, "shown");
  assert.equal(report.keepalive, true);
  assert.equal(report.headers["Content-Type"], "text/plain");
});

for (const [what, payload] of [
  ["an empty push", null],
  ["a garbled push", "{not json"],
  ["null", "null"],
  ["a number", "7"],
  ["a list", "[]"],
  ["no notification in it", "{}"],
  ["a notification that is text", '{"notification": "hello"}'],
  ["a title that is no text", '{"notification": {"title": 5, "actions": "none", "data": 3}}'],
]) {
  test(`${what} still shows something`, async () => {
    const browser = worker({ icon: "https://shop.example/icon.png" });
    await browser.push(payload);
    assert.equal(browser.shown.length, 1);
    assert.equal(browser.shown[0].title, "Lamp & Loom");
    assert.equal(browser.shown[0].icon, "https://shop.example/icon.png");
    assert.deepEqual(browser.asked, []);
  });
}

test("without a brand the site's name is shown", async () => {
  const browser = worker({ name: "" });
  await browser.push(null);
  assert.equal(browser.shown[0].title, "shop.example");
});

test("an option that the browser refuses does not cost the notification", async () => {
  const browser = worker();
  browser.self.refuse = (options) => options.dir === "sideways";
  await browser.push(declarative({ dir: "sideways" }));
  assert.equal(browser.shown.length, 1);
  assert.equal(browser.shown[0].body, "The brass lamp is still in it.");
  assert.equal(browser.asked[0].json.kind, "shown");
});

test("what could not be shown is not reported as shown", async () => {
  const browser = worker();
  browser.self.refuse = () => true;
  await browser.push(declarative());
  assert.equal(browser.shown.length, 0);
  assert.deepEqual(browser.asked, []);
});

test("Safari's own reading of the declaration is used", async () => {
  const browser = worker();
  const read = { title: "Your basket waits", body: "", data: { pushctl: TOKEN } };
  await browser.happen("push", { data: null, notification: read });
  assert.equal(browser.shown[0].title, "Your basket waits");
  assert.equal(browser.asked[0].json.message, TOKEN);
});

async function clicked(browser, payload, action = "") {
  await browser.push(payload);
  const shown = notification(browser.shown[0]);
  await browser.happen("notificationclick", { notification: shown, action });
  return shown;
}

test("a click closes, opens the page and is reported", async () => {
  const browser = worker();
  const shown = await clicked(browser, declarative());
  assert.equal(shown.closed, true);
  assert.deepEqual(browser.opened, [`${SITE}/basket?from=push`]);
  assert.equal(browser.asked.at(-1).json.kind, "clicked");
  assert.equal(browser.asked.at(-1).json.action, undefined);
});

test("a click focuses the tab that shows the page already", async () => {
  const browser = worker();
  let focused = 0;
  browser.tabs.push(tab(`${SITE}/`, `${SITE}/`, () => assert.fail("another page")));
  const there = `${SITE}/basket?from=push#top`;
  browser.tabs.push(tab(there, there, async () => (focused += 1)));
  await clicked(browser, declarative());
  assert.equal(focused, 1);
  assert.deepEqual(browser.opened, []);
});

test("a tab that can't be focused is opened anew", async () => {
  const browser = worker();
  const focus = async () => { throw new TypeError("gone"); };
  browser.tabs.push(tab(`${SITE}/basket?from=push`, undefined, focus));
  await clicked(browser, declarative());
  assert.deepEqual(browser.opened, [`${SITE}/basket?from=push`]);
});

test("what a tab shows counts, not where it was loaded", async () => {
  const browser = worker();
  let focused = 0;
  const there = `${SITE}/basket?from=push`;
  browser.tabs.push(tab(there, `${SITE}/lamps`, () => assert.fail("another page by now")));
  browser.tabs.push(tab(`${SITE}/`, there, async () => (focused += 1)));
  await clicked(browser, declarative());
  assert.deepEqual([focused, browser.opened], [1, []]);
});

test("a tab that does not answer may show anything: a new one is opened", async () => {
  const browser = worker();
  browser.tabs.push(tab(`${SITE}/basket?from=push`, null, () => assert.fail("it may show anything")));
  await clicked(browser, declarative());
  assert.deepEqual(browser.opened, [`${SITE}/basket?from=push`]);
});

test("a report's id needs no newer browser than push does", async () => {
  const browser = worker();
  await browser.push(declarative());
  assert.match(browser.asked[0].json.id, /^[\w-]{22}$/);
});

test("a button leads where it says, and is told by its name", async () => {
  const browser = worker();
  const actions = [{ action: "buy", title: "Buy", navigate: "/checkout" }, { action: "later", title: "Later" }];
  await clicked(browser, declarative({ actions }), "buy");
  assert.deepEqual(browser.opened, [`${SITE}/checkout`]);
  assert.equal(browser.asked.at(-1).json.action, "buy");
});

test("a button without an address leads where the message does", async () => {
  const browser = worker();
  await clicked(browser, declarative({ actions: [{ action: "look", title: "Look" }] }), "look");
  assert.deepEqual(browser.opened, [`${SITE}/basket?from=push`]);
});

for (const navigate of ["javascript:alert(1)", "data:text/html,hi", "https://", 7, undefined]) {
  test(`a click on ${navigate} opens the site's front page`, async () => {
    const browser = worker();
    await clicked(browser, declarative({ navigate }));
    assert.deepEqual(browser.opened, [`${SITE}/`]);
  });
}

test("a click on a notification that isn't ours opens the front page and reports nothing", async () => {
  const browser = worker();
  await browser.happen("notificationclick", { notification: notification({ data: null }), action: "" });
  assert.deepEqual(browser.opened, [`${SITE}/`]);
  assert.deepEqual(browser.asked, []);
});

test("a dismissal is reported", async () => {
  const browser = worker();
  await browser.happen("notificationclose", { notification: notification({ data: { pushctl: TOKEN } }) });
  assert.equal(browser.asked[0].json.kind, "closed");
});

test("reports made offline are sent with the next one, under the same id", async () => {
  const browser = worker();
  browser.answers.push("offline");
  await browser.push(declarative());
  const first = browser.asked[0].json;
  await browser.push(declarative());
  assert.deepEqual(browser.asked.slice(1).map(({ json }) => json.kind), ["shown", "shown"]);
  assert.deepEqual(browser.asked[2].json, first);
  assert.deepEqual(browser.database.values.get("reports"), []);
});

for (const status of [429, 500, 503]) {
  test(`a report answered with ${status} is kept`, async () => {
    const browser = worker();
    browser.answers.push(status);
    await browser.push(declarative());
    assert.equal(browser.database.values.get("reports").length, 1);
  });
}

test("a report that is refused for good is dropped", async () => {
  const browser = worker();
  browser.answers.push(400);
  await browser.push(declarative());
  assert.equal(browser.database.values.get("reports")?.length ?? 0, 0);
});

test("at most a hundred reports are kept", async () => {
  const browser = worker();
  browser.answers.push(...Array(120).fill("offline"));
  for (let count = 0; count < 120; count += 1) await browser.push(declarative());
  assert.equal(browser.database.values.get("reports").length, 100);
  assert.equal(browser.shown.length, 120);
});

test("a changed endpoint is told with the old one", async () => {
  const browser = worker();
  const old = subscription(1);
  const auth = old.getKey("auth");
  browser.database.values.set("subscription", { endpoint: old.endpoint, auth, at: 5 });
  await browser.happen("pushsubscriptionchange", { newSubscription: subscription(2) });
  const [request] = browser.asked;
  assert.equal(request.path, "/v1/subscribe");
  assert.equal(request.json.subscription.endpoint, "https://push.example/2");
  assert.equal(request.json.previous, old.endpoint);
  assert.match(request.json.previous_signature, /^\d+\.[\w-]{43}$/);
  assert.match(request.headers["X-Pushctl-Signature"], /^\d+\.[\w-]{43}$/);
  assert.equal(browser.database.values.get("subscription").endpoint, "https://push.example/2");
});

test("a lost subscription is made again with the key that it had", async () => {
  const browser = worker();
  const [old, auth] = ["https://push.example/1", new ArrayBuffer(16)];
  browser.database.values.set("subscription", { endpoint: old, auth, key: KEY, at: 5 });
  await browser.happen("pushsubscriptionchange", { oldSubscription: null });
  assert.equal(browser.manager.made.length, 1);
  assert.equal(browser.manager.made[0].applicationServerKey, KEY);
  assert.equal(browser.asked[0].json.previous, old);
});

test("whoever turned it off is not subscribed by the browser's change", async () => {
  const browser = worker();
  browser.database.values.set("subscription", null);
  await browser.happen("pushsubscriptionchange", { newSubscription: subscription(2) });
  assert.deepEqual([browser.manager.made, browser.asked], [[], []]);
});

test("a change that could not be told leaves the old endpoint for the page to tell of", async () => {
  const browser = worker();
  browser.database.values.set("subscription", { endpoint: "https://push.example/1", auth: new ArrayBuffer(16), at: 5 });
  browser.answers.push(503);
  await browser.happen("pushsubscriptionchange", { newSubscription: subscription(2) });
  assert.equal(browser.database.values.get("subscription").endpoint, "https://push.example/1");
});

test("without an address of its own it reports where the page's script came from", async () => {
  const browser = worker({ url: "" });
  browser.database.values.set("subscription", { endpoint: "https://push.example/1", home: RECEIVER });
  await browser.push(declarative());
  assert.equal(browser.asked[0].url, `${RECEIVER}/v1/reports`);
});

test("where nobody said where the receiver is, it is the site's own", async () => {
  const browser = worker({ url: "" });
  await browser.push(declarative());
  assert.equal(browser.asked[0].url, `${SITE}/v1/reports`);
});

test("reports are in the receiver's time, as far as the page has found it out", async () => {
  const browser = worker();
  const known = { endpoint: "https://push.example/1", auth: new ArrayBuffer(16), at: 5 };
  browser.database.values.set("subscription", { ...known, skew: 7200 });
  await clicked(browser, declarative());
  const early = browser.asked.map(({ json }) => json.at - Date.now());
  assert.equal(early.length, 2);
  for (const by of early) assert.ok(Math.abs(by - 7_200_000) < 10_000);
});

test("a report needs no storage", async () => {
  const browser = worker();
  browser.database.open = () => { throw new Error("SecurityError"); };
  await browser.push(declarative());
  assert.ok(Math.abs(browser.asked[0].json.at - Date.now()) < 10_000);
});
