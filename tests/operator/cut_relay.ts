/** A relay of TCP connections that cuts each of them after a while; made for websockets. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CutRelay {
  /** Like the target, with another port. */
  url: string;
  /** Connections cut so far. */
  cuts(): number;
  stop(): Promise<void>;
}

/** @param lifeMillis of the next connection */
export async function startCutRelay(target: string, lifeMillis: () => number): Promise<CutRelay> {
  const { hostname, port, protocol } = new URL(target);
  const open = new Set<Socket>();
  let cuts = 0;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    const end = () => {
      clearTimeout(timer);
      open.delete(near);
      near.destroy();
      far.destroy();
    };
    const timer = setTimeout(() => {
      cuts++;
      end();
    }, lifeMillis());
    open.add(near);
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `${protocol}//127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => cuts,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
