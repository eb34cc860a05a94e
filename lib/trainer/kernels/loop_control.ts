/** The shared numbers by which threads agree on who does which piece of a loop. */
import type { Pieces } from "./loop.ts";
import { Signal, waitAwake } from "./signal.ts";

/** Words of the control block. */
const TICKET = 0;
const DONE = 1;
const LOOP = 2;
const FAILED = 3;
const WAKE = 4;
const WORDS = 5;
/** Numbers that a run can be given; how many it was given stands before them. */
export const MOST_NUMBERS = 1024;

/**
 * A ticket is the number of a run and that of its next piece in one word, so that nobody who comes late
 * takes a piece of another run. The number of the run starts again after 4096.
 */
const PIECE_BITS = 20;
const PIECE_MASK = 2 ** PIECE_BITS - 1;
/** Pieces that a loop may have; the number beyond says that no piece is to be had. */
export const MOST_PIECES = PIECE_MASK;

export interface ControlParts {
  words: Int32Array<SharedArrayBuffer>;
  numbers: Float64Array<SharedArrayBuffer>;
}

export class LoopControl {
  readonly parts: ControlParts;
  /** Raised where there may be work. */
  readonly wake: Signal;

  /** @param parts of a control that another thread made; without them a new one, where no run is open */
  constructor(parts?: ControlParts) {
    this.parts = parts ?? newParts();
    this.wake = new Signal(this.parts.words, WAKE);
  }

  /** Offers the pieces of a loop. The run before has ended. */
  open(loop: number, numbers: readonly number[]): void {
    const { words } = this.parts;
    words[DONE] = words[FAILED] = 0;
    words[LOOP] = loop;
    this.parts.numbers[0] = numbers.length;
    this.parts.numbers.set(numbers, 1);
    const run = (Atomics.load(words, TICKET) >>> PIECE_BITS) + 1;
    Atomics.store(words, TICKET, run << PIECE_BITS);
    this.wake.raise();
  }

  /**
   * Takes pieces of the run that is open now until none is left; `piecesOf` gets the number of its loop.
   * A piece that throws counts as done and failed.
   */
  work(piecesOf: (loop: number) => Pieces | undefined): void {
    const { words, numbers } = this.parts;
    let ticket = Atomics.load(words, TICKET);
    const run = ticket >>> PIECE_BITS;
    const pieces = piecesOf(words[LOOP]);
    if (pieces === undefined || (ticket & PIECE_MASK) >= pieces.count) return;
    // Torn if the next run begins right now; then the ticket is another, too, and nobody uses it.
    const carryOut = pieces.begin([...numbers.subarray(1, 1 + numbers[0])]);
    for (;;) {
      const piece = ticket & PIECE_MASK;
      if (ticket >>> PIECE_BITS !== run || piece >= pieces.count) return;
      const before = Atomics.compareExchange(words, TICKET, ticket, ticket + 1);
      if (before === ticket) {
        try {
          carryOut(piece);
        } catch (error) {
          Atomics.store(words, FAILED, 1);
          throw error;
        } finally {
          Atomics.add(words, DONE, 1);
          Atomics.notify(words, DONE);
        }
      }
      ticket = Atomics.load(words, TICKET);
    }
  }

  /**
   * Ends the run: no further piece is given out, and those that others have are waited for.
   *
   * @returns whether all went well; false also when a piece does not end in time
   */
  close(limitMilliseconds: number): boolean {
    const { words } = this.parts;
    // Some other thread may take a piece meanwhile.
    let taken;
    do {
      taken = Atomics.load(words, TICKET);
    } while (Atomics.compareExchange(words, TICKET, taken, taken | PIECE_MASK) !== taken);
    const count = taken & PIECE_MASK;
    for (let done; (done = Atomics.load(words, DONE)) < count;) {
      if (waitAwake(words, DONE, done, limitMilliseconds) === "timed-out") return false;
    }
    return Atomics.load(words, FAILED) === 0;
  }
}

function newParts(): ControlParts {
  const words = new Int32Array(new SharedArrayBuffer(4 * WORDS));
  // A thread may look for work before the first run begins.
  words[TICKET] = PIECE_MASK;
  return { words, numbers: new Float64Array(new SharedArrayBuffer(8 * (1 + MOST_NUMBERS))) };
}
