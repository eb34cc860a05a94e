/** Under which address others reach a server of this machine. */

/** As the runtime lists them. */
export interface NetworkInterface {
  name: string;
  family: "IPv4" | "IPv6";
  address: string;
}

/** Bridges of container engines: good for their own containers only. */
const OF_CONTAINERS = /^(docker|br-|veth|virbr|cni|podman)/;

/**
 * The address to tell others when a server listens on every address: one of this machine that is no
 * loopback, rather the network's than a container engine's. Undefined when the server listens on one
 * address, which is then the one to tell, and when this machine has no other.
 */
export function outsideAddress(
  bindAddress: string,
  interfaces: NetworkInterface[],
): string | undefined {
  if (bindAddress !== "0.0.0.0" && bindAddress !== "::") return undefined;
  const outside = interfaces.filter(({ family, address }) =>
    family === "IPv4" && !/^(127|169\.254)\./.test(address)
  );
  const found = outside.find(({ name }) => !OF_CONTAINERS.test(name)) ?? outside[0];
  return found?.address;
}
