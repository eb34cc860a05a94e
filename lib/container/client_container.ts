/** How a client's container is started; docs/protocol/commands.md sections 3.2, 3.3, 4.5 and 4.6. */
import type { ClientEnv, HostFile } from "./client_env.ts";

/** Where a wallet appears in a container. */
export const WALLET_IN_CONTAINER = "/keys/id.json";

export interface ClientContainer {
  name?: string;
  image: string;
  /** Arguments of the image's entry point. */
  command: string[];
  env: ClientEnv;
  /** Mounted read-only; the container runs as the file's owner. */
  wallet?: HostFile;
  /** Further read-only files: path in the container -> path here. */
  files?: Record<string, string>;
  /** `host` lets peers on other machines connect; `bridge` keeps the container apart. */
  network: "host" | "bridge";
  /** Index of one NVIDIA GPU, or all of them. */
  gpu?: number | "all";
  /** It goes on when this docker command ends, which passes no signal on to it. */
  detached?: boolean;
  /** Delete the container when it ends. */
  remove?: boolean;
}

/**
 * The arguments of `docker run`. Values of `env` are not among them but names only: they go through the
 * environment of the docker command, so that no process list shows them. A key never goes that way.
 */
export function runArguments(container: ClientContainer): string[] {
  const { name, image, command, env, wallet, files = {}, network, gpu } = container;
  return [
    "run",
    ...(container.detached ? ["--sig-proxy=false"] : []),
    ...(container.remove ? ["--rm"] : []),
    ...(name ? ["--name", name, "--volume", `${name}-data:/data`] : ["--tmpfs", "/data:mode=1777"]),
    ...["--init", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"],
    ...["--security-opt", "no-new-privileges", "--stop-timeout", "30"],
    ...["--log-opt", "max-size=10m", "--log-opt", "max-file=3"],
    // The same settings then work with both kinds of network.
    ...["--add-host", "host.docker.internal:host-gateway"],
    ...(network === "host" ? ["--network", "host"] : []),
    ...(gpu === undefined ? [] : [
      "--gpus",
      gpu === "all" ? "all" : `device=${gpu}`,
      "--env",
      "NVIDIA_DRIVER_CAPABILITIES=all",
    ]),
    ...Object.keys(env).flatMap((key) => ["--env", key]),
    ...(wallet
      ? [
        ...["--user", wallet.user, "--mount", readOnly(wallet.path, WALLET_IN_CONTAINER)],
        ...["--env", `WALLET_PRIVATE_KEY_PATH=${WALLET_IN_CONTAINER}`],
      ]
      : []),
    ...Object.entries(files).flatMap(([to, from]) => ["--mount", readOnly(from, to)]),
    image,
    ...command,
  ];
}

/** A field of `--mount`; the value is a line of CSV. */
function readOnly(source: string, target: string): string {
  const quoted = source.includes(",") || source.includes('"')
    ? `"source=${source.replaceAll('"', '""')}"`
    : `source=${source}`;
  return `type=bind,${quoted},target=${target},readonly`;
}
