// The command line: options, and what is read from a ledger with real payments in it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import { startChain } from './lib/chain.mjs';
import { startGateway } from './lib/gateway.mjs';
import { ROOT, start, stop, temporaryFolder, waitFor } from './lib/process.mjs';
import { settleOnce, settlerKey } from './lib/settler.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { PAYEE, newAccount, payment } from './lib/wallet.mjs';
import { X402, delivered, payments, stats, x402, x402Output } from './lib/x402.mjs';

const COMMANDS = ['serve', 'settle', 'pay', 'wallet', 'stats', 'payments', 'contract', 'check'];

/** The --flags a text names. */
const flagsIn = (text) => new Set(text.match(/(?<![\w-])--[a-z][a-z-]*/g));

describe('usage', () => {
  test('the_help_lists_every_command_and_each_has_examples', async () => {
    const help = await x402Output(['--help']);
    for (const command of COMMANDS) {
      assert.match(help, new RegExp(`^  ${command} `, 'm'));
      const text = await x402Output([command, '--help']);
      assert.match(text, new RegExp(`^usage: x402 ${command} `));
      assert.match(text, new RegExp(`^ .*x402 ${command} `, 'm'), 'no example');
      assert.ok(text.split('\n').every((line) => line.length <= 84), 'a long line');
      assert.equal(await x402Output(['help', command]), text);
    }
  });

  test('the_version_is_printed', async () => {
    assert.match(await x402Output(['--version']), /^x402 \d+\.\d+\.\d+\n$/);
  });

  test('the_manual_names_the_flags_there_are_and_no_others', async () => {
    const manual = fs.readFileSync(path.join(ROOT, 'docs/command-line.md'), 'utf8');
    for (const command of COMMANDS) {
      const section = manual.split(/^## /m).find((part) => part.startsWith(`x402 ${command}\n`));
      assert.ok(section, `no section of ${command}`);
      const described = flagsIn(section);
      const offered = flagsIn(await x402Output([command, '--help']));
      assert.deepEqual([...described].sort(), [...offered].sort(), command);
    }
  });

  const wrong = [
    [[], /usage: x402 COMMAND/],
    [['sreve'], /no command 'sreve': did you mean 'serve'\?/],
    [['--data', 'x'], /the command comes first/],
    [['stats', '--jsn'], /^x402 stats: no option --jsn: did you mean --json\?/],
    [['stats', 'extra'], /'extra' is one word too many/],
    [['payments', '--limit', '0'], /--limit: '0'/],
    [['payments', '--limit'], /--limit needs a value/],
    [['payments', '--status', 'settld'], /no status 'settld': did you mean 'settled'\?/],
    [['payments', '--money', 'deu'], /--money: no status 'deu': did you mean 'due'\?/],
    [['payments', '--since', 'monday'], /--since: 'monday': write 15m/],
    [['payments', '--network', 'bse'], /--network: no network 'bse'/],
    [['payments', '--payer', '0x12'], /--payer: '0x12' is not an address/],
    [['check', '--rpc', 'http://127.0.0.1'], /--rpc: 'http:\/\/127.0.0.1': write NETWORK=URL/],
    [['serve', '--upstream', 'http://a', '--pay-to', PAYEE], /--price is missing/],
  ];
  for (const [args, message] of wrong) {
    test(`wrong_usage_exits_with_2: x402 ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await x402(args);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, message);
    });
  }

  for (const command of ['stats', 'payments', 'check']) {
    test(`${command}_of_no_ledger_fails_and_says_so`, async () => {
      const data = path.join(temporaryFolder('none'), 'nowhere');
      const { code, stdout, stderr } = await x402([command, '--data', data]);
      assert.equal(code, 1);
      assert.match(stdout + stderr, /cannot open ledger '.*nowhere\/ledger\.db': /);
      assert.ok(!fs.existsSync(data), 'it was made');
    });
  }

  test('output_that_cannot_be_written_is_a_failure', async () => {
    const full = fs.openSync('/dev/full', 'w');
    const { spawnSync } = await import('node:child_process');
    const { status, stderr } = spawnSync(X402, ['--help'], { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
    fs.closeSync(full);
    assert.equal(status, 1);
    assert.match(stderr, /cannot write the output: No space left on device/);
  });
});

describe('a ledger', () => {
  let upstream;
  let chain;
  let gateway;
  const [rich, poor] = [newAccount(), newAccount()];

  /** `x402 COMMAND` on this ledger: {code, stdout, stderr}. */
  const command = (...args) => x402([...args, '--data', gateway.data], { gateway });

  async function buy(payer, where = '/api/thing', options = {}) {
    const paid = await payment(payer, options);
    return [await ask(gateway, where, { payment: paid }), paid];
  }

  before(async () => {
    upstream = await startUpstream();
    chain = await startChain();
    gateway = await startGateway({
      locations: `location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }`,
    });
  });
  after(async () => {
    await gateway?.stop();
    await chain?.stop();
    await upstream?.stop();
  });

  test('that_is_empty_is_read_as_such', async () => {
    assert.equal((await command('stats')).stdout, 'nothing was sold yet\n');
    const { totals, earnings, week, tokens } = await stats(gateway);
    assert.deepEqual([totals, earnings, tokens], [[], [], []]);
    assert.deepEqual(week, { calls: 0, callers: 0, p50: null, p90: null, p99: null });
    assert.equal((await command('payments')).stdout, 'no payments\n');
    assert.deepEqual(await payments(gateway), []);
    assert.equal((await command('check', '--books')).code, 0);
  });

  test('that_sold_is_listed_newest_first', async () => {
    for (const dialect of ['v2', 'v1', 'flat']) {
      const [got, paid] = await buy(rich, '/api/thing', { dialect });
      isPaid(got, paid);
    }
    await buy(poor, '/api/thing?do=status&n=500');
    await delivered(gateway, rich.address, 3);
    await waitFor(async () => (await payments(gateway, '--status', 'void')).length === 1, 'a void');

    const rows = await payments(gateway);
    assert.deepEqual(rows.map((row) => row.id), [4, 3, 2, 1]);
    assert.deepEqual(rows.map((row) => row.dialect), ['v2', 'flat', 'v1', 'v2']);
    assert.deepEqual(rows.map((row) => row.delivery), ['void', 'delivered', 'delivered', 'delivered']);
    assert.deepEqual(rows.map((row) => row.payer), [poor, rich, rich, rich].map((a) => a.address));
  });

  test('tells_all_of_a_payment', async () => {
    const [got, paid] = await buy(rich, '/api/all');
    isPaid(got, paid);
    await delivered(gateway, rich.address, 4);
    const [row] = await payments(gateway, '--limit', '1');
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
    assert.match(row.createdAt, time);
    assert.match(row.updatedAt, time);
    assert.equal(Date.parse(row.validBefore) / 1000, Number(paid.message.validBefore));
    assert.match(row.receipt, /^[\w-]{22}$/);
    const { createdAt, updatedAt, validBefore, receipt, ...rest } = row;
    assert.deepEqual(rest, {
      id: 5, network: 'eip155:84532', networkName: 'base-sepolia', chainId: 84532,
      asset: chain.usdc, token: 'USDC', payer: rich.address, payee: PAYEE,
      value: '1000', amount: '0.001', nonce: paid.message.nonce,
      delivery: 'delivered', money: 'due', route: '/api/', dialect: 'v2', attempts: 1,
      transaction: null, explorer: null, block: null, gasUsed: null, feeWei: null, reason: null,
    });
  });

  test('is_filtered_by_payer_status_and_number', async () => {
    assert.equal((await payments(gateway, '--payer', poor.address)).length, 1);
    assert.equal((await payments(gateway, '--payer', newAccount().address)).length, 0);
    assert.equal((await payments(gateway, '--status', 'due')).length, 4);
    assert.equal((await payments(gateway, '--status', 'pending')).length, 0);
    assert.deepEqual((await payments(gateway, '--limit', '2')).map((row) => row.id), [5, 4]);
    const { stderr } = await command('payments', '--limit', '2');
    assert.match(stderr, /there may be more/);
  });

  test('is_filtered_by_route_network_time_and_money', async () => {
    const count = async (...args) => (await payments(gateway, ...args)).length;
    assert.equal(await count('--route', '/api/'), 5);
    assert.equal(await count('--route', '/api'), 0);
    assert.equal(await count('--network', 'base-sepolia'), 5);
    assert.equal(await count('--network', 'eip155:8453'), 0);
    assert.equal(await count('--since', '1h'), 5);
    assert.equal(await count('--since', '2100-01-01'), 0);
    assert.equal(await count('--status', 'delivered', '--money', 'due'), 4);
    assert.equal(await count('--status', 'void', '--money', 'due'), 0);
    assert.deepEqual((await payments(gateway, '--route', '/api/', '--limit', '2')).map((row) => row.id), [5, 4]);
  });

  test('shows_one_payment_by_its_receipt_wherever_it_was_read', async () => {
    const [row] = await payments(gateway, '--limit', '1');
    for (const name of [row.receipt, `http://api.example/x402/receipts/${row.receipt}`, row.id]) {
      const { code, stdout } = await command('payments', '--receipt', name);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^receipt ${row.receipt}, payment 5$`, 'm'));
      assert.match(stdout, /^ {2}amount +0\.001 USDC on base-sepolia \(play money\)$/m);
      assert.match(stdout, new RegExp(`^ {2}payer +${rich.address}$`, 'm'));
      assert.match(stdout, /^ {2}money +due: earned, waits to be sent to the chain$/m);
      assert.match(stdout, /^ {2}valid until +\S+Z, in \d+ (s|min|h)$/m);
    }
    assert.deepEqual(JSON.parse((await command('payments', '--receipt', row.receipt, '--json')).stdout), row);
    const wrong = await command('payments', '--receipt', 'AAAAAAAAAAAAAAAAAAAAAA');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /'A{22}' is no receipt of this ledger/);
  });

  test('is_shown_as_a_table_without_colour_to_a_file', async () => {
    const { stdout } = await command('payments');
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.length, 6);
    assert.match(lines[0], /^ +id +time +receipt +payer +amount +delivery +money +transaction +route$/);
    assert.match(lines[1], /^ +5  \S+Z  [\w-]{22}  0x[0-9a-fA-F]{4}…[0-9a-fA-F]{6} +0\.001  delivered +due +- +\/api\/$/);
    assert.ok(!stdout.includes('\u001b'));
    assert.equal(new Set(lines.map((line) => line.indexOf('0.001') + 5).slice(1)).size, 1, 'unaligned');
  });

  test('has_its_sums', async () => {
    const { totals: [total] } = await stats(gateway);
    const sum = (count) => ({ count, value: String(count * 1000), amount: count ? `0.00${count}` : '0' });
    assert.equal(total.network, 'eip155:84532');
    assert.deepEqual(total.admitted, sum(5));
    assert.deepEqual(total.delivery.delivered, sum(4));
    assert.deepEqual(total.delivery.void, sum(1));
    assert.deepEqual(total.money.due, sum(4));
    assert.deepEqual(total.money.settled, sum(0));
    assert.equal(total.payers, 2);
    assert.equal(Date.parse(total.oldestDueAt) / 1000, total.oldestDueSeconds);
    const { stdout } = await command('stats');
    assert.match(stdout, /^USDC on base-sepolia \(play money\)$/m);
    assert.match(stdout, /^ {2}admitted +5 +0\.005$/m);
    assert.match(stdout, /^ {2}due +4 +0\.004$/m);
    assert.match(stdout, /^ {2}payers +2$/m);
    assert.match(stdout, /^ {2}oldest due +\d+ s$/m);
  });

  test('has_the_figures_of_today_and_the_week', async () => {
    const { week, tokens: [token], routes } = await waitFor(async () => {
      const got = await stats(gateway);
      return got.week.calls === 4 && got;
    }, 'the counts of the workers');
    assert.ok(week.p50 > 0 && week.p50 <= week.p99);
    assert.equal(token.revenue, '4000');
    assert.deepEqual(routes.map((route) => [route.route, route.calls]), [['/api/', 4]]);
    const { stdout } = await command('stats');
    assert.match(stdout, /^Sold +today +7 days +USDC on base-sepolia \(play money\)$/m);
    assert.match(stdout, /^ {2}calls +4 +4$/m);
    assert.match(stdout, /^ {2}revenue +0\.004 +0\.004$/m);
    assert.match(stdout, /^ {2}call, paid +[\d.]+ (us|ms|s) +[\d.]+ (us|ms|s) +[\d.]+ (us|ms|s) +4$/m);
    assert.ok(!stdout.includes('\u001b'));
  });

  test('says_what_is_wrong_and_what_to_do_first', async () => {
    const { stdout } = await command('stats');
    assert.match(stdout, /^Trouble\n {2}4 payments wait on base-sepolia, and no settler was heard from for 60 s\n {4}start `x402 settle`/);
  });

  test('followed_prints_a_line_when_something_changed_and_no_other', async () => {
    const log = path.join(temporaryFolder('follow'), 'log');
    const follower = start(X402, ['stats', '--follow', '--data', gateway.data],
      { log, env: gateway.environment });
    const lines = () => fs.readFileSync(log, 'utf8').split('\n').filter(Boolean);
    await waitFor(() => lines().length === 1, 'the first line');
    assert.match(lines()[0], /^\S+Z {2}base-sepolia: today 4 calls, 0\.004 earned, 4 due for \d+ s {2}p50 /);
    await stop(follower);
  });

  test('is_followed_payment_by_payment_once_the_outcome_is_known', async () => {
    const log = path.join(temporaryFolder('follow'), 'log');
    const follower = start(X402, ['payments', '--follow', '--json', '--limit', '1', '--data', gateway.data],
      { log, env: gateway.environment });
    const seen = () => fs.readFileSync(log, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
    await waitFor(() => seen().length === 1, 'the last one');
    const held = buy(poor, '/api/held?do=hold&id=held');
    await waitFor(() => upstream.count('held') === 1, 'the call');
    await buy(poor, '/api/quick');
    await waitFor(() => seen().some((row) => row.id === 7), 'the quick one');
    assert.ok(!seen().some((row) => row.id === 6), 'shown before its outcome');
    upstream.release('held');
    await held;
    await waitFor(() => seen().length === 3, 'the held one');
    assert.deepEqual(seen().map((row) => [row.id, row.delivery]), [[5, 'delivered'], [7, 'delivered'], [6, 'delivered']]);
    await stop(follower);
  });

  describe('and the chain', () => {
    let key;
    let snapshot;
    let follower;
    let changes;
    const check = (rpc, ...args) => command('check', '--books', '--rpc', rpc, ...args);

    before(async () => {
      key = await settlerKey(chain);
      await chain.mint(rich.address, '1');
      await chain.mint(poor.address, '1');
      snapshot = await chain.rpc('evm_snapshot');
      const log = path.join(temporaryFolder('follow'), 'log');
      follower = start(X402, ['payments', '--follow', '--json', '--data', gateway.data],
        { log, env: gateway.environment });
      changes = () => fs.readFileSync(log, 'utf8').split('\n').filter(Boolean)
        .map((line) => JSON.parse(line)).filter((row) => row.id === 7).map((row) => row.money);
      await waitFor(() => changes().length === 1, 'what was there');
      await settleOnce(gateway, chain, key);
    });

    test('each_change_of_a_payment_is_followed', async () => {
      await waitFor(() => ['settled', 'final'].includes(changes().at(-1)), 'the settlement');
      assert.equal(changes()[0], 'due');
      assert.equal(new Set(changes()).size, changes().length, 'the same twice');
      await stop(follower);
    });

    test('agree_after_settlement', async () => {
      const { code, stdout } = await check(`base-sepolia=${chain.url}`);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^ok {4}ledger /m);
      assert.match(stdout, /^ok {4}books /m);
      assert.match(stdout, /^ok {4}base-sepolia +6 payments moved their money/m);
      assert.match(stdout, /^ok {4}base-sepolia +1 payments that were not charged/m);
      assert.ok(!/FAIL|note {2}payment/.test(stdout));
      const found = JSON.parse((await check(`eip155:84532=${chain.url}`, '--json')).stdout);
      assert.equal(found.ok, true);
      assert.ok(found.findings.every((finding) => finding.result !== 'fail'));
    });

    test('what_a_route_earned_and_cost_is_what_the_chain_says', async () => {
      const rows = (await payments(gateway)).filter((row) => row.transaction);
      const hashes = new Set(rows.map((row) => row.transaction));
      let fees = 0n;
      for (const hash of hashes) {
        const { gasUsed, effectiveGasPrice } = await chain.receipt(hash);
        fees += BigInt(gasUsed) * BigInt(effectiveGasPrice);
      }
      const { earnings } = await stats(gateway);
      assert.equal(earnings.length, 1, 'one route, one day');
      const [earned] = earnings;
      assert.equal(earned.route, '/api/');
      assert.equal(earned.calls, rows.length);
      assert.equal(earned.value, String(1000 * rows.length));
      assert.equal(BigInt(earned.feeWei), fees);
      assert.equal(earned.revenueUsd, String(rows.length / 1000));
      const dollars = Number(fees) * 3000 / 1e18;
      assert.ok(Math.abs(Number(earned.gasUsd) / dollars - 1) < 0.01, earned.gasUsd);
      const margin = rows.length / 1000 - dollars;
      assert.ok(Math.abs(Number(earned.marginUsd) / margin - 1) < 0.01, earned.marginUsd);
      const { stdout } = await command('stats', '--ether-usd', '1500');
      assert.match(stdout, /ether at \$1500/);
      assert.match(stdout, /^ {2}\d{4}-\d\d-\d\d {2}base-sepolia +6 +0 +0\.006 /m);
    });

    test('what_a_price_costs_to_settle_is_told_with_where_it_loses_money', async () => {
      const conf = path.join(temporaryFolder('conf'), 'nginx.conf');
      fs.writeFileSync(conf, `http { server {
        location /cheap { x402_price 0.05c; } location /dear { x402_price 20; }
        location /free { x402_price off; } } }`);
      const { code, stdout } = await command('check', '--rpc', `base-sepolia=${chain.url}`,
        '--conf', conf, '--price', '0.001', '--ether-usd', '3000');
      assert.equal(code, 0, stdout);
      const gwei = Number(/gas costs ([\d.]+) gwei/.exec(stdout)[1]);
      const told = (where) => new RegExp(`^(ok|note) +${where} +\\$([\\d.]+) a call( loses money)?: `
        + 'settling costs \\$([\\d.]+) singly and \\$([\\d.]+) batched; it loses money above '
        + '([\\d.]+) gwei singly, ([\\d.]+) batched', 'm').exec(stdout);
      for (const [where, price] of [['/cheap', 0.0005], ['/dear', 20], ['--price', 0.001]]) {
        const [, result, usd, loses, single, batched, singleGwei] = told(where);
        assert.equal(Number(usd), price);
        assert.ok(Math.abs(Number(single) / (86_000 * gwei * 3000 / 1e9) - 1) < 0.02, stdout);
        assert.ok(Number(batched) < Number(single) * 0.6);
        assert.ok(Math.abs(Number(singleGwei) * 86_000 * 3000 / 1e9 / price - 1) < 0.02, stdout);
        assert.equal(Boolean(loses), Number(single) >= price, 'without the contract: singly');
        assert.equal(result, loses ? 'note' : 'ok');
      }
      assert.ok(!stdout.includes('/free'));
      assert.match(stdout, /x402 contract deploy/);
    });

    test('a_configuration_that_cannot_be_read_is_a_failure', async () => {
      const { code, stdout } = await command('check', '--rpc', `base-sepolia=${chain.url}`,
        '--conf', '/nowhere/nginx.conf');
      assert.equal(code, 1);
      assert.match(stdout, /^FAIL {2}prices +cannot read '\/nowhere\/nginx\.conf': No such file/m);
    });

    test('name_the_transaction_and_what_it_cost', async () => {
      for (const row of await payments(gateway, '--payer', rich.address)) {
        const receipt = await chain.receipt(row.transaction);
        assert.equal(row.block, Number(receipt.blockNumber));
        assert.ok(row.gasUsed > 21_000);
        assert.ok(BigInt(row.feeWei) > 0n);
        assert.ok(['settled', 'final'].includes(row.money));
      }
    });

    test('an_authorization_that_was_released_and_used_all_the_same_is_noted', async () => {
      const [, paid] = await buy(poor, '/api/thing?do=status&n=500');
      await waitFor(async () => (await payments(gateway, '--status', 'void')).length === 2, 'a void');
      const { from, to, value, validAfter, validBefore, nonce } = paid.message;
      const [r, s, v] = [paid.signature.slice(0, 66), `0x${paid.signature.slice(66, 130)}`, Number(`0x${paid.signature.slice(130)}`)];
      const receipt = await chain.send('transferWithAuthorization', from, to, value, validAfter, validBefore, nonce, v, r, s);
      assert.equal(receipt.status, '0x1');
      const { code, stdout } = await check(`base-sepolia=${chain.url}`);
      assert.equal(code, 0);
      assert.match(stdout, /^note {2}payment 8 +not charged by this ledger \(void\)/m);
    });

    test('a_node_of_another_chain_or_none_is_a_failure', async () => {
      for (const books of [['--books'], []]) {
        const other = await command('check', ...books, '--rpc', `base=${chain.url}`);
        assert.equal(other.code, 1);
        assert.match(other.stdout, /^FAIL {2}base +the node is of another chain/m);
      }
      const none = await check('base-sepolia=http://127.0.0.1:1');
      assert.equal(none.code, 1);
      assert.match(none.stdout, /^FAIL {2}base-sepolia /m);
    });

    test('a_chain_that_lost_the_transactions_is_found_out', async () => {
      await chain.rpc('evm_revert', snapshot);
      const { code, stdout } = await check(`base-sepolia=${chain.url}`);
      assert.equal(code, 1);
      assert.match(stdout, /^FAIL {2}payment 1 +its transaction is not on the chain/m);
      assert.match(stdout, /^ok {4}books /m);
      const found = JSON.parse((await check(`base-sepolia=${chain.url}`, '--json')).stdout);
      assert.equal(found.ok, false);
      assert.ok(found.findings.some((finding) => finding.result === 'fail' && finding.subject === 'payment 1'));
    });
  });
});
