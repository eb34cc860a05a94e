/**
 * Measures the peer network between two processes on loopback: `deno bench -A lib/p2p/p2p_bench.ts`.
 *
 * The other process echoes every message and serves blobs named by their size. A round trip is two
 * messages, each signed, sent, verified and delivered.
 */

import { createPeerNetwork } from "./create_peer_network.ts";
import type { PeerNetwork } from "./peer_network.ts";
import { createSigner } from "./signing.ts";

const MIB = 1 << 20;
const BLOB_SIZES = [MIB / 16, MIB, 16 * MIB, 64 * MIB];
const MESSAGE_SIZE = 400;
const BURST = 200;
const CHILD_FLAG = "--serve-p2p-bench";

function keyOf(role: "bench" | "child"): Uint8Array {
  return new Uint8Array(32).fill(role === "bench" ? 1 : 2);
}

function startNetwork(role: "bench" | "child", directory: string): Promise<PeerNetwork> {
  return createPeerNetwork({
    secretKey: keyOf(role),
    runId: "p2p-bench",
    listen: { host: "127.0.0.1", port: 0 },
    addressBookDirectory: directory,
  });
}

/** The bytes of the blob of a size; both processes make the same ones. */
function blobOf(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + size, 2_654_435_761);
  return bytes;
}

async function serve(directory: string, benchKey: string): Promise<void> {
  const network = await startNetwork("child", directory);
  for (const size of BLOB_SIZES) await network.putBlob(blobOf(size));
  network.onMessage(({ payload }) => void network.publish(payload));
  network.setAllowList([Uint8Array.fromHex(benchKey)]);
}

async function defineBenchmarks(): Promise<void> {
  const directory = await Deno.makeTempDir();
  const network = await startNetwork("bench", directory);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.url, CHILD_FLAG, directory, network.publicKey.toHex()],
    stdin: "null",
    stdout: "null",
  }).spawn();
  const childKey = createSigner(keyOf("child")).publicKey;
  network.setAllowList([childKey]);
  while (network.statistics().connectedPeers === 0) await new Promise((r) => setTimeout(r, 10));

  let onEcho = () => {};
  network.onMessage(() => onEcho());
  let nonce = 0;
  const payload = () => {
    const bytes = new Uint8Array(MESSAGE_SIZE);
    new DataView(bytes.buffer).setUint32(0, nonce++);
    return bytes;
  };
  const roundTrips = async (count: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let missing = count;
    onEcho = () => --missing === 0 && resolve();
    for (let i = 0; i < count; i++) await network.publish(payload());
    await promise;
  };
  // Deno.bench waits only for functions that are marked async.
  Deno.bench("one message, there and back", async () => await roundTrips(1));
  Deno.bench(`${BURST} messages at once, there and back`, async () => await roundTrips(BURST));

  const tickets = [];
  for (const size of BLOB_SIZES) {
    const ticket = await network.putBlob(blobOf(size));
    network.removeBlob(ticket.hash);
    tickets.push(ticket);
  }
  for (const ticket of tickets) {
    Deno.bench(`blob of ${ticket.size / MIB} MiB`, { n: 8, warmup: 1 }, async () => {
      await network.fetchBlob(ticket, { providers: [childKey], maxSize: ticket.size });
      network.removeBlob(ticket.hash);
    });
  }
  globalThis.addEventListener("unload", () => {
    child.kill("SIGKILL");
    Deno.removeSync(directory, { recursive: true });
  });
}

if (Deno.args[0] === CHILD_FLAG) await serve(Deno.args[1], Deno.args[2]);
else await defineBenchmarks();
