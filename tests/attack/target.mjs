// A server under attack, known by its URL: what it asks for, payments that it takes, and
// what its upstream executed, where somebody counts that.

import net from 'node:net';
import { ask } from '../e2e/lib/ask.mjs';
import { attachChain } from '../e2e/lib/chain.mjs';
import { RawConnection } from '../e2e/lib/raw.mjs';
import { decode, newAccount, nowSeconds, payment } from '../e2e/lib/wallet.mjs';

const LOOPBACK = new Set(['127.0.0.1', 'localhost']);
const EXCHANGE_MILLISECONDS_MAX = 5_000;
const QUIET_MILLISECONDS = 250; // an answer that pauses for so long is over

export const isServed = ({ status }) => status >= 200 && status < 300;

/** What was seen, and what of it is wrong: "402 x5; served: a, b". */
export const noting = (seen, what, wrong) => (wrong.length ? `${seen}; ${what}: ${wrong.join(', ')}` : seen);

/** How often each status came: "200 x1, 409 x49". */
export function tally(answers) {
  const counts = new Map();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([status, n]) => `${status} x${n}`).join(', ');
}

export class Target {
  /** `options` are those of run.mjs, by their names. */
  constructor(url, options = {}) {
    const { hostname, port, pathname } = new URL(url);
    if (!LOOPBACK.has(hostname)) throw new Error(`${hostname} is not this machine: attacks stay on it`);
    Object.assign(this, { port: Number(port || 80), path: pathname, options, calls: 0, clients: 0 });
    this.run = Math.random().toString(36).slice(2, 8); // the ids of two runs differ
    this.chain = options.chain ? attachChain(Number(options.chain)) : null;
  }

  has(capability) {
    return this.options[capability] !== undefined && this.options[capability] !== false;
  }

  /** An address of this machine that has not been used: what it does is its own fault only. */
  client() {
    this.clients++;
    return `127.1.${this.clients >> 8}.${this.clients & 255}`;
  }

  /** A call of its own, at `path`: {id, path}. `more` is the rest of its query. */
  call(path = this.path, more = '') {
    const id = `${this.run}${++this.calls}`;
    return { id, path: `${path}?id=${id}${more}` };
  }

  /** One request from a new address. */
  send(call, options = {}) {
    return ask(this, call.path, { localAddress: this.client(), ...options });
  }

  // ------------------------------------------------------------------------- payments

  /** What is asked for at a path: the first offer that can be met, as v2 writes it. */
  async offer(path = this.path) {
    const got = await this.send(this.call(path));
    const header = got.headers['payment-required'];
    if (got.status !== 402 || !header) throw new Error(`${path} is not sold: ${got.status}`);
    const one = decode(header).accepts.find((each) => each.scheme === 'exact'
      && each.network.startsWith('eip155:') && !each.extra?.assetTransferMethod);
    if (!one) throw new Error(`${path} offers nothing exact on an EVM network`);
    return one;
  }

  async learn() {
    this.asked = await this.offer();
    const { network, asset, extra } = this.asked;
    this.domain = {
      name: extra.name, version: extra.version, chainId: Number(network.split(':')[1]),
      verifyingContract: asset,
    };
  }

  get price() {
    return BigInt(this.asked.amount);
  }

  /** A payer nobody knows; with a chain it has `amount` units of money. */
  async payer(amount = 1_000_000n) {
    const payer = newAccount();
    if (this.chain) await this.chain.mint(payer.address, amount);
    return payer;
  }

  /** A payment that buys a call, but for what `options` (those of payment()) say. */
  sign(payer, { message, domain, accepted, asked = this.asked, ...rest } = {}) {
    return payment(payer, {
      ...rest,
      message: {
        to: asked.payTo, value: BigInt(asked.amount),
        validBefore: BigInt(nowSeconds() + asked.maxTimeoutSeconds), ...message,
      },
      domain: { ...this.domain, ...domain },
      accepted: { ...asked, ...accepted },
    });
  }

  async newPayment(options) {
    return this.sign(await this.payer(), options);
  }

  newPayments(count, options) {
    return Promise.all(Array.from({ length: count }, () => this.newPayment(options)));
  }

  /** Pays for a call as everybody should be able to; throws when it is not served. */
  async buy(call = this.call(), options = {}) {
    const paid = await this.newPayment();
    const got = await this.send(call, { payment: paid, ...options });
    if (!isServed(got)) throw new Error(`an honest payment got ${got.status}: ${got.body.slice(0, 200)}`);
    return got;
  }

  // ------------------------------------------------------------------------ executions

  /** What the upstream executed under an id: [{method, url, headers}], null if nobody counts. */
  async executions(id) {
    if (!this.has('counter')) return null;
    const answer = await fetch(`${this.options.counter}?id=${encodeURIComponent(id)}`);
    return answer.json();
  }

  /** How often a call was executed; by its answers where nobody counts. */
  async executed({ id }, answers = []) {
    return (await this.executions(id))?.length ?? answers.filter(isServed).length;
  }

  // ------------------------------------------------------------------------ raw bytes

  raw(localAddress = this.client()) {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port: this.port, host: '127.0.0.1', localAddress });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  /**
   * Writes bytes (text as latin1) and reads what comes until it ends or pauses:
   * {statuses, text, status}; the status is the last one, 0 when there was none.
   */
  async exchange(bytes, within = EXCHANGE_MILLISECONDS_MAX) {
    const connection = await this.raw();
    connection.write(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'latin1'));
    await new Promise((resolve) => {
      const patience = setTimeout(resolve, within);
      let quiet;
      connection.socket.on('data', () => {
        clearTimeout(quiet);
        quiet = setTimeout(resolve, QUIET_MILLISECONDS);
      });
      connection.closed().then(() => { clearTimeout(patience); resolve(); });
    });
    const text = connection.buffer.toString('latin1');
    connection.socket.destroy();
    const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map((found) => Number(found[1]));
    return { statuses, text, status: statuses.at(-1) ?? 0 };
  }
}
