/** What is told while a model is being loaded, which can take minutes. */
import type { EventSink } from "../events/event.ts";

/** Told of parameters (single numbers) that are there, of how many. */
export type LoadingProgress = (loaded: number, parameters: number) => void;

const INTERVAL_MILLISECONDS = 10_000;

/**
 * Emits `model_loading` at intervals until `load` has ended; nothing for what is shorter than one.
 *
 * @param source where the model comes from
 * @param load may tell how far it is
 */
export async function tellLoading<T>(
  emit: EventSink,
  source: string,
  load: (progress: LoadingProgress) => Promise<T>,
  interval = INTERVAL_MILLISECONDS,
): Promise<T> {
  let known: Record<"loaded" | "parameters", number | null> = { loaded: null, parameters: null };
  const timer = setInterval(() => emit({ type: "model_loading", source, ...known }), interval);
  try {
    return await load((loaded, parameters) => known = { loaded, parameters });
  } finally {
    clearInterval(timer);
  }
}
