// Types of window.pushctl and of `import pushctl from ".../pushctl.mjs"`.

export interface SubscribeOptions {
  /** BCP 47, kept for good; the browser's own language when absent. */
  language?: string;
  /** Where the person comes from; utm_source of the page when absent. */
  source?: string;
  /** At most 32, each up to 255 characters; or with how long they live. */
  tags?: (string | { name: string; seconds: number })[];
  attributes?: Record<string, unknown>;
}

/**
 * What the browser answered; "failed": it allows notifications, but there is no subscription
 * (its push service fails, or the worker can't be loaded). It is tried again.
 */
export type Permission = "granted" | "denied" | "default" | "unsupported" | "failed";

/** "{name}" stands for the site's name, "{date}" for the end of a pause. */
export interface Texts {
  title: string;
  body: string;
  allow: string;
  later: string;
  privacy: string;
  bell: string;
  home: string;
  understood: string;
  blocked: string;
  preferences: string;
  pause: string;
  paused: string;
  resume: string;
  fewer: string;
  weekly: string;
  stop: string;
  off: string;
  erase: string;
  everything: string;
  sure: string;
  yes: string;
  back: string;
  erased: string;
  /** "{id}" is what names this browser. */
  id: string;
  saved: string;
  failed: string;
  close: string;
}

export interface LookOptions {
  /** The language of the texts, and of who subscribes by an invitation; the page's when absent. */
  language?: string;
  /** Texts of further languages, or other words for those that are there. */
  texts?: Record<string, Partial<Texts>>;
  name?: string;
  icon?: string;
  /** "#0a7": the brand's; CSS variables of the page go first. */
  color?: string;
  /** "#fffaf5": behind the texts, in light and in dark; CSS variables of the page go first. */
  background?: string;
  /** A place on the page: a selector or an element. */
  into?: string | Element;
}

export interface Look extends LookOptions {
  /** "card" (the default) at the browser's own corner, "bar" along the bottom, "bell", "inline". */
  kind?: "card" | "bar" | "bell" | "inline";
  /** Where the privacy policy stands. */
  privacy?: string;
  /** Your name for the words that are agreed to; made of the words when absent. */
  consent?: string;
}

export interface PromptOptions extends Look {
  /** Milliseconds until it appears; 0. */
  delay?: number;
  /** From which visit on; 1. */
  visits?: number;
  /** How much of the page must have been on the screen first, 0 to 1. */
  scroll?: number;
  /** "/lamps/*", or whole addresses with "*": only there. */
  pages?: string | string[];
  /** How long "later" counts, in days; 14. */
  days?: number;
  /** Ask now, although somebody said later (or, on a click of theirs, turned it off). */
  again?: boolean;
  /** Names (letters, digits, - and _) of what is compared; each browser keeps the one it got. */
  variants?: Record<string, Look & { weight?: number }>;
}

export interface Consent {
  /** The version of the words that were agreed to. */
  text?: string;
  /** False: nothing is told but what people do themselves. */
  tracking?: boolean;
}

/** All of it made by the shop's server; an alias that is left out stays as it is. */
export interface Person {
  alias?: string | number | null;
  signature?: string;
  /** 64 digits of hex. */
  emailHash?: string;
}

export interface Item {
  id: string;
  name: string;
  /** A number: the text "1.249" may mean two. */
  price: number;
  /** 1 when absent. */
  quantity?: number;
  url?: string;
  image?: string;
}

export interface Cart {
  /** Twenty are told, `count` and `total` are of all. */
  items: Item[];
  /** Of all prices when absent; left out where one of them is no number. */
  total?: number;
  /** ISO 4217. */
  currency?: string;
  /** Where the basket can be seen. */
  url?: string;
}

export interface State {
  supported: boolean;
  /** Undefined where the browser has no notifications. */
  permission?: NotificationPermission;
  subscribed: boolean;
}

export type Call =
  | ((pushctl: Pushctl) => unknown)
  | [name: Exclude<keyof Pushctl, "ready" | "worker" | "scope">, ...values: unknown[]];

/**
 * Calls that tell something resolve to whether everything has been told, after 5 s at the latest.
 * No call throws or rejects: what is wrong with one stands in the console.
 */
export interface AdoptOptions {
  /** Where the former service's worker lies, or several such addresses. */
  old: string | string[];
  /** Our invitation first, perhaps with options of its own. */
  ask?: boolean | PromptOptions;
}

export interface Pushctl {
  /** Call it in a click's handler; outside of one nobody is asked ("default"). */
  subscribe(options?: SubscribeOptions): Promise<Permission>;
  unsubscribe(): Promise<void>;
  /** The last one may be { days, chosen }: for how long (above 0); whether the person ticked it. */
  tag(...names: [...string[], string | { days?: number; chosen?: boolean }]): Promise<boolean>;
  untag(...names: string[]): Promise<boolean>;
  /** `signature` comes from the shop's server; without it the alias is a mere label. Null: logged out. */
  identify(alias: string | number | null | Person, signature?: string): Promise<boolean>;
  /** 22 characters that name this browser in the shop's cart; null where nothing is tracked. */
  cartKey(): Promise<string | null>;
  /** Of more than 6,000 bytes of JSON as much is told as goes. */
  track(name: string, properties?: Record<string, unknown>): Promise<boolean>;
  /** Tracks cart_updated, or cart_emptied where it is called without or with an empty list. */
  cart(content?: Cart): Promise<boolean>;
  /** With an argument: keeps it, a text with time and page, and tells it. */
  consent(given?: Consent): Promise<(Consent & { at?: number; page?: string }) | undefined>;
  /** Who allowed notifications to a former service of this site comes along. */
  adopt(options: AdoptOptions): Promise<"adopted" | Permission | "later" | "skipped">;
  prompt(options?: PromptOptions): Promise<Permission | "later" | "skipped">;
  /** Pause, fewer, stop, erase: a dialog (settles when it is closed), or a part of the page. */
  preferences(options?: LookOptions): Promise<void>;
  state(): Promise<State>;
  /** Says in the console what is told and answered, as ?pushctl_debug in the page's address does. */
  debug(): Promise<boolean>;
  /** Calls by name or function: what window.pushctl takes before the script has come. */
  push(...calls: Call[]): void;
  /** Settles when the subscription has been looked after at page load. */
  ready: Promise<void>;
  worker: string;
  scope: string;
}

/** What window.pushctl is until the script has come: `window.pushctl ??= []`. */
export interface Queue extends Array<Call> {
  /** Where the worker lies, and its scope. */
  options?: { worker?: string; scope?: string };
}

declare global {
  interface Window {
    get pushctl(): Pushctl;
    set pushctl(queue: Pushctl | Queue);
  }
}

declare const pushctl: Pushctl;
export default pushctl;
