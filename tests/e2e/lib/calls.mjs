// Paid calls over both versions of HTTP, what the ledger says became of each, and more
// ways for the upstream to answer.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http2 from 'node:http2';
import { ask } from './ask.mjs';
import { waitFor } from './process.mjs';
import { RawConnection, openHttp2 } from './raw.mjs';
import { behaviours } from './upstream.mjs';
import { newAccount, payment } from './wallet.mjs';
import { payments } from './x402.mjs';

export const PROTOCOLS = ['http1', 'http2'];

/** A payment from somebody who never paid before: its payer has this one row. */
export const newPayment = (options) => payment(newAccount(), options);

// ------------------------------------------------------------------------------- calls

/**
 * One client of a gateway. With http1 each call has a connection of its own, with http2
 * all share one.
 */
export class Caller {
  constructor(gateway, protocol) {
    this.gateway = gateway;
    this.protocol = protocol;
  }

  /**
   * Sends a request and reads its answer: {status, headers, body, broken}. `broken` when
   * the client can see that the body was cut off; status 0 when there was no answer.
   * After `within` milliseconds the client goes away.
   */
  async call(path, options = {}) {
    const sent = { ...options, headers: { ...options.paid?.headers, ...options.headers } };
    if (this.protocol === 'http1') return callHttp1(this.gateway.port, path, sent);
    for (;;) {
      const answer = await callHttp2(await this.openSession(), path, sent);
      if (answer) return answer;
    }
  }

  /** The session all calls share; those made while it is opened wait for it. */
  async openSession() {
    if (!this.session || this.session.closed || this.session.destroyed) {
      this.opening ??= openHttp2(this.gateway.http2Port).finally(() => { this.opening = null; });
      this.session = await this.opening;
    }
    return this.session;
  }

  close() {
    this.session?.destroy();
  }
}

const nothing = () => ({ status: 0, headers: {}, body: '', broken: true });

async function callHttp1(port, path, { method = 'GET', headers, body, within = 20_000 }) {
  const connection = await RawConnection.open(port);
  const patience = setTimeout(() => connection.abort(), within);
  connection.request(method, path, { headers, body });
  const answer = nothing();
  try {
    Object.assign(answer, await connection.readHead());
    answer.body = (await connection.readBody(answer, method)).toString('latin1');
    answer.broken = false;
  } catch (error) {
    if (!/ended too early/.test(error.message)) throw error;
    answer.body = connection.buffer.toString('latin1');
  } finally {
    clearTimeout(patience);
    connection.end();
  }
  return answer;
}

/** Null: the server has not taken it, and it is to be sent again (RFC 9113, 8.7): its GOAWAY was on the way. */
async function callHttp2(session, path, { method = 'GET', headers, body, within = 20_000 }) {
  const stream = session.request(headersHttp2(path, { method, headers }));
  const patience = setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), within);
  stream.end(body);
  const answer = await answerHttp2(stream);
  clearTimeout(patience);
  return stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM ? null : answer;
}

/** The pseudo-headers and headers of a request. */
export function headersHttp2(path, { method = 'GET', headers = {} } = {}) {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { ':path': path, ':method': method, ...Object.fromEntries(lower) };
}

/** Reads a stream to its end, in good order or not. */
export function answerHttp2(stream) {
  const answer = nothing();
  const pieces = [];
  stream.on('response', (headers) => Object.assign(answer, { status: headers[':status'], headers }));
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('error', () => {});
  return new Promise((resolve) => {
    let ended = false;
    stream.on('end', () => { ended = true; });
    stream.on('close', () => resolve({
      ...answer,
      body: Buffer.concat(pieces).toString('latin1'),
      broken: answer.status === 0 || !ended || stream.rstCode !== 0,
    }));
    stream.resume();
  });
}

/** Makes the call {path, paid} on a connection that may break: its status, and whether it is whole. */
export async function callOn(connection, call) {
  try {
    connection.request('GET', call.path, { headers: call.paid.headers });
    call.status = (await connection.readResponse()).status;
    call.whole = true;
  } catch (error) {
    assert.match(error.message, /ended too early/);
  }
}

/** Makes calls once more, so many at a time; `again` of each is what came of it. */
export async function presentAgain(gateway, calls, atOnce) {
  const left = [...calls];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let call = left.pop(); call; call = left.pop()) {
      call.again = await ask(gateway, call.path, { payment: call.paid });
    }
  }));
}

// ------------------------------------------------------------------------------ ledger

/** The row of a payment in the ledger, or undefined. */
export async function rowOf(gateway, paid) {
  const rows = await payments(gateway, '--payer', paid.message.from);
  assert.ok(rows.length <= 1, 'two rows for one authorization');
  if (rows.length) assert.equal(rows[0].nonce, paid.message.nonce);
  return rows[0];
}

/** The row once its outcome is known: that is written some milliseconds after the answer. */
export function outcomeOf(gateway, paid, within = 20_000) {
  return waitFor(async () => {
    const row = await rowOf(gateway, paid);
    return row && row.delivery !== 'pending' && row;
  }, 'the outcome', within);
}

/** Charged: delivered, and the money is due. */
export async function isDelivered(gateway, paid, { attempts = 1 } = {}) {
  const { delivery, money, attempts: made } = await outcomeOf(gateway, paid);
  assert.deepEqual({ delivery, money, attempts: made }, { delivery: 'delivered', money: 'due', attempts });
}

/** Not charged, and free to be presented again. */
export async function isVoid(gateway, paid, { attempts = 1 } = {}) {
  const { delivery, money, attempts: made } = await outcomeOf(gateway, paid);
  assert.deepEqual({ delivery, money, attempts: made }, { delivery: 'void', money: 'released', attempts });
}

/** Being served. Who only reads sees it within some tenths of a second. */
export async function isPending(gateway, paid) {
  const { delivery, money } = await waitFor(() => rowOf(gateway, paid), 'the row', 20_000);
  assert.deepEqual({ delivery, money }, { delivery: 'pending', money: 'held' });
}

/**
 * Keeps everybody from writing to a gateway's ledger until release() is called, as a
 * writer does that is stuck: it holds the lock of the queue. (fcntl is in no module of
 * node; perl is on every Debian.)
 */
export async function holdLedger(gateway) {
  const program = `
    use Fcntl;
    open(my $file, "+<", $ARGV[0]) or die "$!";
    my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 2, 0);
    fcntl($file, F_SETLKW, $lock) or die "$!";
    $| = 1; print "held\\n";
    <STDIN>;`;
  const holder = spawn('perl', ['-e', program, `${gateway.ledger}-queue`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => { holder.once('exit', resolve); });
  await new Promise((resolve, reject) => {
    holder.stdout.once('data', resolve);
    holder.once('exit', () => reject(new Error('the ledger could not be held')));
  });
  return {
    release() {
      holder.stdin.end();
      return ended;
    },
  };
}

// ---------------------------------------------------------------------------- upstream

const header = (...lines) => `${['HTTP/1.1 200 OK', 'Content-Type: text/plain', ...lines].join('\r\n')}\r\n\r\n`;
const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;
const LAST_CHUNK = '0\r\n\r\n';

/** How an answer is framed: its header line, each piece of its body, and its end. */
const framings = {
  length: (size) => [`Content-Length: ${size}`, (text) => text, ''],
  chunked: () => ['Transfer-Encoding: chunked', chunk, LAST_CHUNK],
  close: () => ['Connection: close', (text) => text, ''],
};

Object.assign(behaviours, {
  /** A whole 200 of `size` bytes; `framing` length, chunked or close; `header` more lines. */
  whole({ request, execution, options }) {
    const size = Number(options.size ?? 100);
    const [line, frame, last] = framings[options.framing ?? 'length'](size);
    const head = header(line, ...[options.header ?? []].flat());
    const body = size ? frame('x'.repeat(size)) : '';
    request.socket.write(head + body + last, () => { execution.whole = true; });
    if (options.framing === 'close') request.socket.end();
  },

  /** `size` bytes of twice as many, then nothing until upstream.release(id), then the rest. */
  async half({ request, execution, upstream, id, options }) {
    const size = Number(options.size ?? 100);
    const [line, frame, last] = framings[options.framing ?? 'length'](2 * size);
    request.socket.write(header(line) + frame('x'.repeat(size)), () => { execution.half = true; });
    await upstream.held(id);
    if (options.then === 'reset') request.socket.resetAndDestroy();
    else request.socket.write(frame('y'.repeat(size)) + last);
  },

  /** Server-sent events, event N+1 only after upstream.release(`${id}/${N}`). */
  async events({ request, upstream, id, options }) {
    const buffering = options.accel ? ['X-Accel-Buffering: no'] : [];
    const { socket } = request;
    socket.write(header('Transfer-Encoding: chunked', ...buffering)
      .replace('text/plain', 'text/event-stream'));
    for (let i = 0; i < Number(options.events) && !socket.destroyed; i++) {
      socket.write(chunk(`data: ${i}\n\n`));
      await upstream.held(`${id}/${i}`);
    }
    socket.write(LAST_CHUNK);
  },
});
