/** Makes a peer-to-peer key. */
import { defineCommand } from "../lib/cli/command.ts";
import { identityLines, identityOf } from "../lib/cli/identity.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { createIdentityFile } from "../lib/p2p/identity_file.ts";

export const command = defineCommand({
  name: "create-static-p2p-identity",
  summary: "Makes an identity file for train --identity-secret-key-path; never overwrites one.",
  examples: [["deno task create-static-p2p-identity identity.key", "make one"]],
  flags: {},
  arguments: [{ name: "FILE", summary: "where the key goes (32 bytes, mode 0600)" }],
  async run({ output, positional: [file] }) {
    const { publicKey, peerId } = identityOf(await createIdentityFile(file));
    output.result({ publicKey, peerId, file }, [
      ...identityLines({ publicKey, peerId }),
      `written to ${file}`,
    ]);
  },
});

if (import.meta.main) await runCommand(command);
