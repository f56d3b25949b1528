// Types of window.pushctl and of `import pushctl from ".../pushctl.mjs"`.

export interface SubscribeOptions {
  /** BCP 47; the browser's own language when absent. */
  language?: string;
  /** Where the person comes from; utm_source of the page when absent. */
  source?: string;
  /** At most 32, each up to 255 characters. */
  tags?: string[];
  attributes?: Record<string, unknown>;
}

export type Permission = "granted" | "denied" | "default" | "unsupported";

export interface PromptTexts {
  /** "{name}" stands for the site's name. */
  title: string;
  body: string;
  allow: string;
  later: string;
}

export interface PromptOptions {
  /** "card" (the default) at the browser's own corner, or "bar" along the bottom. */
  kind?: "card" | "bar";
  /** Milliseconds until it appears; 0. */
  delay?: number;
  /** How long "later" counts, in days; 14. */
  days?: number;
  /** Ask although somebody said later, e.g. when they ring a bell. */
  again?: boolean;
  /** The language of the texts, and of the subscription; the page's when absent. */
  language?: string;
  /** Texts of further languages, or other words for those that are there. */
  texts?: Record<string, Partial<PromptTexts>>;
  name?: string;
  icon?: string;
  color?: string;
}

export interface Item {
  id: string;
  name: string;
  price: number;
  quantity?: number;
  url?: string;
  image?: string;
}

export interface Cart {
  items: Item[];
  total: number;
  /** ISO 4217. */
  currency: string;
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

/** Calls that tell something resolve to whether everything has been told. */
export interface Pushctl {
  /** Call it in a click's handler; throws outside of one while nobody was asked. */
  subscribe(options?: SubscribeOptions): Promise<Permission>;
  unsubscribe(): Promise<void>;
  tag(...names: string[]): Promise<boolean>;
  untag(...names: string[]): Promise<boolean>;
  /** `signature` comes from the shop's server; without it the alias is a mere label. */
  identify(alias: string, signature?: string): Promise<boolean>;
  /** Throws RangeError above 6,000 bytes. */
  track(name: string, properties?: Record<string, unknown>): Promise<boolean>;
  /** Tracks cart_updated, or cart_emptied where there is nothing in it. */
  cart(content?: Cart): Promise<boolean>;
  prompt(options?: PromptOptions): Promise<Permission | "later" | "skipped">;
  state(): Promise<State>;
  /** Calls by name or function: what window.pushctl takes before the script has come. */
  push(...calls: Call[]): void;
  /** Settles when the subscription has been looked after at page load. */
  ready: Promise<void>;
  worker: string;
  scope: string;
}

declare global {
  interface Window {
    pushctl: Pushctl;
  }
}

declare const pushctl: Pushctl;
export default pushctl;
