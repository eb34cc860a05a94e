/** Subscriptions over one websocket: accounts, programs, signatures, logs, slots, roots. */
import { toBase58 } from "./base58.ts";
import type { ResolvedKeys } from "./bank.ts";
import { type AccountFormat, accountFormat, encodeAccount, toJson } from "./encode.ts";
import { invalidParams, RpcCode, RpcError } from "./errors.ts";
import { accountFilters } from "./filters.ts";
import type { TransactionRecord } from "./ledger.ts";
import { type LocalnetNode, type Method, type Methods, withContext } from "./node.ts";
import { addressOf, type Params } from "./params.ts";
import { fromBase58 } from "./base58.ts";

/** Subscriptions that one connection may hold. */
export const SUBSCRIPTION_LIMIT = 1000;

type Send = (text: string) => void;

interface Subscription {
  id: number;
  subscriber: Subscriber;
  notification: string;
  /** Account and program subscriptions. */
  format?: AccountFormat;
  matches?: (data: Uint8Array) => boolean;
}

/** Who wants to hear of what; shared by all connections of a localnet. */
export class PubSub {
  readonly #node: LocalnetNode;
  /** By kind and subject, for example `account:<address>`, `logs:all`, `slot`. */
  readonly #topics = new Map<string, Set<Subscription>>();
  #nextId = 1;

  constructor(node: LocalnetNode) {
    this.#node = node;
  }

  /** Opens a subscriber that answers on `send`; close it when its connection ends. */
  open(send: Send): Subscriber {
    return new Subscriber(this.#node, this, send);
  }

  /** Adds a subscription; returns its id and the way to end it. */
  add(topic: string, rest: Omit<Subscription, "id">): { id: number; remove: () => void } {
    const subscription = { ...rest, id: this.#nextId++ };
    const set = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, set.add(subscription));
    const remove = (): void => {
      set.delete(subscription);
      if (set.size === 0 && this.#topics.get(topic) === set) this.#topics.delete(topic);
    };
    return { id: subscription.id, remove };
  }

  /** Tells everybody concerned about an executed transaction. */
  executed(record: TransactionRecord, resolved: ResolvedKeys): void {
    const { error, logs } = record.outcome;
    for (const topic of ["logs:all", ...record.keys.map((key) => `logs:${key}`)]) {
      this.#publish(topic, () => ({ signature: record.signature, err: error, logs }));
    }
    this.#accounts(record, resolved);
    const topic = `signature:${record.signature}`;
    const waiting = [...this.#topics.get(topic) ?? []];
    this.#publish(topic, () => ({ err: error }));
    for (const { id, subscriber } of waiting) subscriber.forget(id);
  }

  #accounts(record: TransactionRecord, resolved: ResolvedKeys): void {
    const { svm } = this.#node;
    const programs = [...this.#topics.keys()].some((topic) => topic.startsWith("program:"));
    for (const [i, address] of record.keys.entries()) {
      const topic = `account:${address}`;
      // Reading an account copies it: only when somebody listens.
      if (!resolved.writable[i] || !(programs || this.#topics.has(topic))) continue;
      const key = resolved.keys[i];
      const account = svm.account(key) ?? EMPTY_ACCOUNT;
      this.#publish(topic, ({ format }) => encodeAccount(svm, key, account, format!));
      if (!programs || account === EMPTY_ACCOUNT) continue;
      this.#publish(
        `program:${toBase58(account.owner)}`,
        ({ format }) => ({ pubkey: address, account: encodeAccount(svm, key, account, format!) }),
        ({ matches }) => matches!(account.data),
      );
    }
  }

  /** Tells everybody concerned about a new slot. */
  slot(): void {
    const { slot, parent } = this.#node.clock.current;
    const info = { slot, parent, root: parent };
    for (const it of this.#topics.get("slot") ?? []) it.subscriber.notify(it, info);
    for (const it of this.#topics.get("root") ?? []) it.subscriber.notify(it, parent);
  }

  #publish(
    topic: string,
    value: (subscription: Subscription) => unknown,
    wanted: (subscription: Subscription) => boolean = () => true,
  ): void {
    for (const it of this.#topics.get(topic) ?? []) {
      if (!wanted(it)) continue;
      try {
        it.subscriber.notify(it, withContext(this.#node, value(it)));
      } catch (error) {
        // Data too long for the encoding somebody asked for must not stop the others.
        if (!(error instanceof RpcError)) throw error;
      }
    }
  }
}

const EMPTY_ACCOUNT = {
  lamports: 0n,
  data: new Uint8Array(),
  owner: new Uint8Array(32),
  executable: false,
  rentEpoch: 0n,
};

/** One connection: its subscriptions and the methods that make and end them. */
export class Subscriber {
  readonly methods: Methods;
  readonly #node: LocalnetNode;
  readonly #hub: PubSub;
  readonly #send: Send;
  readonly #open = new Map<number, () => void>();

  constructor(node: LocalnetNode, hub: PubSub, send: Send) {
    this.#node = node;
    this.#hub = hub;
    this.#send = send;
    const kinds: Record<string, Method> = {
      account: (params) => this.#account(params),
      program: (params) => this.#program(params),
      logs: (params) => this.#logs(params),
      signature: (params) => this.#signature(params),
      slot: () => this.#add("slot", "slotNotification"),
      root: () => this.#add("root", "rootNotification"),
    };
    const methods: Methods = {};
    for (const [kind, subscribe] of Object.entries(kinds)) {
      methods[`${kind}Subscribe`] = subscribe;
      methods[`${kind}Unsubscribe`] = (params) => {
        this.forget(params.integer(0, "the subscription"));
        // True also for one that ended by itself: clients unsubscribe late from signatures.
        return true;
      };
    }
    this.methods = methods;
  }

  notify(subscription: Subscription, result: unknown): void {
    this.#send(toJson({
      jsonrpc: "2.0",
      method: subscription.notification,
      params: { result, subscription: subscription.id },
    }));
  }

  forget(id: number): void {
    this.#open.get(id)?.();
    this.#open.delete(id);
  }

  close(): void {
    for (const remove of this.#open.values()) remove();
    this.#open.clear();
  }

  #add(
    topic: string,
    notification: string,
    rest: Pick<Subscription, "format" | "matches"> = {},
  ): number {
    if (this.#open.size >= SUBSCRIPTION_LIMIT) {
      throw new RpcError(
        RpcCode.InvalidRequest,
        `A connection may hold at most ${SUBSCRIPTION_LIMIT} subscriptions`,
      );
    }
    const { id, remove } = this.#hub.add(topic, { subscriber: this, notification, ...rest });
    this.#open.set(id, remove);
    return id;
  }

  #account(params: Params): number {
    const address = toBase58(params.address(0));
    const format = accountFormat(params.config(1));
    return this.#add(`account:${address}`, "accountNotification", { format });
  }

  #program(params: Params): number {
    const address = toBase58(params.address(0, "the program id"));
    const config = params.config(1);
    const [format, matches] = [accountFormat(config), accountFilters(config)];
    return this.#add(`program:${address}`, "programNotification", { format, matches });
  }

  #logs(params: Params): number {
    const filter = params.at(0);
    if (filter === "all" || filter === "allWithVotes") {
      return this.#add("logs:all", "logsNotification");
    }
    const mentions = params.config(0).list("mentions", 1);
    if (mentions.length !== 1) throw invalidParams("mentions takes exactly one address");
    const address = toBase58(addressOf(mentions[0], "the mentioned address"));
    return this.#add(`logs:${address}`, "logsNotification");
  }

  #signature(params: Params): number {
    const signature = params.text(0, "the signature");
    if (!fromBase58(signature, 64)) throw invalidParams("a signature is 64 bytes in base58");
    const received = params.config(1).flag("enableReceivedNotification");
    const id = this.#add(`signature:${signature}`, "signatureNotification");
    const status = this.#node.ledger.status(signature);
    if (status) {
      // After the answer with the id has gone out.
      queueMicrotask(() => {
        if (!this.#open.has(id)) return;
        const subscription = { id, subscriber: this, notification: "signatureNotification" };
        if (received) {
          this.notify(subscription, withContext(this.#node, "receivedSignature"));
        }
        this.notify(subscription, {
          ...withContext(this.#node, { err: status.error }),
          context: { slot: status.slot },
        });
        this.forget(id);
      });
    }
    return id;
  }
}
