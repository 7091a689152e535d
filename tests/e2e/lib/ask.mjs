// One request to the gateway, and the shapes its answers must have: the offer, the
// problem document, the paid answer. A test says which; what belongs to each is checked
// here, once.

import assert from 'node:assert/strict';
import http from 'node:http';
import { decode } from './wallet.mjs';

const ANSWER_MILLISECONDS_MAX = 90_000; // longer than a test waits for what it is about

/** A pool of one connection, kept alive; destroy() it in the end. */
export const oneConnection = () => new http.Agent({ keepAlive: true, maxSockets: 1 });

/**
 * Sends one request on a connection of its own (or on that of `agent`): {status,
 * headers, body, json}. `payment` is one of wallet's; `headers` may hold arrays, for
 * lines that repeat, and wins. No redirect is followed. `localAddress` is whence.
 */
export function ask(gateway, path, options = {}) {
  const { method = 'GET', payment, headers, body, agent = false, localAddress } = options;
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1', port: gateway.port, method, path, agent, localAddress,
      headers: { ...payment?.headers, ...headers },
    });
    request.setTimeout(ANSWER_MILLISECONDS_MAX, () => request.destroy(new Error('no answer')));
    request.once('error', reject);
    request.once('response', (response) => collect(response).then(resolve, reject));
    request.end(body);
  });
}

async function collect(response) {
  const pieces = [];
  for await (const piece of response) pieces.push(piece);
  const body = Buffer.concat(pieces).toString('utf8');
  return answer(response.statusCode, response.headers, body);
}

/** An answer from its parts, however they came; `json` is read when asked for. */
export function answer(status, headers, body) {
  return { status, headers, body, get json() { return JSON.parse(body); } };
}

const shown = ({ status, headers, body }) => `${status} ${JSON.stringify(headers)} ${body}`;

/** Bought: the upstream's 200 with a receipt for this payment. */
export function isPaid(got, { message, dialect }) {
  assert.equal(got.status, 200, shown(got));
  const [name, other] = dialect === 'v2'
    ? ['payment-response', 'x-payment-response'] : ['x-payment-response', 'payment-response'];
  assert.ok(got.headers[name], `no ${name}: ${shown(got)}`);
  assert.equal(got.headers[other], undefined);
  const receipt = decode(got.headers[name]);
  assert.equal(receipt.success, true);
  assert.equal(receipt.payer.toLowerCase(), message.from.toLowerCase());
  assert.match(got.headers['cache-control'], /\bprivate\b/);
  assert.equal(got.headers['payment-required'], undefined);
}

/** Refused for good or for now, without an offer: it would ask for a second payment. */
export function isProblem(got, { status, code, field, retryAfter }) {
  assert.equal(got.status, status, shown(got));
  assert.equal(got.headers['content-type'], 'application/problem+json');
  assert.equal(got.headers['cache-control'], 'no-store');
  assert.equal(got.headers['payment-required'], undefined, 'an offer');
  assert.equal(got.json.accepts, undefined, 'an offer');
  assert.equal(got.json.type, 'about:blank');
  assert.equal(got.json.status, status);
  assert.equal(got.json.code, code, shown(got));
  assert.ok(got.json.title);
  assert.equal(got.json.field, field, shown(got));
  if (field !== undefined) assert.ok(got.json.expected, 'what is expected');
  assert.equal(got.headers['retry-after'], retryAfter);
}

/**
 * 402 with an offer for both generations, saying why: `reason` in the v2 header,
 * `reasonV1` in the v1 body. Gives {v2, v1}: what was offered.
 */
export function isOffer(got, { reason = 'Payment required', reasonV1 = 'X-PAYMENT header is required' } = {}) {
  assert.equal(got.status, 402, shown(got));
  assert.equal(got.headers['content-type'], 'application/json');
  assert.equal(got.headers['cache-control'], 'no-store');
  assert.equal(got.headers['payment-response'], undefined);
  assert.equal(got.headers['x-payment-response'], undefined);
  const [v2, v1] = [decode(got.headers['payment-required']), got.json];
  assert.equal(v2.x402Version, 2);
  assert.equal(v2.error, reason);
  assert.ok(v2.accepts.length > 0);
  assert.equal(v1.x402Version, 1);
  assert.equal(v1.error, reasonV1);
  return { v2, v1 };
}

/** This payment was used. */
export const isUsed = (got) => isProblem(got, { status: 400, code: 'nonce_already_used' });

/** This payment is being served. */
export const isInProgress = (got) =>
  isProblem(got, { status: 409, code: 'payment_in_progress', retryAfter: '1' });

/** One or the other: what a second presentation meets depends on when it comes. */
export const isRepeated = (got) => (got.status === 409 ? isInProgress(got) : isUsed(got));
