/** Packets on their way out of this network namespace, through the kernel's netfilter queue (Linux). */

/** What `iptables -j NFQUEUE` asks about, and what happens to it. */
export interface PacketQueue {
  /** The next packet's id; a packet waits until its verdict. */
  next(): Promise<number>;
  verdict(id: number, pass: boolean): void;
}

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_NETFILTER = 12;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;
const NLM_F_REQUEST = 1;
/** High byte of a message type. */
const SUBSYSTEM_QUEUE = 3 << 8;
const [PACKET, VERDICT, CONFIG] = [0, 1, 2];
const [CFG_COMMAND, CFG_PARAMETERS, CFG_MAX_LENGTH, CFG_MASK, CFG_FLAGS] = [1, 2, 3, 4, 5];
const [PACKET_HEADER, VERDICT_HEADER] = [1, 2];
const COMMAND_BIND = 1;
/** The packet's bytes are not needed here. */
const COPY_META = 1;
/** Large segments come in one piece, as the network card would get them. */
const FLAG_GSO = 4;
const MAX_LENGTH = 16_384;
/** nlmsghdr and nfgenmsg. */
const HEADERS = 20;

/**
 * Takes the queue of this number.
 *
 * @throws Error without the right to (CAP_NET_ADMIN)
 */
export function openPacketQueue(number: number): PacketQueue {
  const libc = Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize", nonblocking: true },
  }).symbols;
  const check = (name: string, result: number | bigint) => {
    if (result < 0) throw new Error(`${name} of the packet queue failed; is NET_ADMIN given?`);
    return Number(result);
  };
  const socket = check("socket", libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  const address = new Uint8Array(12);
  new DataView(address.buffer).setUint16(0, AF_NETLINK, true);
  check("bind", libc.bind(socket, address, address.length));
  // More than fits is lost, as on a full line.
  const on = new Uint8Array([1, 0, 0, 0]);
  check("setsockopt", libc.setsockopt(socket, SOL_NETLINK, NETLINK_NO_ENOBUFS, on, on.length));
  const send = (type: number, ...attributes: Uint8Array[]) => {
    const bytes = message(SUBSYSTEM_QUEUE | type, number, attributes);
    check("send", libc.send(socket, bytes, BigInt(bytes.length), 0));
  };
  send(CONFIG, attribute(CFG_COMMAND, [COMMAND_BIND, 0, 0, 0]));
  send(
    CONFIG,
    attribute(CFG_PARAMETERS, [0, 0, 0, 0, COPY_META]),
    attribute(CFG_MAX_LENGTH, bigEndian(MAX_LENGTH)),
    attribute(CFG_MASK, bigEndian(FLAG_GSO)),
    attribute(CFG_FLAGS, bigEndian(FLAG_GSO)),
  );
  const buffer = new Uint8Array(65_536);
  return {
    async next() {
      for (;;) {
        const length = check("recv", await libc.recv(socket, buffer, BigInt(buffer.length), 0));
        const id = packetId(buffer.subarray(0, length));
        if (id !== null) return id;
      }
    },
    verdict: (id, pass) =>
      send(VERDICT, attribute(VERDICT_HEADER, [...bigEndian(pass ? 1 : 0), ...bigEndian(id)])),
  };
}

function message(type: number, queue: number, attributes: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = HEADERS + attributes.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint16(18, queue, false);
  let offset = HEADERS;
  for (const one of attributes) {
    bytes.set(one, offset);
    offset += one.length;
  }
  return bytes;
}

/** Padded to four bytes; its length is that without padding. */
function attribute(type: number, value: number[]): Uint8Array {
  const bytes = new Uint8Array(4 + Math.ceil(value.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

function bigEndian(value: number): number[] {
  return [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];
}

/** Null for a message that is not a packet. */
function packetId(bytes: Uint8Array): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < HEADERS || view.getUint16(4, true) !== (SUBSYSTEM_QUEUE | PACKET)) return null;
  for (let offset = HEADERS; offset + 8 <= bytes.length;) {
    if ((view.getUint16(offset + 2, true) & 0x3fff) === PACKET_HEADER) {
      return view.getUint32(offset + 4, false);
    }
    offset += Math.max(4, Math.ceil(view.getUint16(offset, true) / 4) * 4);
  }
  return null;
}
