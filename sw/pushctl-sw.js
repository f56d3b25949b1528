// pushctl's service worker: shows what comes first, and always; reports after.
// Put it on the site's own origin (docs/embedding.md). No dependency, no build.
const CONFIG = /*pushctl*/{ "url": "", "name": "" }/*end*/;
const FIELDS =
  "body lang dir icon image badge tag renotify requireInteraction silent".split(" ");

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(begin()));
self.addEventListener("push", (event) => event.waitUntil(show(event)));
self.addEventListener("notificationclick", (event) => event.waitUntil(follow(event)));
self.addEventListener("notificationclose", (event) =>
  event.waitUntil(report("closed", event.notification.data)));
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));

async function begin() {
  await self.clients.claim();
  await resend();
}

// --- showing -------------------------------------------------------------------

async function show(event) {
  // Falls back, never throws.
  const given = declared(event);
  const told = given.data;
  // Who bought while the push was in the air is thanked: the page said it here, in our time.
  // A storage that does not answer must not cost the notification.
  const { bought, at } = Object(told);
  const thanks = bought && (await Promise.race([known(), wait(999)]))?.bought > at;
  const { title, ...options } = read(thanks ? bought : given);
  try {
    await self.registration.showNotification(title, options);
  } catch {
    // An option this browser dislikes must not cost the notification: browsers drop
    // subscriptions whose pushes show nothing.
    const { body, data } = options;
    try {
      await self.registration.showNotification(title, { body, data });
    } catch (error) {
      // Firefox without a notification service on the desktop.
      return console.error(error);
    }
  }
  await report(thanks ? "bought" : "shown", told);
}

function read(given) {
  const shown = {
    title: text(given.title) || CONFIG.name || self.location.host,
    icon: CONFIG.icon,
    badge: CONFIG.badge,
  };
  for (const name of FIELDS) if (given[name] != null) shown[name] = given[name];
  const actions = [].concat(given.actions).filter((one) => one?.action);
  shown.actions = actions;
  shown.data = {
    ...given.data,
    navigate: given.navigate,
    links: Object.fromEntries(actions.map((one) => [one.action, one.navigate])),
  };
  return shown;
}

// The Declarative Web Push JSON; Safari has read it already (event.notification).
function declared(event) {
  try {
    return Object(event.notification ?? event.data.json().notification);
  } catch {
    // an empty push has no data, a garbled one no JSON
    return {};
  }
}

const wait = (millis) => new Promise((done) => setTimeout(done, millis));

const text = (value) => (typeof value === "string" ? value : "");

// What the page has left here. Without storage: nothing.
const known = () => update("subscription", (kept) => kept).catch(() => {});

// Where the receiver is: a worker does not know what it was imported from, the page does.
const home = async () => CONFIG.url || (await known())?.home || self.location.origin;

// --- clicks --------------------------------------------------------------------

async function follow(event) {
  const { notification, action } = event;
  notification.close();
  const data = notification.data ?? {};
  // The window first: a browser lets us open one only shortly after the click.
  await Promise.all([open(address(data.links?.[action] || data.navigate)),
    report("clicked", data, action)]);
}

function address(link) {
  const { origin } = self.location;
  try {
    const { protocol, href } = new URL(text(link), origin);
    if (/^https?:$/.test(protocol)) return href;
  } catch {
    // no address at all
  }
  return origin + "/";
}

async function open(url) {
  const tabs = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const places = await Promise.all(tabs.map(locate));
  const bare = (place) => place?.split("#")[0];
  try {
    const there = tabs[places.findIndex((place) => bare(place) === bare(url))];
    if (there) return await there.focus();
  } catch {
    // The tab closed meanwhile.
  }
  await self.clients.openWindow(url);
}

// Asks a page where it is: its `url` is where it was loaded. One that does not answer may show
// anything. Firefox lets us open a window within a second of the click only.
const locate = (tab) => new Promise((done) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => done(data);
  wait(300).then(done);
  tab.postMessage("pushctl", [port2]);
});

// --- reports -------------------------------------------------------------------

async function report(kind, data, action) {
  if (!text(data?.pushctl)) return;
  // In the receiver's time, as far as the page knows it.
  const fresh = {
    message: data.pushctl,
    kind,
    at: Date.now() + ((await known())?.skew ?? 0) * 1000,
    id: encode(crypto.getRandomValues(new Uint8Array(16))),
  };
  if (action) fresh.action = action;
  try {
    if (await tell(fresh)) await resend();
    else await update("reports", (kept = []) => [...kept, fresh].slice(-100));
  } catch {
    // no storage: the notification matters more than its figure
  }
}

// True when there is nothing left to do: taken, or refused for good.
async function tell(one) {
  try {
    const { status } = await fetch(`${await home()}/v1/reports`, {
      method: "POST",
      body: JSON.stringify(one),
      // Spares the preflight.
      headers: { "Content-Type": "text/plain" },
      credentials: "omit",
      keepalive: true,
    });
    return status < 500 && !/408|429/.test(status);
  } catch {
    // Offline.
    return false;
  }
}

async function resend() {
  for (const one of await update("reports", (kept = []) => kept)) {
    if (!(await tell(one))) return;
    await update("reports", (kept = []) => kept.filter(({ id }) => id !== one.id));
  }
}

// --- a new endpoint ------------------------------------------------------------

async function renew(event) {
  const last = await known();
  // Whoever has turned it off stays out.
  if (!last) return;
  const { pushManager } = self.registration;
  const subscription = event.newSubscription ?? (await pushManager.getSubscription()) ??
    (await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: last.key }));
  const { endpoint } = subscription;
  if (endpoint === last.endpoint) return;
  const auth = subscription.getKey("auth");
  const body = JSON.stringify({
    subscription: subscription.toJSON(),
    key: encode(subscription.options.applicationServerKey),
    previous: last.endpoint,
    previous_signature: await sign(last.auth, "/v1/subscribe#previous", endpoint, last.skew),
  });
  const { ok } = await fetch(`${await home()}/v1/subscribe`, {
    method: "POST",
    body,
    headers: {
      "Content-Type": "application/json",
      "X-Pushctl-Signature": await sign(auth, "/v1/subscribe", body, last.skew),
    },
    credentials: "omit",
    keepalive: true,
  });
  // Otherwise the page tells of it at the next visit, with the old endpoint kept here.
  if (ok) await update("subscription", () => ({ ...last, endpoint, auth, at: Date.now() }));
}

// --- as in pushctl.js: each file stands alone ------------------------------------

const bytes = (value) => new TextEncoder().encode(value);

function encode(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

async function sign(auth, path, body, skew = 0) {
  const seconds = Math.round(Date.now() / 1000) + skew;
  const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(body)))];
  const hex = digest.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", auth, algorithm, false, ["sign"]);
  const message = bytes(`POST\n${path}\n${seconds}\n${hex}`);
  return `${seconds}.${encode(await crypto.subtle.sign("HMAC", key, message))}`;
}

// Reads what is known of the subscription, stores what `change` makes of it, in one
// transaction; gives the new value.
async function update(name, change) {
  const request = indexedDB.open("pushctl", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("values");
  const database = await result(request);
  const values = database.transaction("values", "readwrite").objectStore("values");
  const next = change(await result(values.get(name)));
  await result(values.put(next, name));
  database.close();
  return next;
}

const result = (request) => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});

