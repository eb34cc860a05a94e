import assert from "node:assert/strict";
import { join } from "node:path";
import { Keypair } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { clusterKey, explorerLink, localnetKey } from "./cluster_key.ts";
import { recordableUrl } from "./context.ts";
import { forgetRecords } from "./forget_localnet.ts";
import { loadOrCreateWallet } from "./localnet_wallet.ts";
import { readProgramsRecord, recordedIds, writeProgramsRecord } from "./programs_record.ts";
import { parseRunRecord, readRunRecord, type RunRecord, writeRunRecord } from "./run_record.ts";

const RECORD: RunRecord = {
  runId: "test",
  cluster: "localnet",
  genesisHash: "g",
  rpcUrl: "http://127.0.0.1:8899/",
  wsUrl: null,
  programIds: { authorizer: "a", coordinator: "b" },
  coordinatorInstance: "i",
  coordinatorAccount: "c",
  mainAuthority: "m",
  joinAuthority: "j",
  walletPath: null,
  mint: null,
  treasurerIndex: null,
  clientVersion: "test",
  status: "created",
  signatures: { createRun: "s" },
};

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a run record is read back as written, and replaced without leftovers", () =>
  inFolder(async (folder) => {
    assert.equal(await readRunRecord(folder, "localnet", "test"), null);
    await writeRunRecord(folder, { ...RECORD, status: "creating" });
    const path = await writeRunRecord(folder, RECORD);
    assert.equal(path, join(folder, "localnet", "test.json"));
    assert.deepEqual(await readRunRecord(folder, "localnet", "test"), RECORD);
    const names = [...Deno.readDirSync(join(folder, "localnet"))].map(({ name }) => name);
    assert.deepEqual(names, ["test.json"]);
  }));

Deno.test("run ids cannot leave the folder of the records", () =>
  inFolder(async (folder) => {
    for (const runId of ["../x", "a/b", "", ".hidden", "programs", "x".repeat(65), "a\0b"]) {
      await assert.rejects(writeRunRecord(folder, { ...RECORD, runId }), {
        code: "RUN_ID_INVALID",
      });
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("a damaged record is refused with its path and what to do", () => {
  for (const source of ["", "{", "[]", "null", "{}", '{"runId":"test"}']) {
    assert.throws(() => parseRunRecord(source, "runs/x.json"), (error: unknown) => {
      assert.ok(error instanceof PsycheError);
      assert.equal(error.code, "RUN_RECORD_INVALID");
      return error.message.includes("runs/x.json");
    });
  }
});

Deno.test("recorded program ids count only for the same genesis", () =>
  inFolder(async (folder) => {
    const program = () => ({
      programId: Keypair.generate().publicKey.toBase58(),
      sha256: "00",
      signature: null,
      keyFile: null,
    });
    const record = {
      cluster: "localnet",
      genesisHash: "g1",
      authorizer: program(),
      coordinator: program(),
    };
    await writeProgramsRecord(folder, record);
    const ids = recordedIds(await readProgramsRecord(folder, "localnet", "g1"));
    assert.equal(ids.coordinator?.toBase58(), record.coordinator.programId);
    assert.equal(await readProgramsRecord(folder, "localnet", "g2"), null);
    assert.equal(await readProgramsRecord(folder, "devnet", "g1"), null);
    await Deno.writeTextFile(join(folder, "localnet", "programs.json"), "{}");
    assert.equal(await readProgramsRecord(folder, "localnet", "g1"), null);
  }));

Deno.test("records of an ended localnet are forgotten, others and other files stay", () =>
  inFolder(async (folder) => {
    await forgetRecords(folder, "localnet", () => true);
    await writeRunRecord(folder, { ...RECORD, runId: "old", genesisHash: "g1" });
    await writeRunRecord(folder, { ...RECORD, runId: "new", genesisHash: "g2" });
    await Deno.writeTextFile(join(folder, "localnet", "notes.json"), "not JSON");
    const names = () => [...Deno.readDirSync(join(folder, "localnet"))].map((it) => it.name).sort();
    await forgetRecords(folder, "localnet", (hash) => hash !== "g2");
    assert.deepEqual(names(), ["new.json", "notes.json"]);
    await Deno.remove(join(folder, "localnet", "notes.json"));
    await forgetRecords(folder, "localnet", (hash) => hash === "g2");
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("clusters are named by genesis, localnets by port", () => {
  const devnet = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";
  assert.equal(clusterKey("https://rpc.example/?key=1", devnet), "devnet");
  assert.equal(clusterKey("http://127.0.0.1:8899/", "abc"), "localnet");
  assert.equal(clusterKey("http://localhost:9000", "abc"), "localnet-9000");
  assert.equal(clusterKey("https://rpc.example", "abcdefghijk"), "abcdefgh");
  assert.equal(localnetKey("devnet"), null);
});

Deno.test("only public clusters have explorer links", () => {
  assert.equal(explorerLink("localnet", "s"), null);
  assert.equal(explorerLink("devnet", "s"), "https://explorer.solana.com/tx/s?cluster=devnet");
  assert.equal(explorerLink("mainnet", "s"), "https://explorer.solana.com/tx/s");
});

Deno.test("an address with an access key is not written down", () => {
  assert.equal(recordableUrl("http://127.0.0.1:8899/"), "http://127.0.0.1:8899/");
  assert.equal(recordableUrl("https://x.example/?api-key=secret"), null);
  assert.equal(recordableUrl("https://x.example/0123456789abcdef0123456789abcdef"), null);
});

Deno.test("the localnet wallet is made once, for its owner only", () =>
  inFolder(async (folder) => {
    const path = join(folder, "keys", "owner.json");
    const first = await loadOrCreateWallet(path);
    const second = await loadOrCreateWallet(path);
    assert.ok(first.created && !second.created);
    assert.ok(first.keypair.publicKey.equals(second.keypair.publicKey));
    if (Deno.build.os !== "windows") {
      assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
      assert.deepEqual(second.warnings, []);
    }
    await Deno.writeTextFile(path, "[1,2");
    await assert.rejects(loadOrCreateWallet(path), { code: "WALLET_INVALID" });
  }));
