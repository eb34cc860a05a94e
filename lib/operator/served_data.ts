/** Training data that a localnet serves itself, for the runs on it. */
import type { Model } from "../protocol/coordinator_state.ts";

/** True when the run's data is what a localnet serves. */
export function usesLocalData(model: Model): boolean {
  return withLocalData(model, "http://127.0.0.1:1") !== model;
}

/**
 * Training data addressed to a localnet at its default address is addressed to `rpcUrl` instead, where
 * the same localnet answers under the name that clients elsewhere know (a container network, say).
 */
export function withLocalData(model: Model, rpcUrl: string): Model {
  const { dataLocation } = model;
  if (dataLocation.kind !== "Http" || dataLocation.location.kind !== "SingleUrl") return model;
  const { url } = dataLocation.location;
  if (!/^http:\/\/(127\.0\.0\.1|localhost):8899\//.test(url)) return model;
  const moved = new URL(url);
  moved.host = new URL(rpcUrl).host;
  return {
    ...model,
    dataLocation: { ...dataLocation, location: { kind: "SingleUrl", url: moved.href } },
  };
}
