import type { ClientEvent } from "./event.ts";

/** One line for a person, or null for events that only programs care about. */
export function describeEvent(event: ClientEvent): string | null {
  switch (event.type) {
    case "started":
      return `run ${event.run_id}: listening on ${event.addresses.join(", ") || "no address"}`;
    case "state":
      // Rounds speak for themselves by their loss; those of others are not news.
      if (!event.member || event.run_state === "Training" || event.run_state === "Witness") {
        return null;
      }
      return `${event.run_state}: epoch ${event.epoch}, step ${event.step}, ` +
        `${event.clients} client${event.clients === 1 ? "" : "s"}`;
    case "joined":
      return `joined for the next epoch (${event.signature})`;
    case "waiting":
      return `waiting: ${event.reason}`;
    case "model_loading": {
      const [loaded, all] = [event.loaded, event.parameters].map((n) => n?.toLocaleString("en"));
      return `loading the model from ${event.source}` +
        (loaded === undefined ? "" : `: ${loaded} of ${all} parameters`);
    }
    case "model_loaded":
      return `model from ${event.source}: ${event.parameters.toLocaleString("en")} parameters on ` +
        event.device;
    case "data_ready":
      return `data: ${event.sequences?.toLocaleString("en") ?? "endless"} sequences, enough for ` +
        `${event.steps} of ${event.steps_left} steps`;
    case "trained":
      return `step ${event.step}: loss ${event.loss.toFixed(3)}, ${event.tokens} tokens in ` +
        `${Math.round(event.milliseconds)} ms, ${event.bytes.toLocaleString("en")} bytes to send ` +
        `instead of ${event.bytes_dense.toLocaleString("en")}`;
    case "transaction_failed":
      return `${event.name} failed [${event.code}]: ${event.message}`;
    case "unhealthy":
      return `client ${event.member} did not take part: reported`;
    case "untrained_batch":
      return `step ${event.step}: batch ${event.batch} of ${event.expected} was not accepted`;
    case "checkpoint":
      return `checkpoint of step ${event.step}: ${event.path}`;
    case "evaluation_ready":
      return `beside training: ${
        [
          ...event.tasks.map(({ task, documents }) =>
            `${task} (${documents.toLocaleString("en")} documents)`
          ),
          ...(event.prompts ? ["texts"] : []),
        ].join(", ")
      }`;
    case "evaluated":
      if (!event.reported) return null;
      return `step ${event.step}: ${event.task} ${event.metric} ` +
        `${(100 * event.average).toFixed(1)} % (${event.documents} of ${event.total} documents)`;
    case "prompted":
      return `${event.prompt} [${event.tokens} tokens] ${event.continuation}`;
    case "checkpoint_recorded":
      return `the run's checkpoint is ${event.place} now, of step ${event.step}`;
    case "checkpoint_failed":
      return `checkpoint of step ${event.step}: ${event.stage} failed [${event.code}]: ${event.message}`;
    case "left_epoch":
      return `left epoch ${event.epoch}: ${event.reason}`;
    case "warning":
      return `warning [${event.code}]: ${event.message}`;
    case "stopped":
      return `stopped: ${event.reason}`;
    case "round":
    case "received":
    case "applied":
    case "transaction":
    case "peers":
      return null;
  }
}
