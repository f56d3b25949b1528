import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { lazy, memoryStorage } from "./support.mjs";

const { asked, chosen, prompt, version } = await lazy("prompt");
const { light, language, words } = await lazy("look");
const { TEXTS } = await lazy("texts");
const { agree } = await lazy("preferences");

function core(more = {}) {
  const storage = memoryStorage();
  const stored = () => JSON.parse(storage.getItem("pushctl")) ?? {};
  const store = (change) => storage.setItem("pushctl", JSON.stringify({ ...stored(), ...change }));
  return { stored, store, silent: () => false, now: Date.now, update: async () => undefined, ...more };
}

test("eight languages say everything", () => {
  assert.deepEqual(Object.keys(TEXTS), ["en", "ar", "tr", "ru", "nl", "de", "fr", "es"]);
  const holes = (text) => text.match(/\{\w+\}/g) ?? [];
  for (const [spoken, texts] of Object.entries(TEXTS)) {
    assert.deepEqual(Object.keys(texts).sort(), Object.keys(TEXTS.en).sort(), spoken);
    for (const [key, text] of Object.entries(texts)) {
      assert.deepEqual(holes(text), holes(TEXTS.en[key]), `${spoken}.${key}`);
      assert.equal(text, text.trim());
      assert.ok(spoken === "en" || text !== TEXTS.en[key] || key === "bell" || key === "privacy", `${spoken}.${key}`);
    }
  }
});

test("the page's language, else its first part, else English", () => {
  globalThis.document = { documentElement: { lang: "pt-BR" } };
  assert.equal(language({}), "en");
  assert.equal(language({ texts: { pt: { title: "Avisos" } } }), "pt");
  assert.equal(language({ language: "ar-EG" }), "ar");
  assert.equal(language({ language: "tr_TR" }), "tr");
  assert.equal(language({ language: "DE" }), "de");
  assert.equal(language({ language: "constructor" }), "en");
});

test("own words go over ours, and the name goes in as it is", () => {
  const said = words({ name: "$& & Söhne", texts: { de: { title: "Neues von {name}" } } }, "de");
  assert.equal(said.title, "Neues von $& & Söhne");
  assert.equal(said.allow, "Einschalten");
  assert.equal(words({ name: "x", texts: { pt: { title: "Avisos" } } }, "pt").allow, "Turn on");
});

test("a variant is drawn by weight, and kept", () => {
  const variants = { plain: { weight: 3 }, offer: { weight: 1, kind: "bar" }, off: { weight: 0 } };
  const drawn = { plain: 0, offer: 0, off: 0 };
  for (let lot = 0; lot < 1; lot += 0.001) {
    mock.method(Math, "random", () => lot);
    const inner = core();
    const first = chosen(inner, { kind: "card", variants });
    mock.method(Math, "random", () => 1 - lot);
    assert.equal(chosen(inner, { variants }).variant, first.variant);
    assert.equal(first.kind, first.variant === "offer" ? "bar" : "card");
    drawn[first.variant] += 1;
  }
  mock.restoreAll();
  assert.ok(Math.abs(drawn.plain - 750) <= 2 && drawn.off === 0, JSON.stringify(drawn));
});

test("a variant that is no longer there is drawn anew", () => {
  const inner = core();
  inner.store({ variant: "old" });
  assert.equal(chosen(inner, { variants: { fresh: {} } }).variant, "fresh");
  assert.equal(inner.stored().variant, "fresh");
});

test("without variants the kind is what is counted", () => {
  assert.equal(chosen(core(), {}).variant, "card");
  assert.equal(chosen(core(), { kind: "bar" }).variant, "bar");
});

test("the words that were agreed to have a name of their own", () => {
  const names = Object.values(TEXTS).map(version);
  assert.equal(new Set(names).size, names.length);
  assert.match(names[0], /^words-[0-9a-f]{8}$/);
  assert.equal(version(TEXTS.en), version({ ...TEXTS.en, later: "Another time" }));
  assert.notEqual(version(TEXTS.en), version({ ...TEXTS.en, body: "Another body" }));
});

test("what is written on the brand's colour can be read", () => {
  const contrast = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  for (const color of ["#0a7", "#b04a26", "#ffffff", "#000", "#1a56db", "#ffd400", "#777", "#e30613"]) {
    const back = light(color);
    assert.ok(contrast(back, back > 0.18 ? 0 : 1) >= 4.5, color);
  }
});

globalThis.Notification = { permission: "default" };
const at = (path) => (globalThis.location = new URL(path, "https://shop.example"));

test("nobody is asked on other pages, nor before the visit that was set", async () => {
  at("/sofas");
  assert.equal(await prompt(core(), { pages: "/lamps/*" }), "skipped");
  const inner = core();
  assert.equal(await prompt(inner, { visits: 3 }), "skipped");
  assert.equal(await prompt(inner, { visits: 3 }), "skipped");
  // Pages of one visit count once; half an hour of nothing ends it.
  assert.equal(inner.stored().visits.count, 1);
  inner.store({ visits: { count: 1, last: Date.now() - 1_900_000 } });
  assert.equal(await prompt(inner, { visits: 3 }), "skipped");
  assert.equal(inner.stored().visits.count, 2);
});

test("the first visit of a browser is told, once, and only of who may be counted", async () => {
  at("/sofas");
  globalThis.document = { documentElement: { lang: "tr" } };
  const told = [];
  const real = globalThis.fetch;
  globalThis.fetch = async (url, { body }) => (told.push([url, JSON.parse(body)]), {});
  try {
    const elsewhere = { pages: "/lamps/*", variants: { offer: { kind: "bar" } } };
    const inner = core({ HOME: "https://push.example" });
    await prompt(inner, elsewhere);
    const visit = { stage: "visit", variant: "offer", language: "tr" };
    assert.deepEqual(told, [["https://push.example/v1/prompts", visit]]);
    await prompt(inner, elsewhere);
    inner.store({ visits: { count: 1, last: Date.now() - 1_900_000 } });
    await prompt(inner, elsewhere);
    assert.equal(told.length, 1);
    await prompt(core({ silent: () => true }), elsewhere); // Global Privacy Control, or a no
    await prompt(core({ store: () => {} }), elsewhere); // nothing can be kept
    await prompt(core({ update: async () => null }), elsewhere); // turned off here
    assert.equal(told.length, 1);
  } finally {
    globalThis.fetch = real;
  }
});

test("one invitation at a time, but for somebody who rings for it", async () => {
  at("/");
  mock.timers.enable({ apis: ["setTimeout"] });
  const waiting = prompt(core(), { delay: 5000 });
  assert.equal(await prompt(core(), {}), "skipped");
  globalThis.document = undefined; // what is asked next has no page to stand on
  await assert.rejects(prompt(core(), { again: true }));
  mock.timers.tick(5000);
  mock.timers.reset();
  assert.equal(await waiting, "skipped");
});

test("consent without the page's part is kept with time and page", async () => {
  at("/");
  const inner = core({ sync: async () => {} });
  const { text, page, at: when } = await agree(inner, { text: "2026-11" });
  assert.deepEqual([text, page], ["2026-11", "https://shop.example/"]);
  assert.ok(when > 0);
});

test("who accepts is written to in the language that was asked for, else the page's", () => {
  const speaks = (lang) => (globalThis.document = { documentElement: { lang } });
  speaks("pt-BR");
  assert.equal(asked({}), "pt-BR");
  assert.equal(asked({ language: "ar" }), "ar");
  for (const [lang, wanted] of [["tr_TR", "tr-TR"], ["", undefined], ["ελληνικά", undefined]]) {
    speaks(lang);
    assert.equal(asked({}), wanted);
  }
});
