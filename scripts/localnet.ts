/** `deno task localnet`: starts the embedded Solana localnet and runs it until Ctrl+C. */
import { CommanderError } from "commander";
import { PsycheError } from "../lib/error.ts";
import { loadOptions, localnetCommand, type LocalnetFlags } from "../lib/localnet/flags.ts";
import { startLocalnet } from "../lib/localnet/start.ts";

/**
 * Resolves on SIGTERM and on Ctrl+C; with `parent`, instead of on Ctrl+C, when standard input ends:
 * Ctrl+C reaches the parent too, which may still need the chain while it tidies up.
 */
function endRequest(parent: boolean): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => resolve();
    Deno.addSignalListener("SIGINT", parent ? () => {} : done);
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", done);
    if (parent) Deno.stdin.readable.pipeTo(new WritableStream()).then(done, done);
  });
}

async function main(): Promise<void> {
  const flags = localnetCommand().parse(Deno.args, { from: "user" }).opts<LocalnetFlags>();
  const end = endRequest(flags.withParent === true);
  const localnet = await startLocalnet(await loadOptions(flags));
  const { rpcUrl, wsUrl, genesisHash } = localnet;
  if (flags.json) console.log(JSON.stringify({ rpcUrl, wsUrl, pid: Deno.pid, genesisHash }));
  console.error(`Localnet ready: ${rpcUrl} (websocket ${wsUrl}). Ctrl+C ends it.`);
  await end;
  await localnet.close();
}

try {
  await main();
  Deno.exit(0);
} catch (error) {
  // Commander has said what is wrong, or printed the help.
  if (error instanceof CommanderError) Deno.exit(error.exitCode === 0 ? 0 : 2);
  if (!(error instanceof PsycheError)) throw error;
  console.error(error.message);
  Deno.exit(error.exitCode);
}
