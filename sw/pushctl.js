// pushctl on the page: subscribe on a click, tell what people do. docs/embedding.md has it all.
// No dependency, no build: a plain script that sets window.pushctl; pushctl.mjs for imports.
(() => {
  const CONFIG = /*pushctl*/{ "url": "", "key": "" }/*end*/;
  const early = window.pushctl;
  const SOURCE = document.currentScript?.src || early?.source || `${CONFIG.url || location.origin}/`;
  const HOME = CONFIG.url || new URL(SOURCE).origin;
  // Loaded twice.
  if (early?.subscribe) return;

  const DAY = 86_400_000;
  const SUPPORTED = "serviceWorker" in navigator && "PushManager" in window;

  // --- what people call ----------------------------------------------------------

  // Names of events, for the tag rules.
  const heard = [];

  const api = {
    worker: "/pushctl-sw.js",
    scope: "/pushctl/",

    // Call it in a click's handler: browsers ask nothing without one, and so do we.
    async subscribe(options) {
      if (!SUPPORTED) return "unsupported";
      if (Notification.permission === "default" && navigator.userActivation?.isActive === false)
        throw new Error("pushctl.subscribe() needs a click");
      const permission = await Notification.requestPermission();
      if (permission === "granted") {
        // Kept until it is told.
        store({ pending: { ...options, chosen: true } });
        await sync().catch(warn);
      }
      return permission;
    },

    async unsubscribe() {
      const last = await update();
      const subscription = await current();
      await update(() => null);
      store({ pending: undefined });
      if (last) await post("/v1/unsubscribe", { endpoint: last.endpoint }, last).catch(() => {});
      // Then the push service says "gone" to whoever sends.
      await subscription?.unsubscribe();
    },

    track(name, properties = {}) {
      const event = { id: crypto.randomUUID(), name, at: now(), properties };
      if (size(event) > 6000) throw new RangeError("pushctl.track(): over 6,000 bytes");
      heard.push(name);
      return keep({ events: (stored().events ?? []).concat(event).slice(-50) });
    },

    // cart({ items: [{ id, name, price, quantity }], total, currency, url }), or cart() when emptied
    cart: (content) =>
      content?.items?.length ? api.track("cart_updated", content) : api.track("cart_emptied"),

    // tag("lamps", "sofas"), tag("lamps", { days: 30 }); chosen: true where the person ticked it
    tag(...names) {
      const { days, chosen } = Object(names.at(-1));
      return label(names.filter((name) => name.at), days ? now() + days * DAY : true, !chosen);
    },

    untag: (...names) => label(names, false),

    // `signature` comes from the shop's server; without it the alias is a mere label.
    identify: (alias, signature) =>
      keep({ alias: { alias: alias ? `${alias}` : null, signature } }, alias),

    // consent({ text: "2026-11", tracking: true }): what somebody agreed to, and how far.
    consent: async (given) =>
      given ? (await more("preferences")).agree(inner, given) : stored().consent,

    // Shows our own question; the browser's follows only when it is answered with yes.
    // Resolves to what subscribe() gives, "later", or "skipped" when there is no use in asking.
    async prompt(options = {}) {
      const asks = SUPPORTED ? Notification.permission === "default" : navigator.standalone === false;
      return options.kind === "bell" || (asks && (options.again || !(stored().later > Date.now())))
        ? (await more("prompt")).prompt(inner, options) : "skipped";
    },

    // Pause, fewer, stop, erase me: a dialog, or into: "#place" on a page of its own.
    preferences: async (options) => (await more("preferences")).open(inner, options),

    state: async () => ({
      supported: SUPPORTED,
      permission: window.Notification?.permission,
      subscribed: SUPPORTED && !!(await current()),
    }),

    // What is wrong with one call is not the others' fault.
    push: (...calls) => calls.forEach((one) => call(one).catch(warn)),
  };

  const call = async (one) => one.call ? one(api) : api[one[0]](...one.slice(1));

  // What few people need is loaded when they do; from a whole address, because a script from
  // another origin has none to start from (Chromium).
  const more = (file) => import(new URL(`pushctl-${file}.js?site=${CONFIG.site}`, SOURCE));

  // --- the subscription ----------------------------------------------------------

  // A scope of its own: a worker the site already has keeps its pages.
  async function registration() {
    const found = await navigator.serviceWorker.getRegistration(api.scope);
    if (found?.scope === new URL(api.scope, location).href) return found;
  }

  const current = async () => (await registration())?.pushManager.getSubscription();

  async function register() {
    const found = await navigator.serviceWorker.register(api.worker, { scope: api.scope });
    const worker = found.installing ?? found.waiting;
    if (!found.active && worker)
      await new Promise((done) => (worker.onstatechange = () =>
        /activated|redundant/.test(worker.state) && done()));
    return found;
  }

  async function attach({ pushManager }) {
    const kept = await pushManager.getSubscription();
    const key = kept?.options.applicationServerKey;
    if (kept && (!key || encode(key) === CONFIG.key)) return kept;
    // Made with a key that nobody signs with any more.
    await kept?.unsubscribe();
    return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: CONFIG.key });
  }

  async function announce(subscription) {
    const { endpoint } = subscription;
    const auth = subscription.getKey("auth");
    const last = await update((kept) => kept ?? { endpoint, auth });
    const { pending, landing, consent, language: before = navigator.language } = stored();
    const { text, at, page } = consent ?? {};
    const { language = before, tags, chosen } = pending;
    const fields = {
      // The utm_source of the first page is the source where nothing else is said.
      ...(silent() ? { tags, chosen } : { ...landing, ...pending }),
      language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      subscription: subscription.toJSON(),
      key: CONFIG.key,
      consent: text && { text, at, page },
      ...(last.endpoint !== endpoint && {
        previous: last.endpoint,
        previous_signature: await sign(last.auth, "/v1/subscribe#previous", endpoint),
      }),
    };
    if (await tell("/v1/subscribe", fields, { auth })) {
      // What the worker must know, too. Who has left meanwhile stays out.
      await update((kept) =>
        kept && { endpoint, auth, at: Date.now(), skew: stored().skew, key: CONFIG.key, home: HOME });
      store({ language: pending.language ?? stored().language });
    }
    store({ pending: undefined });
  }

  // On each page load: browsers change endpoints without a word (Chrome) or with little
  // of one (Firefox), and keys change; at most once a day when nothing did.
  async function sync(anew) {
    if (!SUPPORTED || Notification.permission !== "granted") return;
    const last = await update();
    if (!last && !stored().pending) return;
    const found = await registration();
    const fresh = Date.now() - last?.at < DAY;
    const { endpoint } = await attach(fresh && found?.active ? found : await register());
    if (anew || !fresh || last.endpoint !== endpoint) store({ pending: { ...stored().pending } });
    await flush();
  }

  // --- what waits to be told -------------------------------------------------------

  // localStorage, because it keeps what is written although the page goes away now; what it
  // does not take (forbidden, or full) is held until then.
  let held;
  function stored() {
    try {
      return held ?? JSON.parse(localStorage.getItem("pushctl")) ?? {};
    } catch {
      return {};
    }
  }

  function store(change) {
    held = { ...stored(), ...change };
    try {
      localStorage.setItem("pushctl", JSON.stringify(held));
      held = undefined;
    } catch {
      // held
    }
  }

  const warn = (error) => console.warn(error.message);
  // As the receiver counts.
  const now = () => Date.now() + (stored().skew ?? 0) * 1000;

  // Global Privacy Control, or a no to tracking: then nothing is told but what people do
  // themselves: subscribing, choosing, leaving.
  const silent = () => navigator.globalPrivacyControl || stored().consent?.tracking === false;

  // What only takes away (`more` false) is kept in any case.
  const keep = async (change, more = true) =>
    !(more && silent()) && (store(change), flush());

  // One at a time; resolves to whether everything is told. What did not get through is tried
  // again while the page is open, ever later: who buys on the last page must not be reminded.
  let flushing = Promise.resolve(), again, failed = 0;
  const flush = () => (flushing = flushing.then(tellAll).catch(({ after }) => {
    clearTimeout(again);
    // Or when the receiver says; at most 18 hours, timers don't count much further.
    again = setTimeout(flush, Math.max(++failed * 9, after & 65535) * 1000);
    return false;
  }));

  async function tellAll() {
    const last = SUPPORTED && (await update());
    // Nobody knows this browser yet: kept until it subscribes.
    if (!last?.at) return stored().pending ? announce(await current()).then(tellAll) : false;
    const { endpoint } = last;
    for (let events, most; (events = fitting(stored().events).slice(0, most)).length; ) {
      // One of them is not of its form: the others need not go with it.
      if (!(await tell("/v1/events", { endpoint, events }, last)) && events[1]) most = 1;
      else store({ events: stored().events.filter(({ id }) => !events.some((one) => one.id === id)) });
    }
    for (let names, most = 32; (names = Object.keys(stored().tags ?? {}).slice(0, most)).length; ) {
      const tags = stored().tags;
      const left = (name) => Math.round((tags[name] - now()) / 1000);
      // What has ended meanwhile is nobody's.
      const add = names.filter((name) => tags[name] === true || tags[name] > now())
        .map((name) => tags[name] > 1 ? { name, seconds: Math.max(left(name), 60) } : name);
      const remove = names.filter((name) => !tags[name]);
      if (add.concat(remove).length &&
        !(await tell("/v1/tags", { endpoint, add, remove }, last)) && names.length > 1) most = 1;
      else {
        const rest = stored();
        for (const name of names) if (rest.tags[name] === tags[name]) delete rest.tags[name];
        store(rest);
      }
    }
    const { alias } = stored();
    if (alias) {
      await tell("/v1/identify", { endpoint, ...alias }, last);
      if (stored().alias?.alias === alias.alias) store({ alias: undefined });
    }
    // Last: who could not tell this may tell the rest.
    if (stored().pending) await announce(await current());
    failed = 0;
    return true;
  }

  // `value`: true, false, or until when it is on.
  function label(names, value, more = value) {
    const tags = { ...stored().tags };
    for (const name of names) tags[name] = value;
    return keep({ tags }, more);
  }

  const fitting = (events = []) =>
    size(events) > 7000 ? fitting(events.slice(0, events.length >> 1)) : events;

  // What is refused for good is not asked again; anything else is thrown, and stays.
  async function tell(path, fields, last) {
    try {
      await post(path, fields, last);
      return true;
    } catch (error) {
      if (!error.final) throw error;
      warn(error);
    }
  }

  async function post(path, fields, { auth }, again = true) {
    const body = JSON.stringify(fields);
    const response = await fetch(HOME + path, {
      method: "POST",
      body,
      headers: {
        "Content-Type": "application/json",
        "X-Pushctl-Signature": await sign(auth, path, body),
      },
      credentials: "omit",
      keepalive: true,
    });
    if (response.ok) return;
    const { status } = response;
    const { error = status, remedy = "", now } = await response.json().catch(() => ({}));
    if (now && again) {
      // This machine's clock is off.
      store({ skew: now - Math.round(Date.now() / 1000) });
      return post(path, fields, { auth }, false);
    }
    throw Object.assign(new Error(`pushctl: ${error} ${remedy}`), {
      final: status < 500 && !/408|429/.test(status),
      after: response.headers.get("Retry-After"),
    });
  }

  // --- as in pushctl-sw.js: each file stands alone -----------------------------------

  const bytes = (value) => new TextEncoder().encode(value);
  const size = (value) => bytes(JSON.stringify(value)).length;

  function encode(buffer) {
    return btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  const made = new Set();

  async function sign(auth, path, body, seconds = Math.round(now() / 1000)) {
    const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(body)))];
    const hex = digest.map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", auth, algorithm, false, ["sign"]);
    const message = bytes(`POST\n${path}\n${seconds}\n${hex}`);
    const signature = `${seconds}.${encode(await crypto.subtle.sign("HMAC", key, message))}`;
    // A signature is taken once: the same wish in the same second needs another.
    if (made.has(signature)) return sign(auth, path, body, seconds + 1);
    made.add(signature);
    return signature;
  }

  // Reads what is known of the subscription, stores what `change` makes of it, in one
  // transaction; gives the new value.
  async function update(change = (kept) => kept) {
    const request = indexedDB.open("pushctl", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("values");
    const database = await result(request);
    const values = database.transaction("values", "readwrite").objectStore("values");
    const next = change(await result(values.get("subscription")));
    await result(values.put(next, "subscription"));
    database.close();
    return next;
  }

  const result = (request) => new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });

  // --- ready -------------------------------------------------------------------------

  const inner = { api, HOME, heard, label, stored, store, silent, now, current, update, post, sync };
  window.pushctl = api;
  Object.assign(api, early?.options);
  // Where somebody came in.
  stored().landing || silent() ||
    store({ landing: { page: location.href.slice(0, 512), referrer: document.referrer.slice(0, 256) } });
  // Called before we were here.
  early?.forEach?.((one) => api.push(one));
  api.ready = sync().catch(warn);
  if (CONFIG.rules && !silent()) more("rules").then(({ watch }) => watch(inner)).catch(warn);
})();
