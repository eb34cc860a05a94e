/** Commands that reach a localnet only over a network that fails, and which of them have done so. */
import assert from "node:assert/strict";
import {
  type SpawnedLocalnet,
  spawnLocalnet,
  type SpawnLocalnetOptions,
} from "../../lib/localnet/spawn.ts";
import { startCutRelay } from "./cut_relay.ts";
import { type Fault, type FaultyProxy, startFaultyProxy } from "./faulty_proxy.ts";
import { makeWorkspace, runScript } from "./script.ts";

const FAULTS: Fault[] = ["delay", "drop", "lose answer", 429, 503];
/** Of a websocket, milliseconds. */
const LIFE = { least: 300, most: 3_000 };

/** As JSON.parse gives it. */
type Json = ReturnType<typeof JSON.parse>;

/** What becomes of a request; `isFirst`: of its command. */
export type FaultOf = (method: string, isFirst: boolean) => Fault;

/** The way to the localnet through one proxy. */
export interface BadWay {
  proxy: FaultyProxy;
  /** Flags that name it. */
  rpc: string[];
  /** Runs a command that has to end with one of these exit codes; its result. */
  ends(codes: number[], name: string, ...args: string[]): Promise<Json>;
  /** Runs a command that has to succeed; its result. */
  done(name: string, ...args: string[]): Promise<Json>;
  /** Runs a command that has to fail with this error. */
  fails(error: string, name: string, ...args: string[]): Promise<void>;
}

export interface BadNetwork {
  /** Where the commands run. */
  folder: string;
  localnet: SpawnedLocalnet;
  /** Of the faults; every failure names it. */
  seed: number;
  /** Spoils the first request of each command and a third of the others, never three of a method in a row. */
  spoilt(): FaultOf;
  /** With a proxy of these faults, and websockets that are cut. */
  over(faultOf: FaultOf, work: (way: BadWay) => Promise<void>): Promise<void>;
  /** Commands that met a fault and ended as they had to. */
  exercised: ReadonlySet<string>;
  stop(): Promise<void>;
}

export async function openBadNetwork(options: SpawnLocalnetOptions = {}): Promise<BadNetwork> {
  const folder = await makeWorkspace();
  const localnet = await spawnLocalnet(options);
  const seed = Math.floor(Math.random() * 2 ** 31);
  const exercised = new Set<string>();
  let random = seed;
  const chance = () => (random = (random * 48271 + 11) % 0x7fffffff) / 0x7fffffff;

  return {
    ...{ folder, localnet, seed, exercised },
    spoilt() {
      const inRow = new Map<string, number>();
      return (method, isFirst) => {
        const faults = inRow.get(method) ?? 0;
        const isFault = isFirst || (faults < 2 && chance() < 1 / 3);
        inRow.set(method, isFault ? faults + 1 : 0);
        return isFault ? FAULTS[Math.floor(chance() * FAULTS.length)] : "pass";
      };
    },
    async over(faultOf, work) {
      let isFirst = true;
      const proxy = await startFaultyProxy(localnet.rpcUrl, (method) => {
        const fault = faultOf(method, isFirst);
        isFirst = false;
        return fault;
      });
      const life = () => LIFE.least + chance() * (LIFE.most - LIFE.least);
      const relay = await startCutRelay(localnet.wsUrl, life);
      const ends: BadWay["ends"] = async (codes, name, ...args) => {
        isFirst = true;
        const before = proxy.seen.length;
        const { code, stdout, stderr } = await runScript(name, [...args, "--json"], folder);
        assert.ok(codes.includes(code), `seed ${seed}: ${name} ${args}: ${stdout}${stderr}`);
        if (proxy.seen.slice(before).some(({ fault }) => fault !== "pass")) exercised.add(name);
        return JSON.parse(stdout);
      };
      try {
        await work({
          proxy,
          rpc: ["--rpc", proxy.url, "--ws-rpc", relay.url],
          ends,
          done: (name, ...args) => ends([0], name, ...args),
          async fails(error, name, ...args) {
            assert.equal((await ends([1], name, ...args)).error.code, error);
          },
        });
      } finally {
        await proxy.stop();
        await relay.stop();
      }
    },
    async stop() {
      await localnet.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
