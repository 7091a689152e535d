// The metrics as Prometheus reads them; the alerts and the dashboard made of them; the
// manual's list of them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import { startChain } from './lib/chain.mjs';
import { startGateway } from './lib/gateway.mjs';
import { ROOT, waitFor } from './lib/process.mjs';
import { parseMetrics, sample } from './lib/prometheus.mjs';
import { settleOnce, settlerKey } from './lib/settler.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { newAccount, payment } from './lib/wallet.mjs';
import { delivered } from './lib/x402.mjs';

const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');
const promtool = (...args) => spawnSync('promtool', args, { encoding: 'utf8', cwd: ROOT });
const noPromtool = promtool('--version').error && 'promtool is not installed';

describe('metrics', () => {
  let upstream;
  let chain;
  let gateway;
  let text;
  let metrics;
  const payer = newAccount();

  const scrape = async () => (await fetch(`${gateway.url}/metrics`)).text();
  const sold = (result) => sample(metrics, 'x402_requests_total', { route: '/a"b', result });

  before(async () => {
    upstream = await startUpstream();
    chain = await startChain();
    gateway = await startGateway({
      locations: `location '/a"b' { x402_price 0.001; proxy_pass ${upstream.url}; }
                  location = /metrics { x402_metrics; }`,
    });
    await chain.mint(payer.address, '1');
    for (let i = 0; i < 3; i++) {
      const paid = await payment(payer);
      isPaid(await ask(gateway, '/a%22b', { payment: paid }), paid);
    }
    await delivered(gateway, payer.address, 3);
    await settleOnce(gateway, chain, await settlerKey(chain));
    await ask(gateway, '/a%22b');
    await ask(gateway, '/a%22b', { payment: await payment(payer, { message: { value: 7n } }) });
    await ask(gateway, '/a%22b?do=status&n=500', { payment: await payment(payer) });
    await waitFor(async () => {
      text = await scrape();
      metrics = parseMetrics(text);
      return metrics.get('x402_requests_total').samples.length > 0
        && sold('delivered') === 3 && sold('failed') === 1 && sold('refused') >= 1;
    }, 'the counts of the workers');
  });
  after(async () => {
    await gateway?.stop();
    await chain?.stop();
    await upstream?.stop();
  });

  test('are_of_the_type_that_prometheus_asks_for', async () => {
    const { headers } = await fetch(`${gateway.url}/metrics`);
    assert.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  });

  test('count_what_was_sold_refused_and_offered', () => {
    assert.equal(sample(metrics, 'x402_ledger_up'), 1);
    assert.equal(sold('offered'), 1);
    assert.equal(sold('refused'), 1);
    assert.equal(sold('shadow'), 0);
    assert.equal(sample(metrics, 'x402_revenue_tokens_total', { token: 'USDC' }), 0.003);
    assert.equal(sample(metrics, 'x402_failed_tokens_total', { network: 'base-sepolia' }), 0.001);
    const reason = 'invalid_exact_evm_payload_authorization_value_mismatch';
    assert.equal(sample(metrics, 'x402_refusals_total', { reason }), 1);
    assert.equal(sample(metrics, 'x402_call_duration_seconds_count'), 3);
    assert.ok(sample(metrics, 'x402_verify_duration_seconds_count') >= 4);
  });

  test('have_where_the_money_stands', () => {
    const settled = sample(metrics, 'x402_payments', { state: 'settled' }) + sample(metrics, 'x402_payments', { state: 'final' });
    assert.equal(settled, 3);
    assert.equal(sample(metrics, 'x402_deliveries', { state: 'void' }), 1);
    assert.equal(sample(metrics, 'x402_unsettled_tokens'), 0);
    assert.equal(sample(metrics, 'x402_due_oldest_seconds'), 0);
    assert.ok(sample(metrics, 'x402_settlement_gas') > 60_000);
  });

  test('are_clean_in_the_eyes_of_promtool', { skip: noPromtool }, () => {
    const { status, stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.equal(stderr + stdout, '');
    assert.equal(status, 0);
  });

  test('are_those_of_the_manual', () => {
    const table = read('docs/operations.md').split(/^## /m).find((part) => part.startsWith('Metrics\n'));
    const documented = [...table.matchAll(/^\| `(x402_\w+)` \| (\w+) \|/gm)].map(([, name, type]) => [name, type]);
    const exported = [...metrics.values()].map(({ name, type }) => [name, type]);
    // Only where a token says who asks.
    exported.push(['x402_gas_balance_ether', 'gauge']);
    assert.deepEqual(documented.toSorted(), exported.toSorted());
  });

  for (const file of ['packaging/prometheus/x402-alerts.yml', 'packaging/grafana/x402.json']) {
    test(`have_every_name_in_${path.basename(file)}`, () => {
      const known = new Set(['x402_gas_balance_ether']);
      for (const { name, type } of metrics.values()) {
        for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) known.add(name + suffix);
      }
      const named = new Set(read(file).match(/\bx402_\w+/g));
      const strangers = [...named].filter((name) => !known.has(name) && name !== 'x402_metrics');
      assert.ok(named.size > 8);
      assert.deepEqual(strangers, []);
    });
  }
});

test('the_alert_rules_are_good_in_the_eyes_of_promtool', { skip: noPromtool }, () => {
  const { status, stdout, stderr } = promtool('check', 'rules', 'packaging/prometheus/x402-alerts.yml');
  assert.equal(status, 0, stdout + stderr);
});

test('the_alert_rules_wake_for_what_they_say_and_for_nothing_else', { skip: noPromtool }, () => {
  const { status, stdout, stderr } = promtool('test', 'rules', 'tests/e2e/lib/alerts.yml');
  assert.equal(status, 0, stdout + stderr);
});

test('every_alert_has_its_paragraph_in_the_manual_and_no_other', () => {
  const alerts = [...read('packaging/prometheus/x402-alerts.yml').matchAll(/- alert: (\w+)/g)].map((m) => m[1]);
  const described = [...read('docs/operations.md').matchAll(/^\*\*(X402\w+)\.\*\*/gm)].map((m) => m[1]);
  assert.ok(alerts.length > 5);
  assert.deepEqual(described.toSorted(), alerts.toSorted());
});

test('the_dashboard_has_panels_that_do_not_cover_one_another', () => {
  const { panels } = JSON.parse(read('packaging/grafana/x402.json'));
  const taken = new Set();
  assert.equal(new Set(panels.map((panel) => panel.id)).size, panels.length);
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert.ok(x + w <= 24, `${title}: too wide`);
    for (let i = x; i < x + w; i++) {
      for (let j = y; j < y + h; j++) {
        assert.ok(!taken.has(`${i} ${j}`), `${title}: covers another`);
        taken.add(`${i} ${j}`);
      }
    }
  }
});
