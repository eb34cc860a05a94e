/** The `--model` of commands: a directory, a repository of the Hugging Face Hub or a bucket. */
import type { HubOptions } from "../trainer/hub/hub_download.ts";
import { hubFromEnvironment } from "../trainer/hub/hub_environment.ts";
import { gcsFromEnvironment } from "../trainer/gcs/gcs_access.ts";
import { type CheckpointSources, resolveCheckpoint } from "../trainer/resolve_checkpoint.ts";
import type { CommandContext } from "./command.ts";
import { type Flags, required, text } from "./flag.ts";
import { createProgress } from "./progress.ts";

export const HUB_FLAGS = {
  model: required(text({
    summary: "directory of the model, owner/name on the Hugging Face Hub, or gs://bucket/prefix",
    placeholder: "<dir|repo|bucket>",
    short: "m",
    environment: [],
  })),
  revision: text({
    summary: "branch, tag or commit on the Hub (main when absent)",
    placeholder: "<name>",
    environment: [],
  }),
} satisfies Flags;

type Surroundings = Pick<CommandContext<Flags>, "output" | "runtime" | "signal">;

/** Everything that reaches the Hub, with a progress bar. */
export function hubOptions(command: Surroundings): HubOptions {
  return { ...reach(command), ...hubFromEnvironment(command.runtime.environment) };
}

/** Everything that reaches the places of checkpoints, with a progress bar. */
export function checkpointSources(command: Surroundings): CheckpointSources {
  const gcs = { ...reach(command), ...gcsFromEnvironment(command.runtime.environment) };
  return { hub: hubOptions(command), gcs };
}

function reach({ output, signal }: Surroundings) {
  const progress = createProgress(output);
  const onProgress = ({ name, bytes, totalBytes }: {
    name: string;
    bytes: number;
    totalBytes: number;
  }) => progress.update(name, bytes, totalBytes);
  return { fetch, onProgress, signal };
}

/** @throws PsycheError as `resolveCheckpoint` */
export function modelDirectory(command: CommandContext<typeof HUB_FLAGS>): Promise<string> {
  const { model, revision = null } = command.settings;
  const sources = checkpointSources(command);
  const [, bucket, prefix] = /^gs:\/\/([^/]+)\/?(.*)$/.exec(model) ?? [];
  return resolveCheckpoint(
    bucket === undefined
      ? { kind: "Hub", repo: { repoId: model, revision } }
      : { kind: "Gcs", repo: { bucket, prefix: prefix || null } },
    sources,
  );
}
