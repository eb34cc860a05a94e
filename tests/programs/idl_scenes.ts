/** Anchor's IDL instructions in situations in which they succeed; the authorizer stands for all. */
import * as idl from "../../lib/chain/idl_account.ts";
import { Chain, key } from "./harness.ts";
import type { Scene } from "./scenes.ts";

/** An IDL account with 150 bytes of room, and a buffer, both with some content. */
function accounts(content = true) {
  const chain = new Chain();
  const program = chain.ids.authorizer;
  const owner = chain.wallet("owner");
  const address = idl.idlAddress(program);
  const buffer = key("buffer");
  chain.put(buffer, new Uint8Array(100), program);
  chain.run(idl.createIdl(program, owner, 150), idl.createIdlBuffer(program, buffer, owner));
  if (content) {
    chain.run(
      ...[address, buffer].map((account) =>
        idl.writeIdl(program, account, owner, Uint8Array.of(1, 2, 3, 4, 5))
      ),
    );
  }
  return { chain, program, owner, address, buffer };
}

/** By the name that the program logs. */
export const IDL_SCENES: Record<string, () => Scene> = {
  IdlCreateAccount() {
    const chain = new Chain();
    const owner = chain.wallet("owner");
    return { chain, instruction: idl.createIdl(chain.ids.authorizer, owner, 100) };
  },
  IdlCreateBuffer() {
    const { chain, program, owner } = accounts();
    chain.put(key("fresh"), new Uint8Array(80), program);
    return { chain, instruction: idl.createIdlBuffer(program, key("fresh"), owner) };
  },
  IdlWrite() {
    const { chain, program, owner, address } = accounts();
    const bytes = new Uint8Array(60).fill(7);
    return { chain, instruction: idl.writeIdl(program, address, owner, bytes) };
  },
  IdlSetBuffer() {
    const { chain, program, owner, buffer } = accounts();
    return { chain, instruction: idl.setIdlBuffer(program, buffer, owner) };
  },
  IdlSetAuthority() {
    const { chain, program, owner, address } = accounts();
    return { chain, instruction: idl.setIdlAuthority(program, address, owner, key("heir")) };
  },
  IdlCloseAccount() {
    const { chain, program, owner, address } = accounts();
    const spill = chain.wallet("spill");
    return { chain, instruction: idl.closeIdl(program, address, owner, spill) };
  },
  IdlResizeAccount() {
    const { chain, program, owner, address } = accounts(false);
    return { chain, instruction: idl.resizeIdl(program, address, owner, 400) };
  },
};
