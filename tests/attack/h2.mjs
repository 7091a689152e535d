// HTTP/2 as no client library would write it: header blocks of literals, frames by hand
// (RFC 9113, RFC 7541 section 6.2.2).

import net from 'node:net';
import { sleep } from '../e2e/lib/process.mjs';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const [DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY] = [0, 1, 3, 4, 7];
const END_STREAM = 1;
const END_HEADERS = 4;
const ANSWER_MILLISECONDS = 1_000;

function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A length with a prefix of seven bits, not Huffman-coded. */
function text(value) {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const size = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) size.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...size, rest]), bytes]);
}

const block = (fields) =>
  Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])));

/**
 * One request on a connection of its own: `fields` are pairs, pseudo-headers first. What
 * came back: 'answered', 'reset', 'closed' or 'nothing'.
 */
export async function requestFrames(port, fields, body, localAddress) {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress });
  const pieces = [];
  socket.on('data', (piece) => pieces.push(piece));
  socket.on('error', () => {});
  const flags = END_HEADERS | (body === undefined ? END_STREAM : 0);
  socket.write(Buffer.concat([
    Buffer.from(PREFACE), frame(SETTINGS, 0, 0), frame(HEADERS, flags, 1, block(fields)),
    ...(body === undefined ? [] : [frame(DATA, END_STREAM, 1, Buffer.from(body, 'latin1'))]),
  ]));
  await sleep(ANSWER_MILLISECONDS);
  socket.destroy();
  return outcome(Buffer.concat(pieces));
}

function outcome(bytes) {
  const seen = new Set();
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) seen.add(bytes[at + 3]);
  if (seen.has(HEADERS)) return 'answered';
  if (seen.has(RST_STREAM)) return 'reset';
  return seen.has(GOAWAY) ? 'closed' : 'nothing';
}
