// What a developer is told by the console: mistakes in tag(), and everything by debug().

import assert from "node:assert/strict";
import test from "node:test";

import { lazy, network, page, RECEIVER, SITE } from "./support.mjs";

globalThis.location = new URL("/basket", SITE);

const DAY = 86_400_000;
const kept = (browser) => JSON.parse(browser.localStorage.getItem("pushctl") ?? "{}");

for (const [what, names, set] of [
  ["nothing", [], []],
  ["a number", [7, "lamps"], ["lamps"]],
  ["an empty text", ["  "], []],
  ["undefined, as of a variable that is not there", [undefined], []],
  ["an option that is misspelt", ["lamps", { day: 30 }], ["lamps"]],
  ["an option in the middle", [{ days: 3 }, "lamps"], ["lamps"]],
  ["a symbol and a circle", [Symbol("x"), ["lamps", [["sofas"]]]], ["lamps"]],
]) {
  test(`tag() with ${what} says so in one line, and sets what is right`, async () => {
    const browser = page();
    await browser.pushctl.tag(...names);
    assert.deepEqual(browser.warnings, ["pushctl.tag(): texts only, then { days, chosen }"]);
    assert.deepEqual(Object.keys(kept(browser).tags ?? {}), set);
  });
}

test("tag() for no time at all sets nothing, and takes nothing away", async () => {
  for (const days of [0, -1, "soon", NaN, {}]) {
    const browser = page();
    assert.equal(await browser.pushctl.tag("lamps", { days }), false);
    assert.deepEqual(browser.warnings, ["pushctl.tag(): days: above 0"]);
    assert.equal(kept(browser).tags, undefined);
  }
});

test("tag() as it is meant says nothing", async () => {
  const browser = page();
  await browser.pushctl.tag("lamps", ["sofas", "chairs"], { days: "30" });
  await browser.pushctl.tag("beds", { chosen: false });
  await browser.pushctl.tag("desks", { days: null, chosen: true });
  await browser.pushctl.untag("oldies");
  assert.deepEqual(browser.warnings, []);
  const { beds, desks, lamps, sofas, oldies } = kept(browser).tags;
  assert.deepEqual([beds, desks, oldies], [true, true, false]);
  assert.ok(lamps === sofas && Math.abs(lamps - Date.now() - 30 * DAY) < 10_000);
});

// What debug() says of one request that gets *answer*, and what came back from it.
async function listen(answer, path = "/v1/events", body = {}) {
  const { watch } = await lazy("debug");
  const { fetch, answers } = network();
  const [said, where] = [[], { fetch: async (...all) => new Response(null, await fetch(...all)) }];
  if (answer?.body) where.fetch = async () => Response.json(answer.body, { status: answer.status });
  if (answer === "offline") answers.push(answer);
  const { info } = console;
  console.info = (...all) => said.push(all.join(" "));
  try {
    const inner = {
      HOME: RECEIVER, stored: () => ({ events: [1, 2], tags: {} }), silent: () => true,
      api: { state: async () => ({ supported: true, permission: "default", subscribed: false }) },
    };
    assert.equal(await watch(inner, where), true);
    assert.equal(await watch(inner, where), true);
    const request = { method: "POST", body: JSON.stringify(body) };
    const got = await where.fetch(RECEIVER + path, request).catch((error) => error);
    // What is read of an answer is said a little later: the page does not wait for it.
    while (said.length < (path === "/elsewhere" ? 1 : 3)) await new Promise((done) => setImmediate(done));
    return { said, got };
  } finally {
    console.info = info;
  }
}

test("debug() says who is told, what waits, and that nothing is tracked", async () => {
  const { said } = await listen();
  assert.match(said[0], /permission default; not subscribed.*; nothing is tracked .*; waiting: 2 events$/);
  assert.equal(said.filter((line) => line.includes("waiting")).length, 1);
});

test("debug() says what was sent and that it was taken, without what names the browser", async () => {
  const endpoint = "https://push.example/secret-one";
  const subscription = { endpoint, keys: { auth: "secret-two" } };
  const body = { previous: endpoint, previous_signature: "secret-three", subscription, cart: "B".repeat(22) };
  const { said, got } = await listen(204, "/v1/subscribe", body);
  assert.match(said[1], /^pushctl: to \/v1\/subscribe .*push\.example\/\.\.\..*BBBB/);
  assert.match(said[2], /^pushctl: from \/v1\/subscribe 204 taken \d+ ms$/);
  assert.equal(got.status, 204);
  assert.doesNotMatch(said.join(), /secret/);
});

test("debug() says what the receiver answered, and leaves the answer to the page", async () => {
  const { said, got } = await listen({ status: 400, body: { error: "No.", remedy: "Write less." } });
  assert.match(said[2], /from \/v1\/events 400 .*Write less\./);
  assert.equal((await got.json()).error, "No.");
});

test("debug() says that nobody answered", async () => {
  const { said, got } = await listen("offline");
  assert.match(said[2], /from \/v1\/events no answer: Failed to fetch/);
  assert.ok(got instanceof TypeError);
});

test("debug() says nothing of what the shop's page asks elsewhere", async () => {
  const { said } = await listen(204, "/elsewhere");
  assert.equal(said.length, 1);
});

test("a page with ?pushctl_debug listens before it tells anything", async () => {
  let asked;
  const modules = { debug: { watch: async () => (asked = [...browser.asked], true) } };
  const browser = page({ modules, path: "/basket?a=b&pushctl_debug", early: [["track", "page_view"]] });
  await browser.pushctl.subscribe();
  assert.deepEqual(asked, []);
  assert.deepEqual(browser.loaded, [`${RECEIVER}/pushctl-debug.js?site=shop`]);
  assert.equal(browser.asked.length, 2);
  assert.deepEqual(page({ path: "/basket?q=pushctl_debug" }).loaded, []);
  assert.equal(await browser.pushctl.debug(), true);
});

test("a debug script that does not come keeps nothing from being told", async () => {
  const debug = { get watch() { throw new Error("gone"); } };
  const browser = page({ modules: { debug }, path: "/?pushctl_debug" });
  await browser.pushctl.subscribe();
  assert.equal(browser.asked.length, 1);
});
