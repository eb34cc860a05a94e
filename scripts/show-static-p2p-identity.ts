/** Shows a peer-to-peer key. */
import { defineCommand } from "../lib/cli/command.ts";
import { identityLines, identityOf, readIdentity } from "../lib/cli/identity.ts";
import { text, toggle } from "../lib/cli/flag.ts";
import { runCommand } from "../lib/cli/run_command.ts";

export const command = defineCommand({
  name: "show-static-p2p-identity",
  summary: "Shows the keys of an identity file, or of RAW_IDENTITY_SECRET_KEY.",
  examples: [["deno task show-static-p2p-identity identity.key", "its public key"]],
  flags: {
    rawIdentitySecretKey: text({
      summary: "the secret key in hex",
      environment: ["RAW_IDENTITY_SECRET_KEY"],
      environmentOnly: true,
      secret: true,
    }),
    secret: toggle({ summary: "show the secret key too", environment: [] }),
  },
  arguments: [{ name: "FILE", summary: "32-byte key file", optional: true }],
  check({ rawIdentitySecretKey: raw }, [file]) {
    if ((raw === undefined) !== (file === undefined)) return [];
    return ["give either a key file or RAW_IDENTITY_SECRET_KEY"];
  },
  async run({ settings, output, positional: [file] }) {
    const identity = identityOf(await readIdentity(file, settings.rawIdentitySecretKey));
    const { secretKey, ...shown } = identity;
    output.result(settings.secret ? { ...shown, secretKey } : shown, [
      ...identityLines(shown),
      ...(settings.secret ? [`secret key ${secretKey}`] : []),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
