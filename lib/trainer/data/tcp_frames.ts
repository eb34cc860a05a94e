/**
 * Frames over one TCP connection: a length (u32 big-endian), then that many bytes.
 * docs/protocol/training-math.md section 6.7.
 */
import { PsycheError } from "../../error.ts";

/** What is needed of a connection; `Deno.TcpConn` is one. */
export type ByteConnection = Pick<Deno.TcpConn, "read" | "write" | "close">;

/** Limits in milliseconds. */
export interface FrameLimits {
  /** Give up when no byte moves for this long. */
  stallMs: number;
  /** Give up when the frame has not come, or gone, completely after this long; absent = any time. */
  totalMs?: number;
}

/** Bytes handed to the system at once, so that a slow receiver shows as one. */
const PIECE = 1 << 16;

/** One side of a conversation in frames; reads are sequential. Every failure closes the connection. */
export class TcpFrames {
  readonly #connection: ByteConnection;
  #closed = false;

  /** @param signal closes the connection; what waits then rejects with its reason */
  constructor(connection: ByteConnection, readonly signal?: AbortSignal) {
    this.#connection = connection;
    if (signal?.aborted) this.close();
    signal?.addEventListener("abort", this.close);
  }

  /** Ends both directions; may be called again. */
  close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.signal?.removeEventListener("abort", this.close);
    this.#connection.close();
  };

  /** @throws PsycheError `DATA_CONNECTION_LOST` */
  async send(frame: Uint8Array, { stallMs, totalMs = Infinity }: FrameLimits): Promise<void> {
    const deadline = performance.now() + totalMs;
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, frame.length);
    for (const part of [header, frame]) {
      for (let at = 0; at < part.length;) {
        const piece = part.subarray(at, at + PIECE);
        const limit = Math.min(stallMs, deadline - performance.now());
        at += await this.#guard(() => this.#connection.write(piece), limit);
      }
    }
  }

  /**
   * Reads one frame. Nothing is allocated for a frame above `maxSize`.
   *
   * @throws PsycheError `DATA_FRAME_TOO_LARGE`, `DATA_CONNECTION_LOST`
   */
  async read(maxSize: number, { stallMs, totalMs = Infinity }: FrameLimits): Promise<Uint8Array> {
    const deadline = performance.now() + totalMs;
    const header = await this.#take(4, stallMs, deadline);
    const size = new DataView(header.buffer).getUint32(0);
    if (size > maxSize) {
      this.close();
      throw new PsycheError(
        "DATA_FRAME_TOO_LARGE",
        `A message of ${size} bytes was announced where at most ${maxSize} are allowed; the other side speaks another protocol or is hostile.`,
      );
    }
    return await this.#take(size, stallMs, deadline);
  }

  async #take(
    size: number,
    stallMs: number,
    deadline: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const limit = Math.min(stallMs, deadline - performance.now());
      const count = await this.#guard(() => this.#connection.read(bytes.subarray(at)), limit);
      if (count === null) throw this.#lost("the other side ended it");
      at += count;
    }
    return bytes;
  }

  /** One operation; closing the connection is what ends it early. */
  async #guard<T>(operation: () => Promise<T>, limit: number): Promise<T> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.close();
    }, Math.max(0, limit));
    try {
      if (this.#closed) throw new Error("it is closed");
      const result = await operation();
      if (late) throw new Error("it is closed");
      return result;
    } catch (cause) {
      this.signal?.throwIfAborted();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw this.#lost(late ? `nothing moved for ${Math.round(limit)} ms` : reason, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  #lost(reason: string, cause?: unknown): PsycheError {
    this.close();
    return new PsycheError(
      "DATA_CONNECTION_LOST",
      `The connection for training data was lost: ${reason}; connect again.`,
      { cause },
    );
  }
}
