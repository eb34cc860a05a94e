import assert from "node:assert/strict";
import { Keypair } from "@solana/web3.js";
import { fileURLToPath } from "node:url";
import { PsycheError } from "../../lib/error.ts";
import {
  authorizationCreateInstruction,
  authorizationGrantorUpdateInstruction,
  EVERYBODY,
  fetchAuthorization,
  findJoinAuthorization,
} from "../../lib/chain/authorizer.ts";
import {
  bindProgramIds,
  deployProgram,
  type DeployProgress,
  programHash,
  readProgram,
  reclaimBuffer,
} from "../../lib/chain/deploy.ts";
import { authorizationAddress } from "../../lib/chain/pda.ts";
import { defaultProgramIds } from "../../lib/chain/programs.ts";
import { sendInstructions } from "../../lib/chain/send.ts";
import { fund, PROGRAMS, withLocalnet } from "./chain_test_support.ts";

const authorizerSo = await Deno.readFile(new URL("authorizer.so", PROGRAMS));

async function failure(promise: Promise<unknown>): Promise<PsycheError> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof PsycheError, String(error));
  return error;
}

Deno.test("programs are deployed, upgraded and found again", async (t) => {
  const ids = defaultProgramIds();
  const owner = Keypair.generate();
  const reserved = { id: ids.authorizer.toBase58(), authority: owner.publicKey.toBase58() };
  await withLocalnet(
    {
      reservedPrograms: [reserved],
      placeholder: fileURLToPath(new URL("placeholder.so", PROGRAMS)),
    },
    async ({ connection, wallet }) => {
      const common = { connection, payer: wallet, authority: wallet, so: authorizerSo };

      await t.step("a reserved id is upgraded from the placeholder to the program", async () => {
        const before = await readProgram(connection, ids.authorizer);
        assert.ok(before.exists && before.executable);
        assert.ok(before.upgradeAuthority?.equals(owner.publicKey));
        assert.notEqual(before.sha256, programHash(authorizerSo));

        const phases: DeployProgress[] = [];
        const started = performance.now();
        const result = await deployProgram({
          ...common,
          program: ids.authorizer,
          onProgress: (event) => phases.push(event),
        });
        console.log(
          `${authorizerSo.length} bytes, ${result.writeTransactions} writes, ${
            Math.round(performance.now() - started)
          } ms`,
        );
        assert.equal(result.kind, "upgraded");
        assert.deepEqual(
          [...new Set(phases.map(({ phase }) => phase))],
          ["write", "deploy", "verify"],
        );
        const after = await readProgram(connection, ids.authorizer);
        assert.equal(after.sha256, programHash(authorizerSo));
      });

      await t.step("the program works: create, activate, find an authorization", async () => {
        const grantor = wallet.publicKey;
        const authorization = authorizationAddress(ids, grantor, EVERYBODY);
        const user = Keypair.generate().publicKey;
        assert.equal(await findJoinAuthorization(connection, ids, grantor, user), null);
        const send = { connection, payer: wallet, label: "Create authorization" };
        await sendInstructions({
          ...send,
          instructions: [
            authorizationCreateInstruction({ payer: grantor, grantor, grantee: EVERYBODY }),
            authorizationGrantorUpdateInstruction({ grantor, authorization, active: true }),
          ],
        });
        const account = await fetchAuthorization(connection, ids, authorization);
        assert.ok(account?.active && account.grantor.equals(grantor));
        const found = await findJoinAuthorization(connection, ids, grantor, user);
        assert.ok(found?.equals(authorization));

        const stranger = Keypair.generate();
        await fund(connection, stranger.publicKey, 1);
        const refused = await failure(sendInstructions({
          connection,
          payer: stranger,
          label: "Deactivate",
          instructions: [authorizationGrantorUpdateInstruction({
            grantor: stranger.publicKey,
            authorization,
            active: false,
          })],
        }));
        assert.equal(refused.code, "ConstraintRaw");
        assert.match(refused.message, /^Deactivate failed in authorization_grantor_update:/);
      });

      await t.step("a fresh keypair, with the ids bound; the unbound file says 4100", async () => {
        const program = Keypair.generate();
        const so = bindProgramIds(authorizerSo, [program.publicKey]);
        const fresh = { ...ids, authorizer: program.publicKey };
        const grantor = wallet.publicKey;
        const create = (label: string) =>
          sendInstructions({
            connection,
            payer: wallet,
            label,
            instructions: [
              authorizationCreateInstruction({
                ids: fresh,
                payer: grantor,
                grantor,
                grantee: EVERYBODY,
              }),
            ],
          });
        const payer = Keypair.generate(); // pays, while the wallet has the authority
        await fund(connection, payer.publicKey, 10);
        const first = await deployProgram({
          ...common,
          payer,
          program,
          priorityFeeMicroLamports: 1000,
        });
        assert.equal(first.kind, "deployed");
        assert.equal((await failure(create("Unbound"))).code, "DeclaredProgramIdMismatch");
        const second = await deployProgram({ ...common, so, program });
        assert.equal(second.kind, "upgraded");
        await create("Bound");
        assert.equal((await readProgram(connection, program.publicKey)).sha256, programHash(so));
      });

      await t.step("an interrupted deployment goes on where it stopped", async () => {
        const so = bindProgramIds(authorizerSo, [Keypair.generate().publicKey]);
        const program = Keypair.generate();
        let toWrite: number | undefined;
        const interrupt = async () => {
          const stop = new AbortController();
          const aborted = deployProgram({
            ...common,
            so,
            program,
            signal: stop.signal,
            onProgress: (event) => {
              toWrite ??= event.total - event.done;
              const landed = toWrite - (event.total - event.done);
              if (landed > 0) stop.abort(new Error("stopped"));
            },
          });
          await assert.rejects(aborted, /stopped/);
        };
        await interrupt();
        const rent = await connection.getMinimumBalanceForRentExemption(37 + so.length);
        assert.equal(await reclaimBuffer({ ...common, so }), rent);
        assert.equal(await reclaimBuffer({ ...common, so }), 0);
        await interrupt();
        const resumed = await deployProgram({ ...common, so, program });
        assert.ok(resumed.writeTransactions < toWrite!);
        assert.equal((await readProgram(connection, program.publicKey)).sha256, programHash(so));
      });

      await t.step("room is added when the new program is larger", async () => {
        const program = Keypair.generate();
        await deployProgram({ ...common, program });
        const larger = new Uint8Array(authorizerSo.length + 20_000);
        larger.set(authorizerSo);
        larger.fill(1, authorizerSo.length);
        await deployProgram({ ...common, so: larger, program });
        const after = await readProgram(connection, program.publicKey);
        assert.equal(after.sha256, programHash(larger));
      });

      await t.step("mistakes are named before anything is spent", async () => {
        const balance = await connection.getBalance(wallet.publicKey);
        const cases: [Partial<Parameters<typeof deployProgram>[0]>, string][] = [
          [{ program: Keypair.generate().publicKey }, "PROGRAM_NOT_FOUND"],
          [{ program: wallet.publicKey }, "PROGRAM_NOT_FOUND"],
          [
            { program: ids.authorizer, authority: Keypair.generate() },
            "PROGRAM_AUTHORITY_MISMATCH",
          ],
          [{ program: Keypair.generate(), so: new Uint8Array(1000) }, "PROGRAM_FILE_INVALID"],
          [{ program: Keypair.generate(), maxLen: 10_000_000_000 }, "INSUFFICIENT_FUNDS"],
        ];
        for (const [change, code] of cases) {
          const error = await failure(
            deployProgram({ ...common, program: ids.authorizer, ...change }),
          );
          assert.equal(error.code, code, error.message);
        }
        assert.equal(await connection.getBalance(wallet.publicKey), balance);
      });
    },
    owner,
  );
});

Deno.test("binding ids needs exactly one table", () => {
  const id = Keypair.generate().publicKey;
  const bound = bindProgramIds(authorizerSo, [id]);
  assert.equal(bound.length, authorizerSo.length);
  assert.notDeepEqual(bound, authorizerSo);
  const code = (expected: string) => (error: unknown) =>
    error instanceof PsycheError && error.code === expected;
  assert.throws(() => bindProgramIds(new Uint8Array(100), [id]), code("PROGRAM_ID_TABLE_MISSING"));
  const twice = new Uint8Array([...authorizerSo, ...authorizerSo]);
  assert.throws(() => bindProgramIds(twice, [id]), code("PROGRAM_ID_TABLE_AMBIGUOUS"));
  const marker = new TextEncoder().encode("PSYCHE-PROG-IDS\0");
  assert.throws(() => bindProgramIds(marker, [id]), code("PROGRAM_ID_TABLE_TOO_SHORT"));
});
