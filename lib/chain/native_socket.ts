/**
 * The runtime's own WebSocket in the shape that web3.js' `rpc-websockets` expects.
 *
 * The `ws` package loses frames under Deno that arrive right after the upgrade, and then the first
 * confirmation hangs for a minute; the native one does not.
 */
export class NativeSocket {
  readonly #socket: WebSocket;

  constructor(url: string) {
    this.#socket = new WebSocket(url);
  }

  get readyState(): number {
    return this.#socket.readyState;
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#socket.addEventListener(type, listener as EventListener);
  }

  /** `rpc-websockets` registers a call only inside the callback, so it must run before any answer can. */
  send(
    data: string,
    optionsOrDone?: unknown,
    done: unknown = optionsOrDone,
  ): void {
    const callback = typeof done === "function" ? done as (error?: Error) => void : () => {};
    try {
      this.#socket.send(data);
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback();
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }
}
