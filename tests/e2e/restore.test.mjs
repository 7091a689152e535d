// A backup and its restore, as docs/operations.md has them: what an old one means for money.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import { startChain } from './lib/chain.mjs';
import { startGateway } from './lib/gateway.mjs';
import { ROOT, temporaryFolder } from './lib/process.mjs';
import { settleOnce, settlerKey } from './lib/settler.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { newAccount, payment } from './lib/wallet.mjs';
import { checkBooks, delivered, payments } from './lib/x402.mjs';

const sqlite3 = (file, sql) => execFileSync('sqlite3', [file, sql], { encoding: 'utf8' }).trim();

describe('a ledger restored from a backup', () => {
  let upstream;
  let chain;
  let gateway;
  let key;
  let known; // as listed when the backup was made
  let later; // paid after the backup, settled before the loss
  const payer = newAccount();

  const buy = async (paid) => isPaid(await ask(gateway, '/api/x', { payment: paid }), paid);

  before(async () => {
    upstream = await startUpstream();
    chain = await startChain();
    key = await settlerKey(chain);
    await chain.mint(payer.address, '1');
    gateway = await startGateway({
      locations: `location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }`,
    });
    const ledger = path.join(gateway.data, 'ledger.db');
    const backup = path.join(temporaryFolder('backup'), 'ledger.db');
    for (let i = 0; i < 2; i++) await buy(await payment(payer));
    await delivered(gateway, payer.address, 2);
    known = await payments(gateway);
    sqlite3(ledger, `VACUUM INTO '${backup}'`);
    later = await payment(payer);
    await buy(later);
    await delivered(gateway, payer.address, 3);
    await settleOnce(gateway, chain, key);

    await gateway.stop();
    for (const suffix of ['', '-wal', '-shm']) fs.rmSync(ledger + suffix, { force: true });
    fs.copyFileSync(backup, ledger);
    assert.equal(sqlite3(ledger, 'PRAGMA journal_mode = WAL'), 'wal');
  });
  after(async () => {
    await gateway?.stop();
    await chain?.stop();
    await upstream?.stop();
  });

  test('has_what_was_sold_before_the_backup_under_the_same_receipts', async () => {
    assert.deepEqual(await payments(gateway), known);
    await checkBooks(gateway);
  });

  test('learns_from_the_chain_what_was_settled_since_and_nobody_pays_twice', async () => {
    const paid = await chain.balance(payer.address);
    await settleOnce(gateway, chain, key);
    const rows = await payments(gateway);
    assert.ok(rows.every((row) => ['settled', 'final'].includes(row.money)), JSON.stringify(rows));
    assert.equal(await chain.balance(payer.address), paid);
    await checkBooks(gateway, chain);
  });

  test('serves_a_payment_it_does_not_know_once_more_while_it_is_valid', async () => {
    await gateway.start();
    await buy(later);
    assert.equal((await ask(gateway, '/api/x', { payment: later })).status, 400, 'and once only');
  });

  test('refuses_it_after_the_wait_that_the_manual_names', async () => {
    const manual = fs.readFileSync(path.join(ROOT, 'docs/operations.md'), 'utf8');
    assert.match(manual, /six minutes after the loss/);
    gateway.setClock(360);
    const fresh = newAccount();
    const old = await payment(fresh);
    const { status, json } = await ask(gateway, '/api/x', { payment: old });
    assert.equal(status, 402);
    assert.match(JSON.stringify(json), /valid_before/);
  });
});
