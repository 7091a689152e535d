// Mixed traffic: callers of every kind, good and bad, at a steady rate. What each payment was
// presented for and what came back is kept, to be held against the ledger and the chain.

import { Caller } from '../e2e/lib/calls.mjs';
import { sleep, waitFor } from '../e2e/lib/process.mjs';
import { randomNumbers } from '../e2e/lib/random.mjs';
import { RawConnection } from '../e2e/lib/raw.mjs';
import { PRICE } from '../e2e/lib/shop.mjs';
import { DIALECTS, decode, payment, wire } from '../e2e/lib/wallet.mjs';

const UNDER_WAY_MAX = 150;
const REMEMBERED = 200; // sales that are presented again
const PATIENCE_MILLISECONDS = 20_000;
const IDLE_MILLISECONDS = 2500;

/** How often each kind of call is made, of all. */
const WEIGHTS = {
  free: 12, offer: 14, paid: 28, posted: 4, failing: 8, copies: 3, again: 9, malformed: 5,
  forged: 4, streamed: 3, aborted: 3, early: 2, upfront: 5, credit: 5, page: 6, receipt: 3,
  events: 1, stalled: 1, reader: 1,
};

const PAGES = ['/x402/status', '/stats', '/metrics', '/ready', '/health'];

const MALFORMED = [
  'not base64 at all!', wire('', 'null').value, wire('', '{"x402Version":2').value,
  wire('', '[]').value, wire('', '{"x402Version":3,"payload":{}}').value, '='.repeat(64),
  wire('', '['.repeat(4000)).value, wire('', '{"signature":"0x12","nonce":"0x34"}').value,
];

/** How an upstream fails. */
const FAILURES = ['do=status&n=500', 'do=status&n=404', 'do=reset', 'do=close',
  'do=truncate&framing=chunked&delay=5'];

const SETTLED_FIRST = ['upfront', 'credit'];

const wellFormed = (status) => status === 200;
const isRefusal = (status) => status === 400 || status === 402;

export class Traffic {
  /** `shop` has the places of stand.mjs; `rate` is calls a second. */
  constructor({ shop, seed, rate, payers }) {
    Object.assign(this, { shop, rate, payers, random: randomNumbers(seed) });
    this.kinds = Object.entries(WEIGHTS).flatMap(([kind, weight]) => Array(weight).fill(kind));
    this.callers = ['http1', 'http1', 'http2'].map((name) => new Caller(shop.gateway, name));
    this.sales = new Map(); // nonce to {paid, path, place, presented: []}
    this.recent = [];
    this.unserved = new Set(); // sales that may be owed
    this.receipts = [];
    this.counts = {}; // calls by kind
    this.answers = {}; // by "kind status"
    this.byWorker = new Map(); // pid to answers
    this.odd = []; // what no caller should see
    this.underWay = new Set();
    this.sinceKinds = 0;
  }

  get total() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  // ------------------------------------------------------------------------- the pace

  /** Calls for so long. */
  async run(milliseconds) {
    const end = Date.now() + milliseconds;
    const every = 1000 / this.rate;
    for (let next = Date.now(); next < end; next += every) {
      await sleep(Math.max(0, next - Date.now()));
      if (this.underWay.size < UNDER_WAY_MAX) this.begin(this.kinds[this.random(this.kinds.length)]);
    }
  }

  begin(kind) {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    const call = this[kind](kind).catch((error) => this.odd.push({ kind, error: error.stack }));
    this.underWay.add(call);
    call.finally(() => this.underWay.delete(call));
  }

  /** Until every call has its answer; then no connection is left. */
  async rest() {
    await waitFor(() => this.underWay.size === 0, 'the calls under way', 60_000);
    for (const caller of this.callers) caller.close();
  }

  // ------------------------------------------------------------------------ one request

  /** {status, headers, body, broken, from, to}: never throws, status 0 is no answer. */
  async ask(path, options = {}) {
    const caller = this.callers[this.random(this.callers.length)];
    const from = Date.now();
    const got = await caller.call(path, { within: PATIENCE_MILLISECONDS, ...options })
      .catch(() => ({ status: 0, headers: {}, body: '', broken: true }));
    return this.note({ ...got, from, protocol: caller.protocol });
  }

  note(got) {
    got.to = Date.now();
    got.worker = Number(got.headers['x-worker'] ?? 0);
    this.byWorker.set(got.worker, (this.byWorker.get(got.worker) ?? 0) + 1);
    return got;
  }

  /** Notes the answer, and whether a call of this kind may get it. */
  judge(kind, got, may) {
    const name = `${kind} ${got.broken ? 'broken' : got.status}`;
    this.answers[name] = (this.answers[name] ?? 0) + 1;
    if (!got.broken && may(got.status)) return;
    const { status, broken, from, to, protocol, worker } = got;
    this.odd.push({ kind, status, broken, from, to, protocol, worker, body: got.body.slice(0, 300) });
  }

  // ------------------------------------------------------------------------------ sales

  async newSale(place, query, options = {}) {
    const payer = this.payers[this.random(this.payers.length)];
    const dialect = DIALECTS[this.random(DIALECTS.length)];
    const paid = await payment(payer, {
      dialect, ...options, message: { to: this.shop.payee, value: PRICE, ...options.message },
    });
    const sale = { paid, place, path: `/${place}/x?${query}`, presented: [] };
    this.sales.set(paid.message.nonce, sale);
    return sale;
  }

  /** What came of one presentation; `left` when the caller went away by itself. */
  noteSale(sale, got, left = false) {
    sale.presented.push({
      status: got.status, whole: !got.broken && !left, left, from: got.from, to: got.to, worker: got.worker,
    });
    if (!got.broken && [200, 400, 402].includes(got.status)) this.unserved.delete(sale);
    else if (SETTLED_FIRST.includes(sale.place)) this.unserved.add(sale);
    this.recent[this.random(REMEMBERED)] = sale;
    const name = got.headers['payment-response'] ?? got.headers['x-payment-response'];
    if (got.status === 200 && name && this.receipts.length < REMEMBERED) {
      this.receipts.push(new URL(decode(name).extra.receipt).pathname);
    }
    return got;
  }

  async present(sale, options = {}, path = sale.path) {
    return this.noteSale(sale, await this.ask(path, { paid: sale.paid, ...options }));
  }

  /** Again, with an upstream that does well. */
  presentWell(sale) {
    return this.present(sale, {}, `/${sale.place}/x?do=ok`);
  }

  async sell(kind, place, query, may = wellFormed, options = {}) {
    const got = await this.present(await this.newSale(place, query), options);
    this.judge(kind, got, may);
  }

  // ------------------------------------------------------------------------------ kinds

  async free(kind) {
    this.judge(kind, await this.ask('/free/x?do=ok'), wellFormed);
  }

  async offer(kind) {
    this.judge(kind, await this.ask('/paid/x'), (status) => status === 402);
  }

  paid(kind) {
    return this.sell(kind, 'paid', `do=ok&delay=${this.random(3) * 5}`);
  }

  posted(kind) {
    return this.sell(kind, 'paid', 'do=echo', wellFormed, {
      method: 'POST', body: 'x'.repeat(this.random(20_000)),
    });
  }

  /** Not charged, so it may be presented again; half of them are, and buy the call. */
  async failing(kind) {
    const sale = await this.newSale('paid', FAILURES[this.random(FAILURES.length)]);
    const got = await this.present(sale);
    const cut = sale.path.includes('truncate') && got.broken;
    if (!cut) this.judge(kind, got, (status) => [500, 404, 502].includes(status));
    if (!this.random(2)) return;
    this.judge('mended', await this.presentWell(sale), (status) => [200, 402, 409].includes(status));
  }

  /** Three of one payment at once: at most one is served. */
  async copies(kind) {
    const sale = await this.newSale('paid', 'do=ok&delay=5');
    const all = await Promise.all([1, 2, 3].map(() => this.present(sale)));
    for (const got of all) this.judge(kind, got, (status) => [200, 400, 409].includes(status));
  }

  /** One of those before, once more: owed ones first. */
  async again(kind) {
    const owed = [...this.unserved];
    const sale = owed.length && this.random(2)
      ? owed[this.random(owed.length)] : this.recent[this.random(REMEMBERED)];
    if (!sale) return;
    this.judge(kind, await this.presentWell(sale), (status) => [200, 400, 402, 409, 503].includes(status));
  }

  async malformed(kind) {
    const value = MALFORMED[this.random(MALFORMED.length)];
    const headers = { [this.random(2) ? 'X-PAYMENT' : 'PAYMENT-SIGNATURE']: value };
    this.judge(kind, await this.ask('/paid/x', { headers }), isRefusal);
  }

  /** Signed by another, or altered: refused, and in no ledger. */
  async forged(kind) {
    const payer = this.payers[0];
    const paid = await payment(payer, {
      message: { to: this.shop.payee, value: PRICE },
      ...(this.random(2) ? { signer: this.payers[1] } : { edit: (p) => { p.payload.authorization.value = '1001'; } }),
    });
    this.judge(kind, await this.ask('/paid/x', { paid }), isRefusal);
  }

  streamed(kind) {
    return this.sell(kind, 'stream', 'do=sse&events=10&every=20');
  }

  /** Leaves in the midst of a stream: charged, unless a worker could not tell. */
  aborted() {
    return this.leave('stream', 'do=slow&pieces=60&size=2000&every=30', async (connection) => {
      const head = await connection.readHead();
      if (head.status === 200) await connection.exactly(1000);
      return head;
    });
  }

  /** Leaves before the first byte: not charged. */
  early() {
    return this.leave('paid', 'do=ok&delay=500', () => sleep(100));
  }

  async leave(place, query, read) {
    const sale = await this.newSale(place, query);
    const from = Date.now();
    let head;
    try {
      const connection = await RawConnection.open(this.shop.gateway.port);
      connection.request('GET', sale.path, { headers: sale.paid.headers });
      head = await read(connection);
      connection.abort();
    } catch {
      head = undefined; // its worker died
    }
    this.noteSale(sale, this.note({ status: 0, headers: {}, ...head, from, broken: true }), true);
  }

  upfront(kind) {
    return this.sell(kind, 'upfront', this.random(5) ? 'do=ok' : 'do=status&n=500',
      (status) => [200, 500, 503].includes(status));
  }

  credit(kind) {
    return this.sell(kind, 'credit', 'do=ok', (status) => [200, 503].includes(status));
  }

  async page(kind) {
    const path = PAGES[this.random(PAGES.length)];
    this.judge(kind, await this.ask(path), (status) => status === 200 || path === '/ready');
  }

  async receipt(kind) {
    if (!this.receipts.length) return;
    const path = this.receipts[this.random(this.receipts.length)];
    this.judge(kind, await this.ask(path), wellFormed);
  }

  /** Looks at the live figures for a while. */
  async events() {
    await this.idle((connection) => connection.request('GET', '/x402/status/events'));
  }

  /** Half a request, and silence. */
  async stalled() {
    await this.idle((connection) => connection.write('GET /paid/x HTTP/1.1\r\nHost: x\r\nX-PAY'));
  }

  async idle(say) {
    const connection = await RawConnection.open(this.shop.gateway.port).catch(() => null);
    if (!connection) return;
    say(connection);
    await sleep(IDLE_MILLISECONDS);
    connection.abort();
  }

  /** Reads the head of a long answer, nothing for a while, then the rest. */
  async reader(kind) {
    const sale = await this.newSale('stream', 'do=ok&size=500000');
    const got = { status: 0, headers: {}, body: '', broken: true, from: Date.now() };
    try {
      const connection = await RawConnection.open(this.shop.gateway.port);
      connection.request('GET', sale.path, { headers: sale.paid.headers });
      Object.assign(got, await connection.readHead());
      connection.socket.pause();
      await sleep(IDLE_MILLISECONDS);
      connection.socket.resume();
      await connection.readBody(got, 'GET');
      got.broken = false;
      connection.end();
    } catch {
      got.broken = true; // its worker died
    }
    this.judge(kind, this.noteSale(sale, this.note(got)), wellFormed);
  }
}
