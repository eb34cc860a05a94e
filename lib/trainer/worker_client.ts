/** Calls to a worker, each answered by one reply. */
import { PsycheError } from "../error.ts";
import {
  type Answer,
  type Arguments,
  type Call,
  fromPortable,
  type MethodName,
  type Reply,
} from "./worker_protocol.ts";

/** The worker and the calls that wait for its answers. It inherits the permissions of its maker. */
export class WorkerClient<Methods> {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 0;
  #ended: PsycheError | undefined;

  /** @param name what its error message calls the worker */
  constructor(module: URL, name = "The trainer's worker") {
    this.#worker = new Worker(module, { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const call = this.#pending.get(data.id);
      this.#pending.delete(data.id);
      if ("error" in data) call?.reject(fromPortable(data.error));
      else call?.resolve(data.value);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(
        new PsycheError(
          "TRAINER_FAILED",
          `${name} failed (${event.message}); load the last checkpoint again.`,
        ),
      );
    };
  }

  call<Name extends MethodName<Methods>>(
    method: Name,
    ...values: Arguments<Methods[Name]>
  ): Promise<Answer<Methods[Name]>> {
    return this.callMoving([], method, ...values);
  }

  /** {@linkcode call} that hands buffers of the arguments over instead of copying them. */
  async callMoving<Name extends MethodName<Methods>>(
    moved: ArrayBuffer[],
    method: Name,
    ...values: Arguments<Methods[Name]>
  ): Promise<Answer<Methods[Name]>> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#nextId++;
    const call = Promise.withResolvers<unknown>();
    this.#pending.set(id, call);
    const message: Call<Methods, Name> = { id, method, arguments: values };
    this.#worker.postMessage(message, moved);
    return await call.promise as Answer<Methods[Name]>;
  }

  /** Stops the worker; calls that wait, and all later ones, reject with `reason`. */
  end(reason: PsycheError): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#worker.terminate();
    for (const call of this.#pending.values()) call.reject(reason);
    this.#pending.clear();
  }
}
