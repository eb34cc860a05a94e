/** The settings that all Hugging Face tools take from the environment. */
import { hubCacheDirectory } from "./hub_cache.ts";
import type { HubOptions } from "./hub_download.ts";

export type HubSettings = Pick<HubOptions, "cacheDirectory" | "token" | "hubUrl" | "offline">;

/**
 * `HF_TOKEN`, `HF_ENDPOINT` (another Hub), `HF_HUB_OFFLINE` (1 = the cache alone), and where the cache
 * is.
 *
 * @param environment looks a variable up
 */
export function hubFromEnvironment(
  environment: (name: string) => string | undefined,
): HubSettings {
  return {
    cacheDirectory: hubCacheDirectory(environment),
    token: environment("HF_TOKEN")?.trim() || undefined,
    hubUrl: environment("HF_ENDPOINT")?.replace(/\/+$/, "") || undefined,
    offline: /^(1|on|yes|true)$/i.test(environment("HF_HUB_OFFLINE") ?? ""),
  };
}
