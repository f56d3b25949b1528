import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import test, { mock } from "node:test";

import { encode, KEY, page, pushManager, RECEIVER, subscription } from "./support.mjs";

const DAY = 86_400_000;

// The signature as docs/architecture.md has it, made by another hand.
function signature(auth, path, seconds, body) {
  const digest = createHash("sha256").update(body).digest("hex");
  const mac = createHmac("sha256", Buffer.from(auth, "base64url"));
  return `${seconds}.${mac.update(`POST\n${path}\n${seconds}\n${digest}`).digest("base64url")}`;
}

function assertSigned(request, auth, path = request.path) {
  const given = request.headers["X-Pushctl-Signature"];
  assert.equal(given, signature(auth, path, Number(given.split(".")[0]), request.body));
}

const paths = (browser) => browser.asked.map(({ path }) => path);

async function subscribed(options = {}) {
  const browser = page(options);
  await browser.pushctl.ready;
  assert.equal(await browser.pushctl.subscribe(), "granted");
  return browser;
}

// The same browser's next visit, some time later.
async function again(browser, options = {}) {
  const next = page({ permission: "granted", registered: true, ...browser, ...options, early: undefined });
  next.clock.now = browser.clock.now + (options.after ?? 1000);
  await next.pushctl.ready;
  return next;
}

test("loading the page asks nothing and tells nothing", async () => {
  const browser = page();
  await browser.pushctl.ready;
  assert.equal(browser.Notification.asked, 0);
  assert.deepEqual(browser.registered, []);
  assert.deepEqual(browser.asked, []);
});

test("a click subscribes", async () => {
  const browser = await subscribed();
  const [request] = browser.asked;
  const { current } = browser.manager;
  assert.equal(request.url, `${RECEIVER}/v1/subscribe`);
  assert.deepEqual(browser.registered, [{ url: "/pushctl-sw.js", scope: "/pushctl/" }]);
  assert.equal(browser.manager.made[0].userVisibleOnly, true);
  assert.equal(browser.manager.made[0].applicationServerKey, KEY);
  assert.deepEqual(request.json.subscription, current.toJSON());
  assert.equal(request.json.key, KEY);
  assert.equal(request.json.language, "en-GB");
  assert.equal(request.json.page, "https://shop.example/basket?utm_source=letter");
  assert.equal(request.json.referrer, "https://search.example/");
  assert.equal(request.credentials, "omit");
  assertSigned(request, encode(current.getKey("auth")));
});

test("without a click nothing is asked", async () => {
  const browser = page({ clicked: false });
  assert.equal(await browser.pushctl.subscribe(), "default");
  assert.match(browser.warnings[0], /click/);
  assert.equal(browser.Notification.asked, 0);
});

test("a no stays a no", async () => {
  const browser = page({ answer: "denied" });
  assert.equal(await browser.pushctl.subscribe(), "denied");
  assert.deepEqual(browser.registered, []);
  assert.deepEqual(browser.asked, []);
});

test("a browser without push says so", async () => {
  const browser = page({ unsupported: true });
  assert.equal(await browser.pushctl.subscribe(), "unsupported");
  assert.equal(await browser.pushctl.prompt(), "skipped");
  assert.equal((await browser.pushctl.state()).supported, false);
  assert.equal(await browser.pushctl.track("page_view"), false);
});

test("who said later, or has answered the browser, is not asked again", async () => {
  const browser = page();
  browser.localStorage.setItem("pushctl", JSON.stringify({ later: Date.now() + DAY }));
  assert.equal(await browser.pushctl.prompt(), "skipped");
  assert.equal(await page({ permission: "denied" }).pushctl.prompt(), "skipped");
  const next = await again(await subscribed());
  assert.equal(await next.pushctl.prompt(), "skipped");
  assert.deepEqual(next.loaded, []);
});

test("what happened before the subscription is told after it", async () => {
  const browser = page();
  assert.equal(await browser.pushctl.track("page_view", { page: "/lamps" }), false);
  assert.equal(await browser.pushctl.tag("Abandoned basket 1", "lamps"), false);
  assert.equal(await browser.pushctl.identify("customer-7", "A".repeat(43)), false);
  await browser.pushctl.subscribe();
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/events", "/v1/tags", "/v1/identify"]);
  const [, events, tags, alias] = browser.asked.map(({ json }) => json);
  assert.equal(events.events[0].name, "page_view");
  assert.deepEqual(events.events[0].properties, { page: "/lamps" });
  assert.deepEqual(tags.add, ["Abandoned basket 1", "lamps"]);
  assert.deepEqual([alias.alias, alias.signature], ["customer-7", "A".repeat(43)]);
});

test("tracking, tagging and the cart are told at once and signed", async () => {
  const browser = await subscribed();
  const auth = encode(browser.manager.current.getKey("auth"));
  const content = { items: [{ id: "lamp", price: 49 }], total: 49, currency: "EUR" };
  assert.equal(await browser.pushctl.cart(content), true);
  await browser.pushctl.cart();
  await browser.pushctl.untag("Abandoned basket 1");
  const [, updated, emptied, tags] = browser.asked;
  assert.deepEqual([updated.json.events[0].name, updated.json.events[0].properties], ["cart_updated", { ...content, count: 1 }]);
  assert.equal(emptied.json.events[0].name, "cart_emptied");
  assert.deepEqual(tags.json.remove, ["Abandoned basket 1"]);
  for (const request of browser.asked) assertSigned(request, auth);
});

test("the last word on a tag counts", async () => {
  const browser = page();
  browser.pushctl.tag("basket");
  browser.pushctl.untag("basket");
  await browser.pushctl.subscribe();
  const { json } = browser.asked.at(-1);
  assert.deepEqual([json.add, json.remove], [[], ["basket"]]);
});

for (const status of ["offline", 429, 503]) {
  test(`an event that meets ${status} waits, with its id, for the next one`, async () => {
    const browser = await subscribed();
    browser.answers.push(status);
    assert.equal(await browser.pushctl.track("first"), false);
    assert.equal(await browser.pushctl.track("second"), true);
    const [, failed, told] = browser.asked.map(({ json }) => json);
    assert.deepEqual(told.events.map(({ name }) => name), ["first", "second"]);
    assert.equal(told.events[0].id, failed.events[0].id);
  });
}

test("an event refused for good is dropped, with a word in the console", async () => {
  const browser = await subscribed();
  browser.answers.push({ status: 400, body: { error: "No.", remedy: "Write less." } });
  await browser.pushctl.track("bad");
  await browser.pushctl.track("good");
  assert.deepEqual(browser.asked.at(-1).json.events.map(({ name }) => name), ["good"]);
  assert.match(browser.warnings[0], /No\. Write less\./);
});

test("a page that went away is made up for by the next", async () => {
  const browser = await subscribed();
  browser.answers.push("offline");
  await browser.pushctl.track("cart_updated");
  const next = await again(browser);
  assert.deepEqual(next.asked.map(({ json }) => json.events?.[0].name), ["cart_updated"]);
});

test("many events go in requests that the receiver takes", async () => {
  const browser = page();
  for (let count = 0; count < 60; count += 1) browser.pushctl.track("page_view", { text: "ß".repeat(200) });
  await browser.pushctl.subscribe();
  const batches = browser.asked.filter(({ path }) => path === "/v1/events");
  assert.ok(batches.length > 1);
  for (const { body } of batches) assert.ok(Buffer.byteLength(body) < 8192);
  assert.equal(batches.flatMap(({ json }) => json.events).length, 50);
});

test("of an event that no request could hold as much is told as goes", async () => {
  const said = [];
  mock.method(console, "warn", (text) => said.push(text));
  const browser = await subscribed();
  const notes = Object.fromEntries(Array.from({ length: 9 }, (_, number) => [`note ${number}`, "x".repeat(900)]));
  assert.equal(await browser.pushctl.track("purchase", { total: 49, ...notes }), true);
  mock.restoreAll();
  const [{ name, properties }] = browser.asked.at(-1).json.events;
  assert.deepEqual([name, properties.total, Object.keys(properties).length], ["purchase", 49, 7]);
  assert.ok(Buffer.byteLength(browser.asked.at(-1).body) < 8192);
  assert.match(said[0], /purchase.*6,000/);
});

test("a wrong clock is put right with the receiver's", async () => {
  const browser = page();
  const real = Math.round(Date.now() / 1000);
  browser.clock.now = Date.now() - 3 * 3_600_000;
  browser.answers.push({ status: 401, body: { error: "clock", now: real } });
  await browser.pushctl.subscribe();
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/subscribe"]);
  const seconds = Number(browser.asked[1].headers["X-Pushctl-Signature"].split(".")[0]);
  assert.ok(Math.abs(seconds - real) <= 2);
  await browser.pushctl.track("page_view");
  const { at } = browser.asked.at(-1).json.events[0];
  assert.ok(Math.abs(at - real * 1000) < 10_000);
});

test("the next visit tells nothing new within a day", async () => {
  const next = await again(await subscribed());
  assert.deepEqual(next.asked, []);
  assert.deepEqual(next.registered, []);
});

test("after a day the subscription is told again", async () => {
  const browser = await subscribed();
  const next = await again(browser, { after: DAY + 1000 });
  assert.deepEqual(paths(next), ["/v1/subscribe"]);
  assert.equal(next.asked[0].json.previous, undefined);
});

test("an endpoint that changed is told with the old one, signed with the old secret", async () => {
  const browser = await subscribed();
  const old = browser.manager.current;
  const next = await again(browser, { manager: pushManager(subscription(5)) });
  const { json } = next.asked[0];
  assert.equal(json.subscription.endpoint, "https://push.example/5");
  assert.equal(json.previous, old.endpoint);
  const seconds = Number(json.previous_signature.split(".")[0]);
  const path = "/v1/subscribe#previous";
  assert.equal(
    json.previous_signature,
    signature(encode(old.getKey("auth")), path, seconds, "https://push.example/5"),
  );
  assertSigned(next.asked[0], encode(subscription(5).getKey("auth")));
});

test("a subscription made with another key is made anew", async () => {
  const browser = await subscribed();
  const old = browser.manager.current;
  old.options.applicationServerKey = Buffer.from("another key");
  const next = await again(browser);
  assert.equal(old.ended, true);
  assert.equal(next.asked[0].json.previous, old.endpoint);
  assert.equal(next.manager.made.length, 2);
});

test("a subscription that the browser lost is made anew", async () => {
  const browser = await subscribed();
  const old = browser.manager.current;
  browser.manager.current = null;
  const next = await again(browser);
  assert.equal(next.asked[0].json.previous, old.endpoint);
});

test("a subscription that could not be told is told at the next visit", async () => {
  const browser = page();
  browser.answers.push("offline");
  assert.equal(await browser.pushctl.subscribe(), "granted");
  const next = await again(browser);
  assert.deepEqual(paths(next), ["/v1/subscribe"]);
  assert.equal(next.asked[0].json.previous, undefined);
});

test("unsubscribing is told, signed, and done in the browser", async () => {
  const browser = await subscribed();
  const { current } = browser.manager;
  await browser.pushctl.unsubscribe();
  assert.equal(browser.asked.at(-1).path, "/v1/unsubscribe");
  assertSigned(browser.asked.at(-1), encode(current.getKey("auth")));
  assert.equal(current.ended, true);
  const next = await again(browser);
  assert.deepEqual(next.asked, []);
});

test("unsubscribing works offline too", async () => {
  const browser = await subscribed();
  browser.answers.push("offline");
  await browser.pushctl.unsubscribe();
  assert.equal(browser.manager.current.ended, true);
});

test("what was called before the script loaded is done when it has", async () => {
  const early = [["track", "page_view", { page: "/" }], (pushctl) => pushctl.tag("early")];
  early.options = { worker: "/js/worker.js", scope: "/js/" };
  const browser = page({ early });
  await browser.pushctl.subscribe();
  assert.equal(browser.registered[0].url, "/js/worker.js");
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/events", "/v1/tags"]);
  browser.pushctl.push(["untag", "early"]);
  await browser.pushctl.track("page_view");
  assert.deepEqual(browser.asked.find(({ json }) => json.remove?.length).json.remove, ["early"]);
});

test("storage that is forbidden does not break the page", async () => {
  const closed = () => { throw new Error("SecurityError"); };
  const browser = page({ localStorage: { getItem: closed, setItem: closed } });
  await browser.pushctl.ready;
  assert.equal(await browser.pushctl.track("page_view"), false);
  assert.equal(await browser.pushctl.subscribe(), "granted");
});

test("storage that can be read but not written does not repeat itself for ever", async () => {
  const event = { id: "one", name: "page_view", at: 5, properties: {} };
  const kept = JSON.stringify({ events: [event], tags: { lamps: true } });
  const full = () => { throw new Error("QuotaExceededError"); };
  const browser = await subscribed({ localStorage: { getItem: () => kept, setItem: full } });
  assert.ok(browser.asked.length <= 101);
});

test("the worker is left word of where the receiver is", async () => {
  const browser = await subscribed();
  assert.equal(browser.database.values.get("subscription").home, RECEIVER);
});

test("where somebody came from is where they came in, not where they subscribed", async () => {
  const browser = page({ referrer: "https://search.example/" });
  const { localStorage } = browser;
  const next = page({ localStorage, path: "/lamps", referrer: "https://shop.example/basket" });
  await next.pushctl.subscribe();
  const { json } = next.asked[0];
  assert.equal(json.page, "https://shop.example/basket?utm_source=letter");
  assert.equal(json.referrer, "https://search.example/");
});

test("a page that tells its subscription again does not say that somebody chose it", async () => {
  const browser = await subscribed();
  assert.equal(browser.asked[0].json.chosen, true);
  const next = await again(browser, { after: DAY + 1000 });
  assert.equal(next.asked[0].json.chosen, undefined);
});

test("a worker that the site has for all its pages is not ours", async () => {
  const manager = pushManager(subscription(9));
  const browser = page({ permission: "granted", manager, registered: "/" });
  assert.equal((await browser.pushctl.state()).subscribed, false);
  await browser.pushctl.unsubscribe();
  assert.equal(manager.current.ended, false);
});

test("what the storage does not take is told all the same", async () => {
  const closed = () => { throw new Error("SecurityError"); };
  const browser = page({ localStorage: { getItem: closed, setItem: closed } });
  await browser.pushctl.track("page_view");
  await browser.pushctl.subscribe();
  assert.equal(await browser.pushctl.track("purchase"), true);
  const told = browser.asked.flatMap(({ json }) => json.events ?? []);
  assert.deepEqual(told.map(({ name }) => name), ["page_view", "purchase"]);
});

test("an event that is refused takes no other with it", async () => {
  const browser = page();
  for (const name of ["first", "bad", "last"]) browser.pushctl.track(name);
  const refused = { status: 400, body: { error: "No." } };
  browser.answers.push(204, refused, 204, refused);
  await browser.pushctl.subscribe();
  const told = browser.asked.filter(({ path }) => path === "/v1/events");
  assert.deepEqual(told.map(({ json }) => json.events.map(({ name }) => name).join()),
    ["first,bad,last", "first", "bad", "last"]);
  assert.equal(await browser.pushctl.track("later"), true);
  assert.equal(browser.asked.at(-1).json.events.length, 1);
});

test("the same thing twice in a second is signed twice", async () => {
  const browser = await subscribed();
  for (const call of ["tag", "untag", "tag", "untag"]) await browser.pushctl[call]("lamps");
  const signatures = browser.asked.map(({ headers }) => headers["X-Pushctl-Signature"]);
  assert.equal(new Set(signatures).size, signatures.length);
  const auth = encode(browser.manager.current.getKey("auth"));
  for (const request of browser.asked) assertSigned(request, auth);
});

test("a call that is wrong stops no other, nor the page", async () => {
  const early = [["tagg", "lamps"], () => { throw new Error("theirs"); }, ["track", "page_view"]];
  const browser = page({ early });
  await browser.pushctl.subscribe();
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/events"]);
  assert.equal(browser.warnings.length, 2);
});

test("a number may be an alias; none, empty or null, means that nobody is logged in", async () => {
  const browser = await subscribed();
  for (const alias of [7, "", null]) await browser.pushctl.identify(alias, "A".repeat(43));
  const [seven, ...none] = browser.asked.slice(1).map(({ json }) => json.alias);
  assert.equal(seven, "7");
  assert.deepEqual(none, [null, null]);
});

test("who logs out while the alias is on its way is logged out", async () => {
  const browser = await subscribed();
  browser.pushctl.identify("customer-7", "A".repeat(43));
  await browser.pushctl.identify(null);
  assert.equal(browser.asked.at(-1).json.alias, null);
});

test("a module tells the script where both of them come from", async () => {
  const early = Object.assign([], { source: `${RECEIVER}/pushctl.mjs?site=shop` });
  const browser = await subscribed({ early, settings: { url: "" } });
  assert.equal(browser.asked[0].url, `${RECEIVER}/v1/subscribe`);
});

test("what did not get through is told while the page is still open", async () => {
  const browser = await subscribed();
  browser.answers.push("offline", 503);
  assert.equal(await browser.pushctl.track("purchase"), false);
  await browser.pass();
  await browser.pass();
  await browser.pass();
  const told = browser.asked.filter(({ path }) => path === "/v1/events");
  assert.deepEqual(told.map(({ json }) => json.events[0].name), Array(3).fill("purchase"));
  assert.equal(new Set(told.map(({ json }) => json.events[0].id)).size, 1);
  assert.deepEqual(browser.pauses, [9000, 18_000]);
});

const asked = { language: "ar", source: "flyer", attributes: { size: "L" }, tags: ["vip"] };

for (const status of ["offline", 429, 503]) {
  test(`a subscription that meets ${status} is told in full while the page is open`, async () => {
    const browser = page();
    browser.answers.push(status, status);
    assert.equal(await browser.pushctl.subscribe(asked), "granted");
    await browser.pass();
    await browser.pass();
    const [first, ...more] = browser.asked.map(({ json }) => json);
    assert.deepEqual([first.language, first.source, first.attributes, first.tags, first.chosen],
      ["ar", "flyer", { size: "L" }, ["vip"], true]);
    assert.deepEqual(more, [first, first]);
    assert.deepEqual(browser.pauses, [9000, 18_000]);
    assert.equal(await browser.pushctl.track("page_view"), true);
    assert.equal(browser.asked.length, 4);
  });
}

test("a subscription that could not be told is told in full at the next visit", async () => {
  const browser = page();
  browser.answers.push(503);
  await browser.pushctl.subscribe(asked);
  const next = await again(browser);
  assert.deepEqual(next.asked.map(({ json }) => json), [browser.asked[0].json]);
  assert.deepEqual((await again(next)).asked, []);
});

test("what happens meanwhile tells the subscription first", async () => {
  const browser = page();
  browser.answers.push(503);
  await browser.pushctl.subscribe(asked);
  assert.equal(await browser.pushctl.track("purchase"), true);
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/subscribe", "/v1/events"]);
});

test("a receiver that says when is not asked sooner", async () => {
  const browser = page();
  for (const wait of ["40", "2", "Fri, 01 Jan 2027 00:00:00 GMT", "99999999"])
    browser.answers.push({ status: 429, headers: { "Retry-After": wait } });
  await browser.pushctl.subscribe();
  for (let count = 0; count < 3; count += 1) await browser.pass();
  const [first, second, third, last] = browser.pauses;
  assert.deepEqual([first, second, third], [40_000, 18_000, 27_000]);
  // A timer that counts too far goes off at once.
  assert.ok(last >= 36_000 && last < 2 ** 31);
});

test("who leaves before it could be told stays out", async () => {
  const browser = page();
  browser.answers.push(503);
  await browser.pushctl.subscribe(asked);
  await browser.pushctl.unsubscribe();
  await browser.pass();
  assert.deepEqual(paths(browser), ["/v1/subscribe", "/v1/unsubscribe"]);
  const next = await again(browser);
  assert.deepEqual([next.asked, next.registered], [[], []]);
});

test("a subscription refused for good is told at once without what was asked", async () => {
  const browser = page();
  browser.answers.push({ status: 400, body: { error: "No." } });
  assert.equal(await browser.pushctl.subscribe(asked), "granted");
  await browser.pass();
  const [first, second, ...more] = browser.asked;
  assert.deepEqual(more, []);
  assert.ok(first.json.tags);
  const { tags, attributes, chosen } = second.json;
  assert.deepEqual([tags, attributes, chosen], [undefined, undefined, true]);
  assert.match(browser.warnings[0], /subscribe.*No\./);
  assert.deepEqual((await again(browser)).asked, []);
});

test("who is refused with nothing but the subscription is not subscribed", async () => {
  const browser = page();
  const no = { status: 400, body: { error: "No." } };
  browser.answers.push(no, no);
  assert.equal(await browser.pushctl.subscribe(asked), "failed");
  assert.equal(browser.asked.length, 2);
  assert.equal((await again(browser)).asked.length, 1);
});

test("of what a page says when somebody subscribes the receiver gets what it takes", async () => {
  const told = async (options) => {
    const browser = page();
    assert.equal(await browser.pushctl.subscribe(options), "granted");
    const [{ json: { tags, attributes, lang, tag, language } }, ...more] = browser.asked;
    assert.deepEqual(more, []);
    return { tags, attributes, lang, tag, language };
  };
  assert.deepEqual((await told({ tags: "lamps" })).tags, ["lamps"]);
  const { lang, tag, language } = await told({ lang: "tr", tag: "lamps" });
  assert.deepEqual([lang, tag, language], [undefined, undefined, "en-GB"]);
  mock.method(console, "warn", () => {});
  const cut = await told({ tags: ["lamps"], attributes: { note: "\ud83d", at: { b: { c: { d: 1 } } } } });
  mock.restoreAll();
  assert.deepEqual([cut.tags, cut.attributes], [["lamps"], { note: "\ufffd", at: { b: { c: { d: 1 } } } }]);
});

test("who is known already can tell the rest where the subscription can't be told", async () => {
  const browser = await subscribed();
  const next = page({ permission: "granted", registered: true, ...browser, early: undefined });
  next.clock.now = browser.clock.now + DAY + 1000;
  next.pushctl.track("purchase");
  next.answers.push(204, 429);
  await next.pushctl.ready;
  await next.pass();
  assert.deepEqual(paths(next), ["/v1/events", "/v1/subscribe", "/v1/subscribe"]);
});

test("pauses grow only until something got through", async () => {
  const browser = await subscribed();
  for (let count = 0; count < 3; count += 1) {
    browser.answers.push(503);
    await browser.pushctl.track("page_view");
    await browser.pass();
  }
  assert.deepEqual(browser.pauses, [9000, 9000, 9000]);
});

test("a tag that is refused takes no other with it", async () => {
  const browser = page();
  for (const name of ["Looked at lamps", "a\nb", "Sofa"]) browser.pushctl.tag(name);
  const refused = { status: 400, body: { error: "No." } };
  browser.answers.push(204, refused, 204, refused);
  await browser.pushctl.subscribe();
  const told = browser.asked.filter(({ path }) => path === "/v1/tags");
  assert.deepEqual(told.map(({ json }) => json.add.join("+")),
    ["Looked at lamps+a\nb+Sofa", "Looked at lamps", "a\nb", "Sofa"]);
  assert.equal(await browser.pushctl.untag("Sofa"), true);
  assert.equal(browser.asked.length, 6);
});

test("the language that was chosen stays", async () => {
  const browser = await subscribed();
  await browser.pushctl.subscribe({ language: "ar" });
  const next = await again(browser, { after: DAY + 1000 });
  const later = await again(next, { after: DAY + 1000 });
  assert.deepEqual([...next.asked, ...later.asked].map(({ json }) => json.language), ["ar", "ar"]);
});

test("a language that was refused is not told again", async () => {
  const browser = page();
  browser.answers.push({ status: 400, body: { error: "No." } });
  await browser.pushctl.subscribe({ language: "tr_TR" });
  const next = await again(browser, { after: DAY + 1000 });
  assert.deepEqual([browser.asked[1], next.asked[0]].map(({ json }) => json.language), ["en-GB", "en-GB"]);
});
