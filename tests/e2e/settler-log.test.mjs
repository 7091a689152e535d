// What the settler says: its log in JSON, in which one id follows a payment from its caller
// through the access log to the block, and what it lets the ledger know of itself.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import { startChain } from './lib/chain.mjs';
import { startNodeProxy } from './lib/node-proxy.mjs';
import { waitFor } from './lib/process.mjs';
import { openFolder, startServe } from './lib/serve.mjs';
import { settlerKey } from './lib/settler.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { decode, newAccount, payment } from './lib/wallet.mjs';
import { payments, x402 } from './lib/x402.mjs';

const closing = [];
let chain;
let node;
let key;
let gateway;
let accessLog;

/** Stops it at the end, the last one first. */
function opened(thing) {
  closing.unshift(() => thing.stop());
  return thing;
}

before(async () => {
  chain = opened(await startChain());
  node = opened(await startNodeProxy(chain));
  key = await settlerKey(chain);
  const upstream = opened(await startUpstream());
  const folder = openFolder('settler-log');
  accessLog = path.join(folder, 'access.json');
  gateway = opened(await startServe(upstream, {
    folder,
    args: ['--rpc', node.url, '--settler-key', key.file, '--log-format', 'json',
      '--access-log', accessLog],
  }));
});
after(async () => {
  for (const step of closing) await step().catch(() => {});
});

const parsed = (text) => text.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));

/** What the settler has said so far. */
const events = () => parsed(gateway.log());

/** The first event there is, or will be, for which a test holds. */
const eventOf = (test_, what, within = 30_000) =>
  waitFor(() => events().find(test_), `an event: ${what}`, within);

const statsOf = async () => (await ask(gateway, '/x402/stats')).json;

/** The figures once a test holds for the one settler there is. */
const settlerIs = (test_, what, within = 30_000) => waitFor(async () => {
  const { settlers } = await statsOf();
  return settlers.length === 1 && test_(settlers[0]) && settlers[0];
}, what, within, 100);

const isReady = (status, what) => waitFor(async () => {
  const got = await ask(gateway, '/x402/ready');
  return got.status === status && got.json;
}, what, 20_000, 100);

/** Somebody with money buys a call. */
async function buy(where) {
  const payer = newAccount();
  await chain.mint(payer.address, '1');
  const paid = await payment(payer);
  const got = await ask(gateway, where, { payment: paid });
  isPaid(got, paid);
  return { payer, got };
}

let receipt; // of the first call sold

test('one_id_follows_a_payment_through_the_answer_the_logs_and_the_listing', async () => {
  const { payer, got } = await buy('/followed');
  const line = await waitFor(() => parsed(fs.readFileSync(accessLog, 'utf8'))
    .find(({ uri }) => uri === '/followed'), 'the line of the access log');
  ({ receipt } = line);
  assert.match(receipt, /^[\w-]{22}$/);
  assert.ok(JSON.stringify(decode(got.headers['payment-response'])).includes(receipt));

  const settled = await eventOf((one) => one.event === 'settled' && one.receipts.includes(receipt), 'settled');
  const mine = events().filter((one) => one.receipts?.includes(receipt));
  assert.deepEqual(mine.map((one) => one.event), ['submitted', 'settled']);
  assert.equal(mine[0].transaction, settled.transaction);

  const [row] = await payments(gateway, '--payer', payer.address);
  assert.equal(row.receipt, receipt);
  assert.deepEqual(settled.payments, [row.id]);
  assert.equal(settled.transaction, row.transaction);
});

test('an_event_says_what_when_where_how_much_and_in_which_block', async () => {
  const settled = events().find((one) => one.event === 'settled');
  const block = Number((await chain.receipt(settled.transaction)).blockNumber);
  const { time, message, payments: ids, ...rest } = settled;
  assert.deepEqual(rest, {
    level: 'info', event: 'settled', chain: 'eip155:84532', network: 'base-sepolia', count: 1,
    receipts: [receipt], value: '1000', transaction: settled.transaction, block,
  });
  assert.equal(new Date(time).toISOString(), time);
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000);
  assert.ok(message.startsWith(`settled payment ${ids[0]} (receipt ${receipt}): 0.001 USDC from 0x`), message);
});

test('every_line_of_the_settler_is_an_event_with_a_level', () => {
  const all = events();
  assert.equal(all[0].event, 'started');
  for (const one of all) {
    assert.ok(['info', 'warn', 'error'].includes(one.level), one.message);
    assert.ok(one.event && one.time && one.message, JSON.stringify(one));
  }
  assert.doesNotMatch(gateway.log(), /x402 settle:/, 'none as text');
});

test('the_figures_have_the_settler_and_how_long_settling_takes', async () => {
  const settler = await settlerIs((one) => one.latestBlock > 0 && one.heardSeconds <= 10, 'the settler');
  assert.equal(settler.troubled, false);
  assert.equal(settler.remote, false);
  const { measures } = await waitFor(async () => {
    const stats = await statsOf();
    return stats.measures.settle.count >= 1 && stats;
  }, 'the time to settle');
  assert.ok(measures.settle.p50 > 0 && measures.settle.p50 < 30_000_000, `${measures.settle.p50}`);
});

test('a_node_that_is_lost_is_the_trouble_until_it_is_back', async () => {
  await node.stop();
  const { payer } = await buy('/while-the-node-is-down');
  const trouble = await eventOf((one) => one.event === 'trouble', 'trouble');
  assert.equal(trouble.level, 'error');
  assert.equal(trouble.network, 'base-sepolia');
  assert.ok(trouble.message.endsWith(trouble.reason), trouble.message);
  const last = (await settlerIs((one) => one.troubled, 'the trouble')).latestBlock;
  assert.ok(last > 0, 'the block last seen stays');

  await node.listen();
  await settlerIs((one) => !one.troubled && one.latestBlock >= last, 'no trouble', 60_000);
  await eventOf((one) => one.event === 'recovered', 'recovered');
  const [row] = await payments(gateway, '--payer', payer.address);
  await eventOf((one) => one.event === 'settled' && one.receipts.includes(row.receipt), 'settled');
});

test('a_settler_that_stands_still_makes_the_gateway_unready_until_it_goes_on', async () => {
  await isReady(200, 'ready');
  process.kill(gateway.settler, 'SIGSTOP');
  try {
    gateway.setClock(120);
    const { why } = await isReady(503, 'not ready');
    assert.match(why, /no settler of base-sepolia has been heard from for \d+ s/);
  } finally {
    process.kill(gateway.settler, 'SIGCONT');
  }
  await isReady(200, 'ready again');
});

test('a_format_that_is_none_is_refused', async () => {
  const { code, stderr } = await x402(['settle', '--log-format', 'xml', '--rpc',
    `base-sepolia=${chain.url}`, '--key', key.file], { gateway });
  assert.equal(code, 2);
  assert.match(stderr, /--log-format: write text or json/);
});
