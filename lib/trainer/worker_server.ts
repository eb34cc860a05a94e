/** The worker's end of its calls: carries them out in the order of their arrival, answers each. */
import { type Call, type MethodName, type Reply, toPortable } from "./worker_protocol.ts";

/** The part of a worker's global scope that is used; the library types describe a window. */
interface WorkerScope<Methods> {
  onmessage: ((event: MessageEvent<Call<Methods>>) => void) | null;
  postMessage(reply: Reply, transfer: Transferable[]): void;
}

/**
 * Begins to take calls.
 *
 * @param moved buffers of an answer that this worker needs no more: they move instead of being copied
 */
export function serveCalls<Methods extends object>(
  methods: Methods,
  moved: (answer: unknown) => ArrayBuffer[],
): void {
  const scope = globalThis as unknown as WorkerScope<Methods>;
  async function carryOut({ id, method, arguments: values }: Call<Methods>): Promise<void> {
    try {
      // The arguments belong to this method: both come from one typed call of the client.
      const call = methods[method as MethodName<Methods>] as (...values: unknown[]) => unknown;
      const value = await call(...values as unknown[]);
      scope.postMessage({ id, value }, moved(value));
    } catch (error) {
      scope.postMessage({ id, error: toPortable(error) }, []);
    }
  }
  let last: Promise<void> = Promise.resolve();
  scope.onmessage = ({ data }) => {
    last = last.then(() => carryOut(data));
  };
}
