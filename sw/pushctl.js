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
  // Not in a sandboxed frame, which has no origin, nor over plain http.
  const SUPPORTED = window.origin !== "null" && "serviceWorker" in navigator &&
    "PushManager" in window && "Notification" in window;
  const allowed = () => SUPPORTED && Notification.permission === "granted";

  // --- what people call ----------------------------------------------------------

  // Names of events, for the tag rules.
  const heard = [];

  const api = {
    worker: "/pushctl-sw.js",
    scope: "/pushctl/",

    // Call it in a click's handler: browsers ask nothing without one, and so do we.
    async subscribe(options) {
      if (!SUPPORTED) return "unsupported";
      if (Notification.permission === "default" && navigator.userActivation?.isActive === false) {
        warn("pushctl.subscribe() needs a click");
        return "default";
      }
      const permission = await Notification.requestPermission();
      if (permission !== "granted") return permission;
      const { language, source, tags, attributes } = Object(options);
      const wish = { language, source, tags: tags?.trim ? [tags] : tags, attributes };
      // Kept until it is told.
      store({ pending: { ...(plain(wish, 5) ?? (await fitted(wish, "subscribe"))), chosen: true } });
      await flush();
      // The browser may allow it, and have no push service that works (Brave); or the receiver
      // takes nobody.
      return (await current()) && (stored().pending || (await update())?.at) ? permission : "failed";
    },

    async unsubscribe() {
      if (!SUPPORTED) return;
      const last = await update();
      const subscription = await current();
      await update(() => null);
      store({ pending: undefined });
      if (last) await post("/v1/unsubscribe", { endpoint: last.endpoint }, last).catch(() => {});
      // Then the push service says "gone" to whoever sends.
      await subscription?.unsubscribe();
    },

    track(name, properties) {
      if (!name?.trim) throw TypeError("no name");
      const event = { id: draw(), name: name.slice(0, 99), at: now() };
      const add = (told) => keep({
        events: (stored().events ?? []).concat({ ...event, properties: told ?? {} }).slice(-50),
      });
      heard.push(name);
      // For a reminder that is on its way: the worker can't read localStorage.
      if (name === "purchase" && allowed() && !silent())
        update((kept) => kept && { ...kept, bought: now() }).catch(warn);
      const told = plain(properties);
      return told ? add(told) : fitted(properties, name).then(add);
    },

    // cart({ items: [{ id, name, price, quantity }], total, currency, url }), or cart() when emptied
    cart(content) {
      const { items, currency } = content || { items: [] };
      const all = Object.values(Object(items));
      // A name that is misspelt must not empty somebody's basket.
      if (!all.length && !Array.isArray(items)) throw TypeError("no items");
      if (!all.every((one) => one?.id ?? one?.name)) warn("pushctl.cart(): items need id or name");
      // NaN (in JSON: null) where one of them is no number, as the text "1.249" may mean two,
      // or in another currency.
      let count = 0, total = 0;
      for (const { price, quantity = 1, currency: own = currency } of all.map(Object)) {
        const known = quantity?.toFixed && quantity;
        count += known;
        total += own === currency && price?.toFixed ? price * known : NaN;
      }
      return count === 0 ? api.track("cart_emptied")
        : api.track("cart_updated", { count, total: +total.toFixed(4), ...content, items: all });
    },

    // tag("lamps", "sofas"), tag("lamps", { days: 30 }); chosen: true where the person ticked it
    tag(...names) {
      const { days, chosen } = Object(names[names.length - 1]);
      if (!((days ?? 1) > 0)) throw TypeError("days: above 0");
      if ((days ?? chosen) !== undefined) names.pop();
      return label(names, days ? now() + days * DAY : true, !chosen);
    },

    untag: (...names) => label(names, false),

    // identify(alias, signature), or identify({ alias, signature, emailHash }): signature and
    // hash come from the shop's server; without its signature an alias is a mere label.
    identify(given, sealed) {
      const { alias, signature, emailHash } = Object(given) === given ? given
        : { alias: given ?? null, signature: sealed };
      if (alias && !/^([\w-]{43}|undefined|null)$/.test(signature))
        throw TypeError("signature: 43 characters of base64url");
      if (emailHash ? !/^[\da-f]{64}$/.test(emailHash) : alias === undefined)
        throw TypeError("emailHash: 64 digits of hex");
      return keep({
        alias: {
          alias: alias ? `${alias}` : alias === undefined ? alias : null,
          signature: (alias && signature) || undefined,
          email_hash: emailHash || undefined,
        },
      }, alias || emailHash || 0);
    },

    // Goes into the shop's cart, and comes back with the order; null where nothing is tracked.
    async cartKey() {
      if (silent()) return null;
      if (!stored().cart) {
        store({ cart: draw() });
        // Who has no subscription needs no database: the next page would wait for one that
        // this page was making as it went away (Chromium, back/forward cache).
        if (allowed()) current().then((found) => found && sync(true)).catch(warn);
      }
      return stored().cart;
    },

    // consent({ text: "2026-11", tracking: true }): what somebody agreed to, and how far.
    consent: async (given) =>
      given !== undefined ? (await more("preferences")).agree(inner, given) : stored().consent,

    // Shows our own question; the browser's follows only when it is answered with yes, and
    // where it is still to be answered. Resolves to what subscribe() gives, "later", or
    // "skipped" when there is no use in asking.
    async prompt(options = {}) {
      const asks = SUPPORTED
        ? Notification.permission === "default" || (allowed() && !(await update()))
        : navigator.standalone === false;
      return options.kind === "bell" || (asks && (options.again || !(stored().later > Date.now())))
        ? (await more("prompt")).prompt(inner, options) : "skipped";
    },

    // adopt({ old: "/OneSignalSDKWorker.js", ask: false }): who allowed it to a former service.
    adopt: async (options) => allowed() ? (await more("adopt")).adopt(inner, options) : "skipped",

    // Pause, fewer, stop, erase me: a dialog, or into: "#place" on a page of its own.
    preferences: async (options) => (await more("preferences")).open(inner, options),

    // Says in the console what is told and answered, as ?pushctl_debug in the address does.
    debug: async () => (await more("debug")).watch(inner),

    state: async () => ({
      supported: SUPPORTED,
      permission: window.Notification?.permission,
      subscribed: SUPPORTED && !!(await current().catch(warn)),
    }),

    // What is wrong with one call is not the others' fault.
    push: (...calls) => calls.forEach((one) => call(one).catch(warn)),
  };

  const call = async (one) => one.call ? one(api) : api[one[0]](...one.slice(1));

  // What fails here must not fail the page: the console says it.
  const failed = { subscribe: "failed", prompt: "skipped", adopt: "failed" };
  for (const name in api) {
    const work = api[name];
    if (work.call) api[name] = async (...given) => {
      try {
        return await work(...given);
      } catch (error) {
        console.warn(`pushctl.${name}():`, error?.message ?? error);
        return failed[name] ?? false;
      }
    };
  }

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

  const draw = () => encode(crypto.getRandomValues(new Uint8Array(16)));

  const ours = ({ options: { applicationServerKey: key } }) => !key || encode(key) === CONFIG.key;

  async function attach() {
    const { pushManager } = await register();
    const kept = await pushManager.getSubscription();
    if (kept && ours(kept)) return kept;
    // Made with a key that nobody signs with any more.
    await kept?.unsubscribe();
    return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: CONFIG.key });
  }

  async function announce() {
    // A push service that can't be reached may never answer (Chromium).
    const subscription = await within(30, attach());
    const { pending, landing, consent, language: before = navigator.language } = stored();
    // Another tab has told it, or somebody has left meanwhile.
    if (!pending) return (await update()) || subscription.unsubscribe();
    const { endpoint } = subscription;
    const auth = subscription.getKey("auth");
    const last = await update((kept) => kept ?? { endpoint, auth });
    const { text, at, page, tracking } = consent ?? {};
    const { language = before, tags, chosen, adopted } = pending;
    const fields = {
      // The utm_source of the first page is the source where nothing else is said.
      ...(silent() ? { tags, chosen, adopted } : { ...landing, ...pending }),
      cart: cart(),
      language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      subscription: subscription.toJSON(),
      key: CONFIG.key,
      consent: text && { text, at, page },
      tracking,
      ...(last.endpoint !== endpoint && {
        previous: last.endpoint,
        previous_signature: await sign(last.auth, "/v1/subscribe#previous", endpoint),
      }),
    };
    if (await tell("/v1/subscribe", fields, { auth })) {
      // What the worker must know, too. Who has left meanwhile stays out.
      await update((kept) =>
        kept && { ...kept, endpoint, auth, at: Date.now(), skew: stored().skew, key: CONFIG.key, home: HOME });
      store({ language: pending.language ?? stored().language });
    } else if (size(pending) > 15) {
      // More than {"chosen":true}: who subscribes must not be lost over what else was said.
      store({ pending: { chosen } });
      return announce();
    }
    store({ pending: undefined });
  }

  // On each page load: browsers change endpoints without a word (Chrome) or with little
  // of one (Firefox), and keys change; at most once a day when nothing did.
  async function sync(anew) {
    if (!allowed()) return;
    const last = await update();
    if (!last && !stored().pending) return;
    const found = !anew && Date.now() - last?.at < DAY && (await current());
    if (!found || found.endpoint !== last.endpoint || !ours(found))
      store({ pending: { ...stored().pending } });
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

  const warn = (error) => console.warn(error?.message ?? error);
  // As the receiver counts.
  const now = () => Date.now() + (stored().skew ?? 0) * 1000;

  // Global Privacy Control, or a no to tracking: then nothing is told but what people do
  // themselves: subscribing, choosing, leaving.
  const silent = () =>
    navigator.globalPrivacyControl || (stored().consent?.tracking ?? true) !== true;

  const cart = () => silent() ? undefined : stored().cart;

  // What only takes away (`more` false) is kept in any case.
  const keep = async (change, more = true) =>
    !(more && silent()) && (store(change), within(5, flush()));

  // A checkout may wait for us.
  const within = (seconds, work) => Promise.race([work, new Promise((_, fail) =>
    Object(AbortSignal.timeout?.(seconds * 1000)).onabort = () => fail(Error("pushctl: no answer")))]);

  // One at a time; resolves to whether everything is told. What did not get through is tried
  // again while the page is open: who buys on the last page must not be reminded.
  let flushing = Promise.resolve(), again, tries = 1, taken;
  const flush = () => (flushing = flushing.then(tellAll).catch((error) => {
    warn(error);
    const { after } = error;
    // However many calls fail meanwhile.
    if (again && !after) return false;
    clearTimeout(again);
    // Each half minute, after a quarter of an hour ever later; or when the receiver says, at
    // most after 18 hours: timers don't count much further.
    const pause = Math.max(Math.min(tries, 3), tries - 30) * 9;
    again = setTimeout(() => {
      again = 0;
      tries += 1;
      return flush();
    }, Math.max(pause, after & 65535) * 1000);
    return false;
  }));

  async function tellAll() {
    taken = true;
    // Nobody knows this browser yet: kept until it subscribes. Who was never asked needs no
    // database for that (see cartKey).
    const last = SUPPORTED && Notification.permission !== "default" && (await update());
    if (!last?.at) return stored().pending && allowed() ? announce().then(tellAll) : false;
    const { endpoint } = last;
    for (let events, most; (events = fitting(stored().events).slice(0, most)).length; ) {
      const done = await tell("/v1/events", { endpoint, cart: cart(), events }, last);
      const [{ id, properties }] = events;
      // One of them is not of its form: the others need not go with it, nor its name, which
      // may say that somebody has bought.
      if (!done && events[1]) most = 1;
      else store({ events: stored().events.flatMap((one) =>
        // A basket of which nothing is known would take the place of one that is.
        one.id === id && !done && size(properties) > 2 && one.name !== "cart_updated" ? { ...one, properties: {} }
          : events.some((told) => told.id === one.id) ? [] : one) });
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
      await tell("/v1/identify", { endpoint, cart: cart(), ...alias }, last);
      if (JSON.stringify(stored().alias) === JSON.stringify(alias)) store({ alias: undefined });
    }
    // Last: who could not tell this may tell the rest.
    if (stored().pending && allowed()) await announce();
    tries = 1;
    return taken;
  }

  // `value`: true, false, or until when it is on.
  function label(names, value, more = value) {
    const tags = { ...stored().tags };
    const known = names.flat().filter((name) => name?.trim?.());
    if (known.length < (names.flat().length || 1))
      warn("pushctl.tag(): texts only, then { days, chosen }");
    for (const name of known) tags[name] = value;
    return keep({ tags }, more);
  }

  // Whether the receiver takes what was read from JSON (pushctl/receiver/shapes.py).
  const sound = (one, levels, all = Object.values(one ?? 0)) => one?.trim ? all.length <= 1024
    : (levels || Object(one) !== one) && all.length <= 64 && !(Math.abs(one) >= 2 ** 53) &&
      all.every((each) => sound(each, levels - 1));

  // A copy, where it is of JSON, sound, and not too large; JSON writes half a letter as \ud83d.
  function plain(value, levels = 4) {
    try {
      const text = JSON.stringify({ ...value });
      const copy = JSON.parse(text);
      if (bytes(text).length < 6000 && !/\\u/.test(text) && sound(copy, levels)) return copy;
    } catch {
      // a circle, a BigInt, a getter that throws
    }
  }

  // As much of it as can be told; where even that fails a purchase is still one.
  const fitted = (value, name) => more("fit").then(({ fit }) => fit(value, name)).catch((error) => {
    if (name === "cart_updated") throw error;
    warn(error);
  });

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
      taken = false;
    }
  }

  async function post(path, fields, { auth }, again = true) {
    const body = JSON.stringify(fields);
    const response = await within(20, fetch(HOME + path, {
      method: "POST",
      body,
      headers: {
        "Content-Type": "application/json",
        "X-Pushctl-Signature": await sign(auth, path, body),
      },
      credentials: "omit",
      keepalive: true,
    }));
    if (response.ok) return;
    const { status } = response;
    const { error = status, remedy = "", now } = await response.json().catch(() => ({}));
    if (now && again) {
      // This machine's clock is off.
      store({ skew: now - Math.round(Date.now() / 1000) });
      return post(path, fields, { auth }, false);
    }
    throw Object.assign(new Error(`pushctl ${path}: ${error} ${remedy}`), {
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
  // After a click the worker asks where this page is: it knows only where it was loaded.
  if (SUPPORTED) navigator.serviceWorker.addEventListener("message", ({ data, ports }) =>
    data === "pushctl" && ports[0].postMessage(location.href));
  // Where somebody came in.
  stored().landing || silent() ||
    store({ landing: { page: location.href.slice(0, 512), referrer: document.referrer.slice(0, 256) } });
  if (/[?&]pushctl_debug/.test(location.search)) flushing = api.debug();
  // Called before we were here.
  early?.forEach?.((one) => api.push(one));
  api.ready = sync().catch(warn);
  if (CONFIG.rules && !silent()) more("rules").then(({ watch }) => watch(inner)).catch(warn);
})();
