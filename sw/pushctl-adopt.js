// Takes over who allowed notifications to a former push service of this site.
// Loaded by pushctl.adopt() where the browser allows them, and by nobody else.

// Resolves to "adopted", "skipped" when there is nothing to take over, "failed" when the former
// subscription stays for now, or what the invitation gives.
export async function adopt(inner, { old, ask } = {}) {
  const { api, update, stored } = inner;
  const paths = [old].flat().map((one) => one?.trim && pathOf(one));
  if (!paths.every(Boolean)) throw TypeError("old: the former worker's address");
  // What an earlier visit has begun goes first.
  await api.ready;
  const former = await find(paths);
  if (!former.length) return "skipped";
  const last = await update();
  if (last?.at) return finish(inner, former);
  const subscription = await held(former);
  // Who has none there has left there, and null is who has turned it off here: they may be asked
  // by an invitation, not taken along.
  if (last === null || !(subscription || last)) return "skipped";
  const take = (wish) => move(inner, former, subscription, wish);
  if (!ask || last) return take();
  if (stored().later > Date.now()) return "skipped";
  const { prompt } = await import("./pushctl-prompt.js");
  const subscribe = async (wish) =>
    (await take({ ...wish, chosen: true })) === "adopted" ? "granted" : "failed";
  return prompt({ ...inner, api: { ...api, subscribe } }, Object(ask));
}

const pathOf = (address) => new URL(address, location.href).pathname;

// The registrations that run one of these scripts, and no other by now.
async function find(paths) {
  const all = await navigator.serviceWorker.getRegistrations();
  return all.filter(({ active, waiting, installing }) => {
    const worker = active ?? waiting ?? installing;
    return worker && paths.includes(pathOf(worker.scriptURL));
  });
}

async function held(former) {
  for (const { pushManager } of former) {
    const found = await pushManager.getSubscription();
    if (found) return found;
  }
}

// The former endpoint and its `auth` are known as ours would be: so the receiver is told that
// the one has become the other, signed with both. Kept before anything is changed: in our own
// scope a browser can't have both, and what fails between is told at the next visit.
async function move(inner, former, subscription, wish) {
  const { update, store, stored, sync } = inner;
  if (subscription) {
    const { endpoint } = subscription;
    const auth = subscription.getKey("auth");
    await update((kept) => kept ?? { endpoint, auth });
  }
  store({ pending: { ...stored().pending, source: "adopted", adopted: true, ...wish } });
  await sync(true);
  return finish(inner, former);
}

// Ends the former subscription once the receiver has taken ours, and not before.
async function finish({ api, current, update, stored }, former) {
  const [last, ours] = [await update(), await current()];
  if (!last?.at || stored().pending || ours?.endpoint !== last.endpoint) return "failed";
  const own = new URL(api.scope, location.href).href;
  for (const registration of former) {
    // There the former script has become ours, and its subscription has ended by that.
    if (registration.scope === own) continue;
    await (await registration.pushManager.getSubscription())?.unsubscribe();
    await registration.unregister();
  }
  return "adopted";
}
