// What a worker and a page meet in a browser, as far as ours use it.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { webcrypto } from "node:crypto";
import vm from "node:vm";

export const SITE = "https://shop.example";
export const RECEIVER = "https://push.shop.example";
export const TOKEN = "7.AAAAAAAAAAAAAAAAAAAAAA";

// The files as they are served may lie elsewhere (PUSHCTL_SW): the same tests judge them.
const FOLDER = process.env.PUSHCTL_SW ?? new URL("../../sw", import.meta.url).pathname;

const bytes = (length, first) => Uint8Array.from({ length }, (_, i) => (i * 7 + first) % 256);

export function encode(buffer) {
  return Buffer.from(buffer).toString("base64url");
}

export const KEY = encode(bytes(65, 4));

function source(name, settings) {
  const config = { url: RECEIVER, key: KEY, site: "shop", name: "Lamp & Loom", ...settings };
  const text = readFileSync(`${FOLDER}/${name}`, "utf8");
  return text.replace(/\/\*pushctl\*\/.*?\/\*end\*\//s, JSON.stringify(config))
    .replace(/\bimport\(/, "load("); // a script of vm's can't import
}

// What is loaded lazily, as modules that Node takes for such by their name.
const modules = mkdtempSync(`${tmpdir()}/pushctl-sw-`);
for (const name of readdirSync(FOLDER).filter((one) => /^pushctl-(?!sw).*\.js$/.test(one))) {
  const text = readFileSync(`${FOLDER}/${name}`, "utf8");
  writeFileSync(`${modules}/${name.replace(/js$/, "mjs")}`, text.replace(/((?:from|import\() ?"\.\/[\w-]+)\.js(?:\?site=\w+)?"/g, '$1.mjs"'));
}
process.on("exit", () => rmSync(modules, { recursive: true }));

export const lazy = (file) => import(`${modules}/pushctl-${file}.mjs`);

// --- storage ---------------------------------------------------------------------

// One store, get and put: each is done in a later turn, as in browsers.
export function memoryDatabase() {
  const values = new Map();
  const later = (work) => setTimeout(work, 0);
  const asked = (work) => {
    const request = {};
    later(() => {
      request.result = work();
      request.onsuccess({ target: request });
    });
    return request;
  };
  const store = {
    get: (name) => asked(() => structuredClone(values.get(name))),
    put(value, name) {
      values.set(name, structuredClone(value));
      return asked(() => name);
    },
  };
  return {
    values,
    open() {
      const request = {};
      request.result = {
        createObjectStore() {},
        close() {},
        transaction: () => ({ objectStore: () => store }),
      };
      later(() => request.onsuccess());
      return request;
    },
  };
}

export function memoryStorage() {
  const values = new Map();
  return {
    getItem: (name) => values.get(name) ?? null,
    setItem: (name, value) => values.set(name, String(value)),
    removeItem: (name) => values.delete(name),
  };
}

// --- the network -----------------------------------------------------------------

// Records what is asked; `answers` holds functions or statuses for the next requests.
export function network() {
  const asked = [];
  const answers = [];
  async function fetch(url, options) {
    const { pathname } = new URL(url);
    asked.push({ url, path: pathname, ...options, json: JSON.parse(options.body) });
    const next = answers.shift() ?? 204;
    if (next === "offline") throw new TypeError("Failed to fetch");
    const { status, body, headers } = typeof next === "object" ? next : { status: next };
    return { ok: status < 300, status, headers: new Headers(headers), json: async () => body ?? JSON.parse("") };
  }
  return { asked, answers, fetch };
}

// --- push ------------------------------------------------------------------------

export function subscription(number, key = KEY) {
  const keys = { p256dh: bytes(65, 4 + number), auth: bytes(16, number) };
  const endpoint = `https://push.example/${number}`;
  return {
    endpoint,
    ended: false,
    options: { applicationServerKey: Buffer.from(key, "base64url") },
    getKey: (name) => keys[name].buffer,
    toJSON: () => ({
      endpoint,
      expirationTime: null,
      keys: { p256dh: encode(keys.p256dh), auth: encode(keys.auth) },
    }),
    async unsubscribe() {
      this.ended = true;
      return true;
    },
  };
}

export function pushManager(first = null) {
  const manager = {
    current: first,
    made: [],
    async getSubscription() {
      return manager.current?.ended ? null : manager.current;
    },
    async subscribe(options) {
      const key = typeof options.applicationServerKey === "string"
        ? options.applicationServerKey : encode(options.applicationServerKey);
      manager.current = subscription(100 + manager.made.length, key);
      manager.made.push(options);
      return manager.current;
    },
  };
  return manager;
}

// --- a worker --------------------------------------------------------------------

export function worker(settings = {}) {
  const listeners = {};
  const order = [];
  const net = network();
  const database = memoryDatabase();
  const shown = [];
  const opened = [];
  const tabs = [];
  const manager = pushManager();
  const self = {
    location: new URL(`${SITE}/pushctl-sw.js`),
    addEventListener: (name, listener) => (listeners[name] = listener),
    skipWaiting: () => order.push("skipWaiting"),
    registration: {
      pushManager: manager,
      async showNotification(title, options) {
        order.push("show");
        const refused = self.refuse?.(options);
        if (refused) throw new TypeError("refused");
        shown.push({ title, ...options });
      },
    },
    clients: {
      claim: async () => order.push("claim"),
      matchAll: async () => tabs,
      openWindow: async (url) => opened.push(url),
    },
  };
  const fetch = (...all) => (order.push("fetch"), net.fetch(...all));
  vm.runInNewContext(source("pushctl-sw.js", settings), {
    self, fetch, indexedDB: database, crypto: webcrypto, URL, TextEncoder, btoa, atob, Uint8Array,
    MessageChannel, setTimeout, console: { error() {} },
  });
  async function happen(name, event = {}) {
    let work;
    listeners[name]({ ...event, waitUntil: (promise) => (work = promise) });
    await work;
  }
  const push = (payload) => happen("push", { data: data(payload) });
  return { self, happen, push, order, shown, opened, tabs, manager, database, ...net };
}

export function data(payload) {
  if (payload === null) return null;
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  return { json: () => JSON.parse(text) };
}

export function declarative(more = {}) {
  return {
    web_push: 8030,
    notification: {
      title: "Your basket waits",
      body: "The brass lamp is still in it.",
      navigate: `${SITE}/basket?from=push`,
      lang: "en",
      dir: "ltr",
      data: { pushctl: TOKEN },
      ...more,
    },
    mutable: true,
  };
}

// A tab of the site, loaded at one address, that shows another now; without: it does not answer.
export function tab(url, shown = url, focus = async () => {}) {
  return {
    url,
    focus,
    postMessage(asked, [port]) {
      assert.equal(asked, "pushctl");
      if (shown) port.postMessage(shown);
      port.close();
    },
  };
}

// A notification as the browser hands it back, on whose buttons or body somebody clicks.
export function notification({ data: its }) {
  return { data: structuredClone(its), closed: false, close() { this.closed = true; } };
}

// --- a page ----------------------------------------------------------------------

export function page({ permission = "default", answer = "granted", early, settings, ...given } = {}) {
  const net = network();
  const database = given.database ?? memoryDatabase();
  const localStorage = given.localStorage ?? memoryStorage();
  const manager = given.manager ?? pushManager();
  const registered = [];
  const registration = {
    active: {},
    pushManager: manager,
    get scope() {
      const elsewhere = typeof given.registered === "string" ? given.registered : "/pushctl/";
      const path = registered.at(-1)?.scope ?? elsewhere;
      return `${SITE}${path}`;
    },
  };
  const clock = { now: Date.now() };
  const listeners = {};
  const warnings = [];
  const [timers, pauses] = [[], []];
  const loaded = [];
  const navigator = {
    ...given.navigator,
    language: "en-GB",
    userActivation: { isActive: given.clicked ?? true },
    serviceWorker: {
      addEventListener: (name, listener) => (listeners[name] = listener),
      getRegistration: async () => (registered.length || given.registered ? registration : undefined),
      async register(url, options) {
        // While the receiver is down: what the worker imports is not there.
        if (given.unreachable?.()) throw new TypeError("ServiceWorker script evaluation failed");
        registered.push({ url, ...options });
        return registration;
      },
    },
  };
  const Notification = {
    permission,
    asked: 0,
    async requestPermission() {
      Notification.asked += 1;
      return (Notification.permission = answer);
    },
  };
  class Now extends Date {
    static now() {
      return clock.now;
    }
  }
  const window = { pushctl: early, PushManager: class {}, Notification, origin: given.origin ?? SITE };
  if (given.unsupported) delete window.PushManager;
  const location = new URL(given.path ?? "/basket?utm_source=letter", SITE);
  vm.runInNewContext(source("pushctl.js", settings), {
    window, navigator, Notification, localStorage, location, indexedDB: database, Date: Now,
    document: { referrer: given.referrer ?? "https://search.example/", currentScript: null, documentElement: {} },
    fetch: net.fetch, crypto: given.crypto ?? webcrypto, AbortSignal: given.AbortSignal ?? AbortSignal,
    URL, URLSearchParams, TextEncoder, btoa, atob, Intl,
    console: { warn: (...all) => warnings.push(all.join(" ")) }, Uint8Array,
    setTimeout: (call, pause) => (pauses.push(pause), timers.push(call)),
    clearTimeout: (number) => number && delete timers[number - 1],
    load: async ({ href }) => {
      loaded.push(href);
      const [, file] = href.match(/pushctl-(\w+)\.js/);
      return given.modules?.[file] ?? lazy(file);
    },
  });
  const { pushctl } = window;
  return {
    pushctl, manager, registered, Notification, database, localStorage, clock, warnings, loaded, pauses,
    listeners, location,
    // What waits is done now.
    pass: () => Promise.all(timers.splice(0).map((call) => call?.())),
    ...net,
  };
}
