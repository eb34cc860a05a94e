import assert from "node:assert/strict";
import { PsycheError } from "../lib/error.ts";
import { linkSbpf } from "./sbpf_linker.ts";

/** A relocatable object with one code section, one read-only section and the given relocations. */
function object(options: {
  code: Uint8Array;
  data: Uint8Array;
  dataFlags?: number;
  relocations: { offset: number; type: number; symbol: number }[];
  symbols: { name: string; section: number; value: number }[];
}): Uint8Array {
  const strings = ["", ...options.symbols.map((s) => s.name), ".text", ".rodata"];
  const table = strings.join("\0") + "\0";
  const nameAt = (name: string) => name === "" ? 0 : table.indexOf(`\0${name}\0`) + 1;
  const symtab = new Uint8Array(24 * (options.symbols.length + 1));
  options.symbols.forEach(({ name, section, value }, i) => {
    const v = new DataView(symtab.buffer, 24 * (i + 1));
    v.setUint32(0, nameAt(name), true);
    v.setUint16(6, section, true);
    v.setBigUint64(8, BigInt(value), true);
  });
  const rel = new Uint8Array(16 * options.relocations.length);
  options.relocations.forEach(({ offset, type, symbol }, i) => {
    const v = new DataView(rel.buffer, 16 * i);
    v.setBigUint64(0, BigInt(offset), true);
    v.setUint32(8, type, true);
    v.setUint32(12, symbol, true);
  });
  const sections = [
    { name: "", type: 0, flags: 0, bytes: new Uint8Array(0), link: 0, info: 0 },
    { name: ".text", type: 1, flags: 6, bytes: options.code, link: 0, info: 0 },
    {
      name: ".rodata",
      type: 1,
      flags: options.dataFlags ?? 2,
      bytes: options.data,
      link: 0,
      info: 0,
    },
    { name: "", type: 9, flags: 0, bytes: rel, link: 4, info: 1 },
    { name: "", type: 2, flags: 0, bytes: symtab, link: 5, info: 1 },
    { name: "", type: 3, flags: 0, bytes: new TextEncoder().encode(table), link: 0, info: 0 },
  ];
  const size = 64 + sections.reduce((sum, s) => sum + s.bytes.length, 0);
  const out = new Uint8Array(size + 64 * sections.length);
  const v = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  v.setUint16(16, 1, true);
  v.setBigUint64(40, BigInt(size), true);
  v.setUint16(60, sections.length, true);
  v.setUint16(62, 5, true);
  let at = 64;
  sections.forEach((s, i) => {
    out.set(s.bytes, at);
    const head = size + 64 * i;
    v.setUint32(head, nameAt(s.name), true);
    v.setUint32(head + 4, s.type, true);
    v.setBigUint64(head + 8, BigInt(s.flags), true);
    v.setBigUint64(head + 24, BigInt(at), true);
    v.setBigUint64(head + 32, BigInt(s.bytes.length), true);
    v.setUint32(head + 40, s.link, true);
    v.setUint32(head + 44, s.info, true);
    v.setBigUint64(head + 48, 8n, true);
    at += s.bytes.length;
  });
  return out;
}

// r1 = address of data + 3; call sol_log_; call the exit; callx r6; exit
const CODE = Uint8Array.from([
  [0x18, 1, 0, 0, 3, 0, 0, 0],
  [0, 0, 0, 0, 0, 0, 0, 0],
  [0x85, 0x10, 0, 0, 255, 255, 255, 255],
  [0x85, 0x10, 0, 0, 255, 255, 255, 255],
  [0x8d, 6, 0, 0, 0, 0, 0, 0],
  [0x95, 0, 0, 0, 0, 0, 0, 0],
].flat());

const parts = {
  code: CODE,
  data: new TextEncoder().encode("abcdefgh"),
  relocations: [
    { offset: 0, type: 1, symbol: 1 },
    { offset: 16, type: 10, symbol: 2 },
    { offset: 24, type: 10, symbol: 3 },
  ],
  symbols: [
    { name: "letters", section: 2, value: 0 },
    { name: "sol_log_", section: 0, value: 0 },
    { name: "leave", section: 1, value: 40 },
    { name: "entrypoint", section: 1, value: 0 },
  ],
};

Deno.test("addresses are written out, system calls stay open", () => {
  const file = linkSbpf(object(parts));
  const v = new DataView(file.buffer);
  assert.equal(v.getUint16(16, true), 3);
  assert.equal(v.getUint16(18, true), 247);
  const entry = Number(v.getBigUint64(24, true));
  const address = v.getUint32(entry + 4, true);
  assert.equal(v.getUint32(entry + 12, true), 1, "program memory starts at 1 << 32");
  assert.equal(new TextDecoder().decode(file.subarray(address, address + 5)), "defgh");
  assert.equal(v.getInt32(entry + 16 + 4, true), -1, "filled in by the loader");
  assert.equal(v.getInt32(entry + 24 + 4, true), 1, "one instruction further");
  assert.deepEqual([file[entry + 33], v.getInt32(entry + 36, true)], [0, 6], "register to call");
  const text = new TextDecoder("latin1").decode(file);
  assert.ok(text.includes("\0sol_log_\0") && !text.includes("leave"));
});

Deno.test("the same object gives the same bytes, and the input is left alone", () => {
  const input = object(parts);
  const before = input.slice();
  assert.deepEqual(linkSbpf(input), linkSbpf(input));
  assert.deepEqual(input, before);
});

Deno.test("what a program cannot hold is refused", () => {
  const refused = (input: Uint8Array, reason: RegExp) =>
    assert.throws(
      () => linkSbpf(input),
      (e) => e instanceof PsycheError && e.code === "PROGRAM_LINK_FAILED" && reason.test(e.message),
    );
  refused(new Uint8Array(10), /not a relocatable ELF/);
  refused(object({ ...parts, dataFlags: 3 }), /writable/);
  refused(
    object({ ...parts, relocations: [{ offset: 0, type: 4, symbol: 1 }] }),
    /relocation type 4/,
  );
  refused(object({ ...parts, symbols: parts.symbols.slice(0, 3) }), /entrypoint is missing/);
});
