/** The way from containers to this machine. */
import assert from "node:assert/strict";
import { dockerOutput } from "../../lib/container/docker.ts";

/** An address of this machine that containers reach, and nobody outside of it. Needs the image psyche-client. */
export async function gatewayAddress(): Promise<string> {
  const hosts = await dockerOutput([
    ...["run", "--rm", "--add-host", "gateway:host-gateway", "--entrypoint", "cat"],
    ...["psyche-client", "/etc/hosts"],
  ]);
  const found = hosts.match(/^(\S+)\s+gateway$/m);
  assert.ok(found, `no gateway among ${hosts}`);
  return found[1];
}
