// Node's web-push, 100 messages at once: a peer of benchmarks/send.py.
//   node benchmarks/web_push.mjs JOB.json     (NODE_EXTRA_CA_CERTS names the CA)
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import https from "node:https";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const webpush = createRequire(job.modules + "/")("web-push");
const agent = new https.Agent({ keepAlive: true, maxSockets: 100 });
const options = {
  vapidDetails: {
    subject: "mailto:bench@shop.example",
    publicKey: job.publicKey,
    privateKey: job.privateKey,
  },
  TTL: 3600,
  contentEncoding: "aes128gcm",
  agent,
};
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
    const subscription = { endpoint: job.base + row.path, keys };
    try {
      const answer = await webpush.sendNotification(subscription, row.payload, options);
      if (answer.statusCode !== 201) failed++;
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
agent.destroy();
