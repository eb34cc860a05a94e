/**
 * The runtime's own WebSocket in the shape that web3.js' `rpc-websockets` expects.
 *
 * The `ws` package loses frames under Deno that arrive right after the upgrade, and then the first
 * confirmation hangs for a minute; the native one does not.
 */

/** Close codes of our own. */
const TOO_LARGE = 4009;
const CLOSED_BY_NODE = 4010;
/** RFC 6455 section 7.4.1: all is done. */
const NORMAL = 1000;

/** Not the library's `EventListener`: packages bring along another type of that name. */
type Listener = (event: Event) => void;

export interface NativeSocketOptions {
  /** A longer message closes the socket unread. */
  maxMessageBytes: number;
  onTooLarge: () => void;
}

export class NativeSocket {
  readonly #socket: WebSocket;
  readonly #options: NativeSocketOptions;
  #isClosing = false;

  constructor(url: string, options: NativeSocketOptions) {
    this.#socket = new WebSocket(url);
    this.#options = options;
  }

  get readyState(): number {
    return this.#socket.readyState;
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#socket.addEventListener(type, this.#guarded(type, listener as Listener) as EventListener);
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
    this.#isClosing = true;
    this.#socket.close(code, reason);
  }

  #guarded(type: string, listener: Listener): Listener {
    if (type === "message") {
      return (event) => {
        if (lengthOf((event as MessageEvent).data) <= this.#options.maxMessageBytes) {
          return listener(event);
        }
        if (!this.#isClosing) this.#options.onTooLarge();
        this.close(TOO_LARGE, "too large");
      };
    }
    if (type === "close") {
      // After a normal end web3.js connects again at once and for ever, if the node ends it so.
      return (event) => {
        const { code, reason } = event as CloseEvent;
        const isOurs = this.#isClosing || code !== NORMAL;
        listener(new CloseEvent("close", { code: isOurs ? code : CLOSED_BY_NODE, reason }));
      };
    }
    return listener;
  }
}

/** Text is UTF-16 here: no more units than it had bytes. */
function lengthOf(data: unknown): number {
  if (typeof data === "string") return data.length;
  if (data instanceof ArrayBuffer) return data.byteLength;
  return data instanceof Blob ? data.size : 0;
}
