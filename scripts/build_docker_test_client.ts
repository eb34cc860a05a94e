/** Builds the image psyche-test-client. */
import { defineCommand } from "../lib/cli/command.ts";
import { addressCheck, IMAGE_FLAGS } from "../lib/cli/image_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { buildImage, confirmAddresses } from "../lib/container/build_image.ts";
import { requireEngine } from "../lib/container/docker.ts";

export const command = defineCommand({
  name: "build_docker_test_client",
  summary:
    "Shows the program addresses, asks whether they are right, and builds psyche-test-client.",
  examples: [["deno task build_docker_test_client --rpc devnet", "an empty answer means no"]],
  flags: IMAGE_FLAGS,
  async run({ settings, output, signal }) {
    await requireEngine({ signal });
    await confirmAddresses(addressCheck(settings), signal);
    await buildImage("psyche-test-client", { ...settings, signal });
    output.result({ image: "psyche-test-client" }, ["image psyche-test-client is built"]);
  },
});

if (import.meta.main) await runCommand(command);
