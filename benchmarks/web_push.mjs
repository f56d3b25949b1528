// Node's senders, 100 messages at once: peers of benchmarks/send.py.
//   node benchmarks/web_push.mjs web-push|webpush-webcrypto JOB.json
// (NODE_EXTRA_CA_CERTS names the CA)
import { createRequire } from "node:module";
import { createPrivateKey, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";
import { pathToFileURL } from "node:url";

const [kind, file] = process.argv.slice(2);
const job = JSON.parse(readFileSync(file, "utf8"));
const resolve = createRequire(job.modules + "/").resolve;
const subject = "mailto:bench@shop.example";

async function prepareWebPush() {
  const { default: webpush } = await import(pathToFileURL(resolve("web-push")));
  const options = {
    vapidDetails: { subject, publicKey: job.publicKey, privateKey: job.privateKey },
    TTL: 3600,
    contentEncoding: "aes128gcm",
    agent: new https.Agent({ keepAlive: true, maxSockets: 100 }),
  };
  return async function send(subscription, payload) {
    return (await webpush.sendNotification(subscription, payload, options)).statusCode;
  };
}

// It makes requests, and its readme sends them by fetch().
async function prepareWebCrypto() {
  const { ApplicationServerKeys, generatePushHTTPRequest, setWebCrypto } = await import(
    pathToFileURL(resolve("webpush-webcrypto"))
  );
  setWebCrypto(webcrypto);
  const point = Buffer.from(job.publicKey, "base64url");
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((it) => it.toString("base64url"));
  const jwk = { kty: "EC", crv: "P-256", d: job.privateKey, x, y };
  const der = createPrivateKey({ key: jwk, format: "jwk" }).export({ type: "pkcs8", format: "der" });
  const keys = { publicKey: job.publicKey, privateKey: der.toString("base64url") };
  const applicationServerKeys = await ApplicationServerKeys.fromJSON(keys);
  return async function send(target, payload) {
    const message = { applicationServerKeys, payload, target, adminContact: subject, ttl: 3600 };
    const { headers, body, endpoint } = await generatePushHTTPRequest(message);
    const answer = await fetch(endpoint, { method: "POST", headers, body });
    await answer.arrayBuffer(); // frees the connection
    return answer.status;
  };
}

const prepare = { "web-push": prepareWebPush, "webpush-webcrypto": prepareWebCrypto }[kind];
const send = await prepare();
const rows = readFileSync(job.subscriptions, "utf8")
  .trimEnd()
  .split("\n")
  .slice(0, job.count)
  .map((line) => JSON.parse(line));

let next = 0;
let failed = 0;
async function work() {
  while (next < rows.length) {
    const row = rows[next++];
    const keys = { p256dh: row.p256dh, auth: row.auth };
    try {
      const status = await send({ endpoint: job.base + row.path, keys }, row.payload);
      if (status !== 201) failed++;
    } catch {
      failed++;
    }
  }
}

const started = process.hrtime.bigint();
const cpu = process.cpuUsage();
await Promise.all(Array.from({ length: 100 }, work));
const used = process.cpuUsage(cpu);
console.log(
  JSON.stringify({
    seconds: Number(process.hrtime.bigint() - started) / 1e9,
    cpu_seconds: (used.user + used.system) / 1e6,
    sent: rows.length,
    failed,
  }),
);
process.exit(0); // kept connections would hold it up
