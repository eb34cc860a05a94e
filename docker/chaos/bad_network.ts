/**
 * Makes the network of the container whose namespace it shares a bad one, until SIGTERM: what that
 * container sends is late, or lost. Works where the kernel has no netem; needs NET_ADMIN.
 *
 *   --delay 1000 --jitter 500   milliseconds; each packet its own, so that they overtake each other
 *   --loss 0.1                  share of the packets that vanish
 *   --to 10.0.0.2,10.0.0.3      only what goes there
 */
import { parseArgs } from "node:util";
import { openPacketQueue } from "./packet_queue.ts";

const QUEUE = 7;

const { values } = parseArgs({
  options: {
    delay: { type: "string", default: "0" },
    jitter: { type: "string", default: "0" },
    loss: { type: "string", default: "0" },
    to: { type: "string", default: "0.0.0.0/0" },
  },
});
const [delay, jitter, loss] = [values.delay, values.jitter, values.loss].map(Number);

async function rule(action: "--insert" | "--delete") {
  // Bypass: without this program packets pass as if there were no rule.
  const { success, stderr } = await new Deno.Command("iptables", {
    args: [
      ...["--wait", action, "OUTPUT", "!", "--out-interface", "lo", "--destination", values.to],
      ...["--jump", "NFQUEUE", "--queue-num", String(QUEUE), "--queue-bypass"],
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

const queue = openPacketQueue(QUEUE);
await rule("--insert");
Deno.addSignalListener("SIGTERM", async () => {
  await rule("--delete");
  Deno.exit(0);
});
console.log("ready");
for (;;) {
  const id = await queue.next();
  const wait = Math.max(0, delay + jitter * (2 * Math.random() - 1));
  if (Math.random() < loss) queue.verdict(id, false);
  else if (wait === 0) queue.verdict(id, true);
  else setTimeout(() => queue.verdict(id, true), wait);
}
