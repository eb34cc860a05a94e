/**
 * Passes TCP connections on, each argument one port: `<listen port>=<host>:<port>`. A way to a service
 * that a test can cut by stopping this container.
 */
async function pass(client: Deno.TcpConn, hostname: string, port: number) {
  try {
    const server = await Deno.connect({ hostname, port });
    await Promise.all([
      client.readable.pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  } catch {
    // One side broke off, so both are closed now, unless there never was a second one.
    try {
      client.close();
    } catch { /* closed */ }
  }
}

async function listen(argument: string) {
  const [, port, hostname, target] = argument.match(/^(\d+)=(.+):(\d+)$/)!;
  for await (const client of Deno.listen({ port: Number(port) })) {
    pass(client, hostname, Number(target));
  }
}

Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
await Promise.all(Deno.args.map(listen));
