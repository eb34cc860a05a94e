/** Airdrops as ordinary transfers from a key of the localnet's own, so that they leave a transaction. */
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import type { Bank, Submission } from "./bank.ts";
import type { Svm } from "./svm.ts";
import { decodeTransaction } from "./wire.ts";

/** 400 million SOL: more than anybody will ask for, far from overflowing a u64. */
const FAUCET_LAMPORTS = 400_000_000_000_000_000n;

export class Faucet {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly #bank: Bank;
  readonly #privateKey;

  constructor(svm: Svm, bank: Bank) {
    const { privateKey } = generateKeyPairSync("ed25519");
    this.#privateKey = privateKey;
    const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
    this.key = new Uint8Array(spki.subarray(-32));
    this.#bank = bank;
    svm.setAccount(this.key, {
      lamports: FAUCET_LAMPORTS,
      data: new Uint8Array(),
      owner: new Uint8Array(32),
      executable: false,
      rentEpoch: 0n,
    });
  }

  /** Sends `lamports` to `to` (32 bytes). Never throws for what the chain refuses: see the result. */
  airdrop(to: Uint8Array, lamports: bigint): Submission {
    const data = new Uint8Array(12);
    const view = new DataView(data.buffer);
    view.setUint32(0, 2, true); // system program: transfer
    view.setBigUint64(4, lamports, true);
    const message = new Uint8Array([
      ...[1, 0, 1, 3], // one signer, one readonly key (the system program), three keys
      ...this.key,
      ...to,
      ...new Uint8Array(32),
      ...randomBytes(32), // unique, so that equal airdrops are different transactions
      ...[1, 2, 2, 0, 1, data.length],
      ...data,
    ]);
    const bytes = new Uint8Array([1, ...sign(null, message, this.#privateKey), ...message]);
    return this.#bank.submit(decodeTransaction(bytes), { verify: false, anyBlockhash: true });
  }
}
