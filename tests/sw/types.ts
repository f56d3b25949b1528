// What a shop may write, and what its editor must warn of; read by tsc alone.
import pushctl, { type PromptOptions, type Queue, type State } from "../../sw/pushctl";

const options: PromptOptions = {
  kind: "bar", delay: 5000, visits: 2, scroll: 0.5, pages: ["/lamps/*"], days: 30, privacy: "/privacy",
  variants: { plain: { weight: 3 }, offer: { kind: "card", texts: { en: { title: "Offers" } } } },
};

const queue: Queue = [];
queue.options = { worker: "/js/push.js", scope: "/js/push/" };
window.pushctl = queue;
window.pushctl ??= [];
window.pushctl.push(["prompt", { delay: 5000 }]);

export async function use(): Promise<State> {
  const answer: "granted" | "denied" | "default" | "unsupported" | "failed" | "later" | "skipped" =
    await pushctl.prompt(options);
  if (answer === "granted") await pushctl.tag("lamps", { days: 30 });
  await pushctl.tag("lamps", "sofas");
  await pushctl.untag("lamps");
  const told: boolean = await pushctl.track("purchase", { total: 49 });
  await pushctl.cart({ items: [{ id: "lamp", name: "Lamp", price: 49 }], total: 49, currency: "EUR" });
  await pushctl.cart();
  await pushctl.identify("customer-7", told ? "signed" : undefined);
  await pushctl.identify(7, "signed");
  await pushctl.identify(null);
  await pushctl.identify({ alias: "customer-7", signature: "signed", emailHash: "0f" });
  const key: string | null = await pushctl.cartKey();
  await pushctl.identify({ emailHash: key ?? undefined });
  await pushctl.consent({ text: "2026-11", tracking: true });
  const when: number | undefined = (await pushctl.consent({ tracking: false }))?.at;
  const moved: string = await pushctl.adopt({ old: ["/OneSignalSDKWorker.js"], ask: { delay: 5000 } });
  if (moved === "adopted") await pushctl.adopt({ old: "/sw.js", ask: true });
  await pushctl.preferences({ into: "#preferences" });
  window.pushctl.push(["track", "page_view", {}], (loaded) => loaded.prompt());
  await pushctl.subscribe({ language: "ar", tags: ["lamps"], attributes: { plan: "gold" } });
  await pushctl.unsubscribe();
  await pushctl.ready;
  return pushctl.state();
}

// @ts-expect-error: there is no such kind
pushctl.prompt({ kind: "banner" });
// @ts-expect-error: a price is a number
pushctl.cart({ items: [{ id: "lamp", name: "Lamp", price: "49" }], total: 49, currency: "EUR" });
// @ts-expect-error: no call has that name
window.pushctl.push(["tagg", "lamps"]);
// @ts-expect-error: a tag with a life has a name
pushctl.subscribe({ tags: [{ seconds: 3600 }] });
// @ts-expect-error: a hash is a text
pushctl.identify({ emailHash: 7 });
// @ts-expect-error: an event has a name
pushctl.track({ total: 49 });
