// The figures live: one stream, many, slow ones, and how streams end.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { after, before, test } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import { USDC } from './lib/chain.mjs';
import { startGateway } from './lib/gateway.mjs';
import { SANITIZED, sleep, waitFor } from './lib/process.mjs';
import { RawConnection } from './lib/raw.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { newAccount, payment } from './lib/wallet.mjs';

const PUBLIC_MAX = 48;
const PRIVATE_MAX = 16;
const OWNER = { authorization: 'Bearer a-token-of-visible-characters' };
const PERIOD_MILLISECONDS = 2000;
const QUIET_MILLISECONDS = 15_000;
const STUCK_MILLISECONDS = 60_000;
const TICK_MILLISECONDS = 500;
const AT_ONCE_MILLISECONDS_MAX = 10_000; // well before anything that a stream does by itself

let gateway; // sells, and compresses what it can
let quiet; // sells nothing: nothing changes
let upstream;
let waiting; // a comment of `quiet`, the answer of one that reads nothing: both take long

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({
    http: 'gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0;',
    locations: ({ folder }) => {
      fs.writeFileSync(`${folder}/token`, 'a-token-of-visible-characters\n', { mode: 0o600 });
      return `
        location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }
        location /s { x402_status; }
        location /p { x402_status private ${folder}/token; }`;
    },
  });
  quiet = await startGateway({
    locations: 'location /s { x402_status; } location /api/ { x402_price 0.001; }',
  });
  waiting = { comment: firstComment(), stuck: lifeOfOneThatReadsNothing() };
  waiting.comment.catch(() => {});
  waiting.stuck.catch(() => {});
});
after(async () => {
  await gateway?.stop();
  await quiet?.stop();
  await upstream?.stop();
});

/** A stream: status and headers, and, as they come, {event, data, at} and comments. */
class Events {
  static async open(from, path = '/s/events', headers = {}) {
    const events = new Events();
    events.request = http.request({ host: '127.0.0.1', port: from.port, path, headers, agent: false });
    events.request.end();
    const response = await new Promise((resolve, reject) => {
      events.request.once('response', resolve);
      events.request.once('error', reject);
    });
    Object.assign(events, { status: response.statusCode, headers: response.headers });
    events.take(response);
    return events;
  }

  constructor() {
    Object.assign(this, { all: [], comments: 0, retry: null, text: '', ended: null });
    this.began = Date.now();
  }

  take(response) {
    this.request.on('error', () => {}); // a stream that is cut off has ended
    response.on('error', () => {});
    response.setEncoding('utf8');
    response.on('data', (piece) => {
      this.text += piece;
      for (let end; (end = this.text.indexOf('\n\n')) >= 0;) {
        this.block(this.text.slice(0, end).split('\n'));
        this.text = this.text.slice(end + 2);
      }
    });
    response.on('end', () => { this.ended ??= 'whole'; });
    response.on('close', () => { this.ended ??= 'cut off'; });
  }

  block(lines) {
    const found = {};
    for (const line of lines) {
      const [, name, value] = /^([a-z]*): ?(.*)$/.exec(line) ?? assert.fail(`not a field: ${line}`);
      assert.ok(!(name in found), 'one line a field');
      found[name] = value;
    }
    if ('retry' in found) this.retry = Number(found.retry);
    else if ('data' in found) this.all.push({ event: found.event, data: JSON.parse(found.data), at: Date.now() });
    else this.comments++;
  }

  /** Waits for the first event, from number `first` on, for which a test holds. */
  next(test = () => true, first = 0, within = AT_ONCE_MILLISECONDS_MAX) {
    return waitFor(() => this.all.slice(first).find(test), 'an event', within);
  }

  close() {
    this.request.destroy();
  }
}

const admitted = ({ data }) => data.tokens.find(({ asset }) => asset === USDC)?.totals.admitted.count ?? 0;

async function buy() {
  const paid = await payment(newAccount());
  isPaid(await ask(gateway, '/api/x', { payment: paid }), paid);
}

/** A stream over HTTP/2 of a client that takes only `window` bytes. */
async function openHttp2(from, window) {
  const session = http2.connect(`http://127.0.0.1:${from.http2Port}`, { settings: { initialWindowSize: window } });
  session.on('error', () => {});
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  const stream = session.request({ ':path': '/s/events' });
  stream.on('error', () => {});
  const headers = await new Promise((resolve) => stream.once('response', resolve));
  return { session, stream, status: headers[':status'] };
}

/** How long until a stream is dropped whose reader reads nothing. */
async function lifeOfOneThatReadsNothing() {
  const began = Date.now();
  const { session, stream } = await openHttp2(quiet, 16);
  await new Promise((resolve) => stream.once('close', resolve));
  session.close();
  return Date.now() - began;
}

async function firstComment() {
  const events = await Events.open(quiet);
  await waitFor(() => events.comments, 'a comment', QUIET_MILLISECONDS + 5000);
  events.close();
  return { after: Date.now() - events.began, events: events.all.length };
}

test('the_figures_come_at_once_and_are_those_of_the_page', async () => {
  const events = await Events.open(gateway);
  assert.equal(events.status, 200);
  assert.equal(events.headers['content-type'], 'text/event-stream');
  assert.equal(events.headers['cache-control'], 'no-store');
  assert.equal(events.headers['x-accel-buffering'], 'no');
  const { event, data } = await events.next();
  assert.equal(event, 'stats');
  assert.equal(events.retry, 3000);
  const { json } = await ask(gateway, '/s/stats');
  assert.deepEqual({ ...data, time: 0 }, { ...json, time: 0 });
  events.close();
});

test('a_purchase_is_seen_within_seconds_and_no_event_follows_another_too_soon', async () => {
  const events = await Events.open(gateway);
  const before = admitted(await events.next());
  for (let bought = 1; bought <= 3; bought++) {
    await buy();
    await events.next((one) => admitted(one) >= before + bought, 0, 6000);
  }
  // From the beginning: an event that is read late is nearer to the next one.
  const times = events.all.map(({ at }) => at - events.began);
  assert.ok(times.every((time, i) => time >= i * PERIOD_MILLISECONDS - 200), `${times}`);
  events.close();
});

test('a_compressor_does_not_keep_events_back', async () => {
  const headers = { 'accept-encoding': 'gzip' };
  assert.equal((await ask(gateway, '/s/stats', { headers })).headers['content-encoding'], 'gzip');
  const events = await Events.open(gateway, '/s/events', headers);
  assert.equal(events.headers['content-encoding'], undefined);
  await events.next();
  events.close();
});

test('a_private_page_has_private_events_and_a_public_one_has_not', async () => {
  assert.equal((await Events.open(gateway, '/p/events')).status, 401);
  const token = 'Bearer a-token-of-visible-characters';
  const [mine, all] = [await Events.open(gateway, '/p/events', { authorization: token }), await Events.open(gateway)];
  assert.equal((await mine.next()).data.private, true);
  assert.equal((await all.next()).data.private, false);
  mine.close();
  all.close();
});

test('http2_streams_and_http10_are_served_too', async () => {
  const { session, stream, status } = await openHttp2(gateway, 65_535);
  assert.equal(status, 200);
  let text = '';
  stream.setEncoding('utf8').on('data', (piece) => { text += piece; });
  await waitFor(() => text.includes('event: stats'), 'an event');
  const seen = text.length;
  await buy();
  await waitFor(() => text.length > seen && text.endsWith('\n\n'), 'another');
  session.destroy();
  const old = await RawConnection.open(gateway.port);
  old.write('GET /s/events HTTP/1.0\r\n\r\n');
  assert.equal((await old.readHead()).status, 200);
  await old.until((buffer) => buffer.indexOf('event: stats'));
  old.abort();
});

test('the_49th_public_stream_is_told_to_come_again_and_finds_a_place_that_was_left', async () => {
  const open = [];
  try {
    await waitFor(async () => {
      const events = await Events.open(gateway);
      if (events.status === 200) open.push(events);
      else await sleep(TICK_MILLISECONDS); // of an earlier test, whose end nginx has not seen yet
      return open.length === PUBLIC_MAX;
    }, 'all places');
    const refused = await Events.open(gateway);
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '10']);
    assert.equal((await ask(gateway, '/s/stats')).status, 200, 'figures are for all');
    for (const events of open) await events.next();
    const mine = await Promise.all(Array.from({ length: PRIVATE_MAX }, () => Events.open(gateway, '/p/events', OWNER)));
    assert.deepEqual(mine.map(({ status }) => status), Array(PRIVATE_MAX).fill(200), 'places for private pages');
    assert.equal((await Events.open(gateway, '/p/events', OWNER)).status, 503);
    for (const events of mine) events.close();
    open.pop().close();
    await waitFor(async () => {
      const events = await Events.open(gateway);
      if (events.status === 200) open.push(events);
      return events.status === 200;
    }, 'the place that was left');
  } finally {
    for (const events of open) events.close();
  }
});

test('slow_readers_make_no_memory_grow_and_keep_nobody_waiting', { skip: SANITIZED }, async () => {
  const slow = await Promise.all(Array.from({ length: 40 }, () => openHttp2(gateway, 100)));
  assert.ok(slow.every(({ status }) => status === 200));
  const fast = await Events.open(gateway);
  const memory = () =>
    Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${gateway.workers()[0]}/status`, 'utf8'))[1]);
  const tell = async (times) => {
    for (let i = 0; i < times; i++) {
      const seen = fast.all.length;
      await buy();
      await fast.next(undefined, seen, 6000);
    }
  };
  await tell(2);
  const begun = memory();
  await tell(5);
  assert.ok(memory() - begun < 512, `${memory() - begun} kB more for 40 streams and 5 events`);
  fast.close();
  for (const { session } of slow) session.destroy();
});

test('streams_end_whole_and_at_once_when_the_gateway_reloads', async () => {
  const all = await Promise.all(Array.from({ length: 5 }, () => Events.open(gateway)));
  for (const events of all) await events.next();
  const slow = await openHttp2(gateway, 100);
  const old = gateway.workers();
  await gateway.reload();
  await waitFor(() => all.every(({ ended }) => ended), 'the end', AT_ONCE_MILLISECONDS_MAX);
  assert.deepEqual(all.map(({ ended }) => ended), Array(5).fill('whole'));
  await waitFor(() => !gateway.workers({ all: true }).some((pid) => old.includes(pid)), 'the old worker', AT_ONCE_MILLISECONDS_MAX);
  slow.session.destroy();
  const events = await Events.open(gateway);
  await events.next();
  events.close();
});

test('streams_end_when_the_ledger_cannot_be_read', async () => {
  const events = await Events.open(gateway);
  await events.next();
  const moved = `${gateway.data}.moved`;
  fs.renameSync(gateway.data, moved);
  await waitFor(() => events.ended, 'the end', 6000);
  assert.equal(events.ended, 'whole');
  fs.renameSync(moved, gateway.data);
  await waitFor(async () => (await ask(gateway, '/s/stats')).status === 200, 'the ledger');
});

test('what_is_left_of_a_body_when_its_stream_ends_is_not_read_as_a_request', async () => {
  const hidden = 'GET /s/status.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  const sent = 'x'.repeat(1000);
  const raw = await RawConnection.open(gateway.port);
  raw.request('GET', '/s/events', { headers: { 'Content-Length': sent.length + hidden.length } }).write(sent);
  const head = await raw.readHead();
  assert.deepEqual([head.status, head.headers.connection], [200, 'close']);
  await raw.until((buffer) => buffer.indexOf('event: stats'));
  const moved = `${gateway.data}.moved`;
  fs.renameSync(gateway.data, moved);
  await raw.until((buffer) => buffer.indexOf('\r\n0\r\n\r\n'));
  fs.renameSync(moved, gateway.data);
  await sleep(3 * TICK_MILLISECONDS); // when a stream that is still visited would end again
  raw.write(hidden.repeat(2)); // twice: the first is the body
  await waitFor(() => raw.ended, 'the end of the connection');
  assert.ok(!raw.buffer.includes('HTTP/1.1 200'), 'an answer to the body');
  raw.socket.destroy();
  await waitFor(async () => (await ask(gateway, '/s/stats')).status === 200, 'the ledger');
});

test('a_stream_without_news_has_a_comment_every_15_seconds', async () => {
  const { after: milliseconds, events } = await waiting.comment;
  assert.ok(milliseconds >= QUIET_MILLISECONDS - 100, `after ${milliseconds} ms`);
  assert.equal(events, 1, 'what changes with the time alone is no news');
});

test('a_stream_whose_reader_takes_nothing_is_dropped_after_a_minute', async () => {
  const milliseconds = await waiting.stuck;
  assert.ok(milliseconds >= STUCK_MILLISECONDS - 100, `after ${milliseconds} ms`);
  assert.ok(milliseconds < STUCK_MILLISECONDS + 30_000, `after ${milliseconds} ms`);
});
