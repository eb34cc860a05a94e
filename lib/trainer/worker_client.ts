/** Calls to the trainer's worker, each answered by one reply. */
import { PsycheError } from "../error.ts";
import {
  type Call,
  fromPortable,
  type MethodName,
  type Reply,
  type WorkerMethods,
} from "./worker_protocol.ts";

/** The worker and the calls that wait for its answers. It inherits the permissions of its maker. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 0;
  #ended: PsycheError | undefined;

  constructor(module = new URL("./worker.ts", import.meta.url)) {
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
          `The trainer's worker failed (${event.message}); load the last checkpoint again.`,
        ),
      );
    };
  }

  async call<Name extends MethodName>(
    method: Name,
    ...values: Parameters<WorkerMethods[Name]>
  ): Promise<Awaited<ReturnType<WorkerMethods[Name]>>> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#nextId++;
    const call = Promise.withResolvers<unknown>();
    this.#pending.set(id, call);
    this.#worker.postMessage({ id, method, arguments: values } satisfies Call<Name>);
    return await call.promise as Awaited<ReturnType<WorkerMethods[Name]>>;
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
