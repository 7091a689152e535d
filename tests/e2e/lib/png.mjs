// Reads the PNGs that cards are: 8 bits a channel, RGB, not interlaced (ISO/IEC 15948).

import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';

const TABLE = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

const crc = (bytes) =>
  (bytes.reduce((sum, byte) => TABLE[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;

function paeth(a, b, c) {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  if (pa <= pb && pa <= pc) return a;
  return pb <= pc ? b : c;
}

/** Undoes a line's filter, in place; `above` is the line before it. */
function unfilter(filter, line, above) {
  for (let i = 0; i < line.length; i++) {
    const a = i < 3 ? 0 : line[i - 3];
    const b = above ? above[i] : 0;
    const c = above && i >= 3 ? above[i - 3] : 0;
    line[i] += [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter];
  }
}

/** Checks every chunk of a PNG and gives {width, height, at(x, y)}, a colour as [r, g, b]. */
export function decodePng(bytes) {
  assert.equal(bytes.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
  const chunks = [];
  for (let at = 8; at < bytes.length;) {
    const size = bytes.readUInt32BE(at);
    const body = bytes.subarray(at + 4, at + 8 + size);
    assert.equal(bytes.readUInt32BE(at + 8 + size), crc(body), 'the checksum of a chunk');
    chunks.push({ type: body.toString('latin1', 0, 4), data: body.subarray(4) });
    at += 12 + size;
  }
  assert.equal(chunks.at(-1).type, 'IEND');
  const header = chunks[0].data;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  assert.deepEqual([...header.subarray(8)], [8, 2, 0, 0, 0]);
  const raw = inflateSync(Buffer.concat(
    chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)));
  assert.equal(raw.length, height * (1 + 3 * width));
  const lines = [];
  for (let y = 0; y < height; y++) {
    const start = y * (1 + 3 * width);
    const line = raw.subarray(start + 1, start + 1 + 3 * width);
    unfilter(raw[start], line, lines[y - 1]);
    lines.push(line);
  }
  return { width, height, at: (x, y) => [...lines[y].subarray(3 * x, 3 * x + 3)] };
}
