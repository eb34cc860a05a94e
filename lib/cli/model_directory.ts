/** The `--model` of commands: a directory, or a repository of the Hugging Face Hub. */
import { resolveModelDirectory } from "../trainer/hub/resolve_model.ts";
import type { HubOptions } from "../trainer/hub/hub_download.ts";
import { hubFromEnvironment } from "../trainer/hub/hub_environment.ts";
import type { CommandContext } from "./command.ts";
import { type Flags, required, text } from "./flag.ts";
import { createProgress } from "./progress.ts";

export const HUB_FLAGS = {
  model: required(text({
    summary: "directory of the model, or owner/name on the Hugging Face Hub",
    placeholder: "<dir|repo>",
    short: "m",
    environment: [],
  })),
  revision: text({
    summary: "branch, tag or commit on the Hub (main when absent)",
    placeholder: "<name>",
    environment: [],
  }),
} satisfies Flags;

/** Everything that reaches the Hub, with a progress bar. */
export function hubOptions(
  { output, runtime, signal }: Pick<CommandContext<Flags>, "output" | "runtime" | "signal">,
): HubOptions {
  const progress = createProgress(output);
  return {
    fetch,
    ...hubFromEnvironment(runtime.environment),
    onProgress: ({ name, bytes, totalBytes }) => progress.update(name, bytes, totalBytes),
    signal,
  };
}

/** @throws PsycheError as `resolveModelDirectory` */
export function modelDirectory(command: CommandContext<typeof HUB_FLAGS>): Promise<string> {
  const { model, revision } = command.settings;
  return resolveModelDirectory({ repoId: model, revision: revision ?? null }, hubOptions(command));
}
