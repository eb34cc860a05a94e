/** What must hold of the programs' accounts whatever is sent to them, checked on the bytes. */
import { Buffer } from "node:buffer";

const DISCRIMINATORS: Record<string, (data: DataView) => string | null> = {
  ef21b1372c9b562b: coordinatorAccount,
  "9c099910af181ffc": coordinatorInstance,
  "184662bf3a907b9e": idlAccount,
  "0344a8f3c3a8204b": authorization,
  // Only the program itself could have written there, and it writes the discriminator first.
  "0000000000000000": (view) => u8s(view).every((byte) => byte === 0) ? null : "nameless content",
  c7369b56eb73f6bd: (view) => view.byteLength === 200 ? null : "length of a treasurer run",
  "208e6c4ff7b33606": (view) => view.byteLength === 32 ? null : "length of a participant",
};

/** Why an account of one of the programs is broken; `null` when it is sound or of no known type. */
export function illegality(data: Uint8Array): string | null {
  if (data.length < 8) return null;
  const type = Buffer.from(data.buffer, data.byteOffset, 8).toString("hex");
  return DISCRIMINATORS[type]?.(new DataView(data.buffer, data.byteOffset, data.length)) ?? null;
}

const u8s = (view: DataView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const u64 = (view: DataView, at: number) => view.getBigUint64(at, true);

/** onchain-coordinator.md section 1.2: enums, counts and flags. */
function coordinatorAccount(view: DataView): string | null {
  if (view.byteLength !== 119_160) return `length ${view.byteLength}`;
  if (u64(view, 8) !== 1n) return `version ${u64(view, 8)}`;
  const bytes: [string, number, number][] = [
    ["run_state", 408, 7],
    ["architecture", 432, 6],
    ["checkpoint", 436, 5],
    ["first_round", 94_400, 1],
    ["cold_start_epoch", 94_401, 1],
    ["pending_pause", 94_416, 1],
    ["is_warmup_first_tick", 119_048, 1],
    ["is_training_first_tick", 119_049, 1],
  ];
  for (const [name, at, most] of bytes) {
    if (view.getUint8(at) > most) return `${name} ${view.getUint8(at)}`;
  }
  if (view.getUint32(94_376, true) > 3) return "rounds_head";
  const lists: [string, number, bigint][] = [
    ["clients", 75_928, 256n],
    ["exited_clients", 94_368, 256n],
    ["joined clients", 119_000, 256n],
    ...[0, 1, 2, 3].map((i) =>
      [`witnesses of round ${i}`, 15_128 + 14_112 * i, 32n] as [string, number, bigint]
    ),
  ];
  for (const [name, at, most] of lists) if (u64(view, at) > most) return `number of ${name}`;
  for (const [start, len] of [[57_496, 75_928], [75_936, 94_368]]) {
    for (let i = 0; i < Number(u64(view, len)); i++) {
      if (view.getUint8(start + 72 * i + 64) > 3) return `state of client ${i}`;
    }
  }
  return null;
}

function coordinatorInstance(view: DataView): string | null {
  if (view.byteLength !== 173) return `length ${view.byteLength}`;
  return view.getUint32(105, true) <= 32 ? null : "length of the run id";
}

function authorization(view: DataView): string | null {
  if (view.byteLength < 90) return `length ${view.byteLength}`;
  const scope = view.getUint32(73, true);
  if (scope > 32 || view.byteLength < 90 + scope) return "length of the scope";
  if (view.getUint8(77 + scope) > 1) return "active";
  const delegates = view.getUint32(78 + scope, true);
  return view.byteLength === 90 + scope + 32 * delegates ? null : "number of delegates";
}

function idlAccount(view: DataView): string | null {
  if (view.byteLength < 44) return `length ${view.byteLength}`;
  return view.getUint32(40, true) <= view.byteLength - 44 ? null : "length of the IDL";
}
