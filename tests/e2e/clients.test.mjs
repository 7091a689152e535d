// Stock clients, as npm has them, buy calls through the gateway, and the money moves.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { createWalletClient, decodeEventLog, http } from 'viem';
import { baseSepolia } from 'viem/chains';
import { wrapFetchWithPayment as wrapFetchV1 } from 'x402-fetch';
import { USDC, startChain } from './lib/chain.mjs';
import { startGateway } from './lib/gateway.mjs';
import { ROOT, run } from './lib/process.mjs';
import { startServices } from './lib/services.mjs';
import { settleOnce, settlerKey } from './lib/settler.mjs';
import { keyFile, newAccount, receiptOf } from './lib/wallet.mjs';
import { checkBooks, delivered, payments } from './lib/x402.mjs';

const PRICE = 500n; // $0.0005

/** Each client is a fetch that pays from the account given. */
const clients = {
  '@x402/fetch 2.27': (payer) => wrapFetchWithPaymentFromConfig(fetch, {
    schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(payer) }],
  }),
  'x402-fetch 1.2': (payer) => wrapFetchV1(fetch, createWalletClient({
    account: payer, chain: baseSepolia, transport: http('http://127.0.0.1:1'), // never asked
  })),
};

test('the_clients_are_those_of_npm_and_only_wagmi_is_replaced', () => {
  const { packages } = JSON.parse(fs.readFileSync(`${ROOT}/package-lock.json`));
  const versions = { '@x402/fetch': '2.27.0', '@x402/evm': '2.27.0', 'x402-fetch': '1.2.0' };
  for (const [name, version] of Object.entries(versions)) {
    const locked = packages[`node_modules/${name}`];
    assert.equal(locked.version, version);
    assert.match(locked.integrity, /^sha512-/);
    const file = `${ROOT}/node_modules/${name}/package.json`;
    assert.equal(JSON.parse(fs.readFileSync(file)).version, version);
  }
  const replaced = Object.entries(packages).filter(([, locked]) => locked.link);
  assert.deepEqual(replaced.map(([name]) => name), ['node_modules/wagmi']);
});

describe('a paid call', () => {
  let chain;
  let services;
  let gateway;
  let settler;
  let payee;

  before(async () => {
    chain = await startChain();
    services = await startServices();
    payee = newAccount().address;
    gateway = await startGateway({
      payTo: payee,
      workers: 2,
      locations: `
        location /api/ {
            x402_price 0.0005;
            x402_description "Vectors for texts";
            x402_mime_type application/json;
            proxy_pass ${services.url};
        }`,
    });
    settler = await settlerKey(chain);
  });
  after(async () => {
    await gateway?.stop();
    await services?.stop();
    await chain?.stop();
  });

  /** A new payer with 1 USDC, and what its and the payee's balances are. */
  async function newPayer() {
    const payer = newAccount();
    await chain.mint(payer.address, '1');
    return {
      payer,
      payerHad: await chain.balance(payer.address), payeeHad: await chain.balance(payee),
    };
  }

  /** Settles, and checks that exactly `calls` prices moved and that the ledger says how. */
  async function settlesExactly({ payer, payerHad, payeeHad }, calls) {
    const value = PRICE * BigInt(calls);
    await delivered(gateway, payer.address, calls);
    assert.equal(await chain.balance(payer.address), payerHad, 'moved before settlement');
    await settleOnce(gateway, chain, settler);
    assert.equal(await chain.balance(payer.address), payerHad - value);
    assert.equal(await chain.balance(payee), payeeHad + value);

    const rows = await payments(gateway, '--payer', payer.address);
    assert.equal(rows.length, calls);
    for (const row of rows) {
      assert.match(row.transaction, /^0x[0-9a-f]{64}$/);
      assert.equal(await paidIn(row.transaction, payer.address), true);
    }
    await checkBooks(gateway, chain);
  }

  /** Whether a transaction moved PRICE from the payer to the payee. */
  async function paidIn(hash, payer) {
    const receipt = await chain.receipt(hash);
    assert.equal(receipt.status, '0x1');
    return receipt.logs
      .filter((log) => log.address.toLowerCase() === USDC.toLowerCase())
      .map((log) => decodeEventLog({ abi: chain.abi, ...log }))
      .some(({ eventName, args }) => eventName === 'Transfer'
        && args.from === payer && args.to === payee && args.value === PRICE);
  }

  function isEmbedding(answer) {
    assert.equal(answer.dimensions, 256);
    assert.equal(answer.embedding.length, 256);
  }

  for (const [name, wrap] of Object.entries(clients)) {
    test(`${name}_buys_a_get_and_a_post`, async () => {
      const state = await newPayer();
      const paidFetch = wrap(state.payer);

      const got = await paidFetch(`${gateway.url}/api/embed?text=hello+world`);
      assert.equal(got.status, 200);
      isEmbedding(await got.json());
      const receipt = receiptOf(got);
      assert.equal(receipt.success, true);
      assert.equal(receipt.transaction, '', 'it settles later');
      assert.equal(receipt.payer.toLowerCase(), state.payer.address.toLowerCase());

      const posted = await paidFetch(`${gateway.url}/api/embed`, {
        method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text: 'hello '.repeat(1000) }),
      });
      assert.equal(posted.status, 200);
      isEmbedding(await posted.json());

      await settlesExactly(state, 2);
    });
  }

  test('the_flat_client_of_the_examples_buys_a_call', async () => {
    const state = await newPayer();
    const { code, stdout, stderr } = await run(process.execPath, [
      `${ROOT}/examples/flat-client.mjs`, `${gateway.url}/api/embed?text=hello`,
      '--key', keyFile(state.payer),
    ]);
    assert.equal(code, 0, stderr);
    isEmbedding(JSON.parse(stdout));
    assert.match(stderr, /success: true/);
    await settlesExactly(state, 1);
  });

  test('a_client_that_does_not_pay_gets_the_offer', async () => {
    const response = await fetch(`${gateway.url}/api/embed?text=hello`);
    assert.equal(response.status, 402);
    const { x402Version, accepts } = await response.json();
    assert.equal(x402Version, 1);
    assert.equal(accepts[0].maxAmountRequired, String(PRICE));
    assert.equal(accepts[0].payTo, payee);
  });
});
