/** Length-prefixed frames (u32 big-endian, then the bytes) over one libp2p stream. */

import type { Stream } from "@libp2p/interface";
import { PsycheError } from "../error.ts";

/** Bytes of frames, both directions, all streams of a network. */
export interface Traffic {
  bytesSent: number;
  bytesReceived: number;
}

export interface ReadFrameOptions {
  /** Give up when no byte arrives for this long, milliseconds. */
  stallMs?: number;
  /** Give up when the frame is not complete after this long, milliseconds. */
  totalMs?: number;
  signal?: AbortSignal;
}

/** Received and not yet read bytes above which the sender is asked to pause. */
const PAUSE_ABOVE = 1 << 20;
/** Frames up to this size are sent in one piece with their header. */
const JOIN_BELOW = 1 << 16;
/** Bytes that may wait to be sent before `send` does. */
const QUEUE_BELOW = 1 << 20;
/** A neighbour that cannot take a frame for this long is given up. */
const SEND_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** One side of a framed conversation; reads are sequential (one `read` at a time). */
export class FrameStream {
  readonly #stream: Stream;
  readonly #traffic: Traffic;
  readonly #pieces: Uint8Array[] = [];
  #buffered = 0;
  /** Bytes that the current `read` waits for. */
  #wanted = 0;
  #resuming = false;
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(stream: Stream, traffic: Traffic) {
    this.#stream = stream;
    this.#traffic = traffic;
    stream.addEventListener("message", (event) => this.#receive(event.data));
    stream.addEventListener("end", () => this.#end());
    stream.addEventListener("close", (event) => {
      // Without an error, paused bytes may still be waiting; "end" follows them.
      if (event.error !== undefined || stream.readBufferLength === 0) this.#end();
    });
    if (stream.readableEnded || stream.status !== "open") this.#end();
  }

  /** False once neither side can be expected to answer. */
  get open(): boolean {
    return this.#stream.status === "open" && this.#stream.writeStatus === "writable";
  }

  /**
   * Sends a frame and waits while the neighbour cannot take more. The bytes must not change afterwards.
   * @throws PsycheError `PEER_STREAM_CLOSED`
   */
  async send(frame: Uint8Array, signal?: AbortSignal): Promise<void> {
    try {
      this.#write(frame);
      if (this.#stream.writeBufferLength > QUEUE_BELOW) await this.#queueSent(signal);
    } catch (cause) {
      signal?.throwIfAborted();
      throw new PsycheError(
        "PEER_STREAM_CLOSED",
        "A stream to a peer ended while sending; ask again or ask another peer.",
        { cause },
      );
    }
  }

  /** Sends a frame unless more than `maxQueued` bytes wait already or the stream is closed. */
  trySend(frame: Uint8Array, maxQueued: number): boolean {
    if (!this.open || this.#stream.writeBufferLength > maxQueued) return false;
    try {
      this.#write(frame);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Reads one frame; nothing is allocated ahead of the bytes that really arrive.
   * @throws PsycheError `PEER_FRAME_TOO_LARGE`, `PEER_TIMEOUT`, `PEER_STREAM_CLOSED`
   */
  async read(maxSize: number, options: ReadFrameOptions = {}): Promise<Uint8Array> {
    const deadline = options.totalMs === undefined ? Infinity : performance.now() + options.totalMs;
    const header = await this.#take(4, options, deadline);
    const size = new DataView(header.buffer, header.byteOffset).getUint32(0);
    if (size > maxSize) {
      throw new PsycheError(
        "PEER_FRAME_TOO_LARGE",
        `A peer announced ${size} bytes where at most ${maxSize} are allowed; it is not asked again.`,
      );
    }
    const frame = await this.#take(size, options, deadline);
    this.#traffic.bytesReceived += size + 4;
    return frame;
  }

  /** Nothing more will be sent; what was sent is delivered. */
  async finish(): Promise<void> {
    try {
      if (this.#stream.writeBufferLength > 0) await this.#queueSent();
      await this.#stream.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) });
    } catch {
      this.abort();
    }
  }

  /** Ends both directions at once. */
  abort(reason = "the conversation was given up"): void {
    this.#stream.abort(new Error(reason));
  }

  #write(frame: Uint8Array): void {
    const joined = frame.length <= JOIN_BELOW;
    const first = new Uint8Array(joined ? 4 + frame.length : 4);
    new DataView(first.buffer).setUint32(0, frame.length);
    if (joined) first.set(frame, 4);
    this.#stream.send(first);
    if (!joined) this.#stream.send(frame);
    this.#traffic.bytesSent += frame.length + 4;
  }

  /**
   * Waits until nothing is queued. Not for "drain": that also comes when the connection as a whole
   * can take more while this stream's receiver cannot.
   */
  async #queueSent(signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const done = new AbortController();
    const once = { once: true, signal: done.signal };
    this.#stream.addEventListener("idle", () => resolve(), once);
    this.#stream.addEventListener("close", () => reject(new Error("the stream was closed")), once);
    signal?.addEventListener("abort", () => reject(signal.reason), once);
    const timer = setTimeout(() => reject(new Error("the peer takes no data")), SEND_TIMEOUT_MS);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      done.abort();
    }
  }

  #receive(data: Uint8Array | Iterable<Uint8Array>): void {
    for (const piece of data instanceof Uint8Array ? [data] : data) {
      this.#pieces.push(piece);
      this.#buffered += piece.length;
    }
    this.#adjustFlow();
    this.#wakeUp();
  }

  #end(): void {
    this.#ended = true;
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }

  /** Pauses the sender while much more is buffered than anybody waits for. */
  #adjustFlow(): void {
    // Resuming delivers at once what waited; pausing inside of that would leave stream and muxer
    // disagreeing about whether data may come.
    if (this.#resuming) return;
    const status = () => this.#stream.readStatus;
    const tooMuch = () => this.#buffered > Math.max(PAUSE_ABOVE, this.#wanted);
    if (status() === "paused" && !tooMuch()) {
      this.#resuming = true;
      try {
        this.#stream.resume();
      } finally {
        this.#resuming = false;
      }
    }
    if (status() === "readable" && tooMuch()) this.#stream.pause();
  }

  async #take(size: number, options: ReadFrameOptions, deadline: number): Promise<Uint8Array> {
    this.#wanted = size;
    while (this.#buffered < size) {
      this.#adjustFlow();
      if (this.#buffered >= size) break;
      if (this.#ended) {
        throw new PsycheError(
          "PEER_STREAM_CLOSED",
          `A stream to a peer ended ${size - this.#buffered} bytes too early; ` +
            `ask again or ask another peer.`,
        );
      }
      await this.#waitForBytes(options, deadline);
    }
    const taken = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const piece = this.#pieces[0];
      const part = piece.subarray(0, size - filled);
      taken.set(part, filled);
      filled += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#buffered -= size;
    this.#wanted = 0;
    this.#adjustFlow();
    return taken;
  }

  async #waitForBytes(options: ReadFrameOptions, deadline: number): Promise<void> {
    options.signal?.throwIfAborted();
    const wait = Math.min(options.stallMs ?? Infinity, deadline - performance.now());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(options.signal?.reason);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const timer = wait === Infinity ? undefined : setTimeout(() => {
      reject(
        new PsycheError(
          "PEER_TIMEOUT",
          `A peer sent nothing for ${
            Math.max(0, Math.round(wait))
          } ms; ask again or ask another peer.`,
        ),
      );
    }, Math.max(0, wait));
    this.#wake = resolve;
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
    }
  }
}
