// The facilitator contract: `x402 contract deploy`, and what settling with it costs.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  concatHex, decodeEventLog, decodeFunctionResult, encodeFunctionData, getAddress,
  numberToHex, parseAbi, parseSignature, signatureToCompactSignature, toHex,
} from 'viem';
import { USDC, deployFacilitator, startChain } from './lib/chain.mjs';
import { startNodeProxy } from './lib/node-proxy.mjs';
import { waitFor } from './lib/process.mjs';
import { PAYEE, account, authorization, keyFile, newAccount, sign } from './lib/wallet.mjs';
import { x402, x402Output } from './lib/x402.mjs';

const ABI = parseAbi([
  'function settle(address token, address payee, bytes items) returns (uint256 done, uint256 failed)',
  'function look(address token, bytes payers) view returns (uint256[] seen)',
  'event Failed(address indexed payer, bytes32 indexed nonce, bytes32 reason)',
]);
const DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C';

/** The contract's address, as every run of the command says it. */
let facilitator;

/** Somebody with ether and nothing else. */
async function rich(chain) {
  const somebody = newAccount();
  await chain.giveGas(somebody.address);
  return somebody;
}

const deployArguments = (chain, somebody, ...more) => [
  'contract', 'deploy', '--rpc', `eip155:84532=${chain.url}`, '--key', keyFile(somebody), ...more,
];

/** What is left to another test as it was found. */
async function undone(chain, run) {
  const snapshot = await chain.rpc('evm_snapshot');
  try {
    await run();
  } finally {
    await chain.rpc('evm_revert', snapshot);
  }
}

describe('x402 contract deploy', () => {
  let chain;
  const deploy = async (somebody, ...more) =>
    x402(deployArguments(chain, somebody ?? (await rich(chain)), ...more));

  before(async () => {
    chain = await startChain();
    await undone(chain, async () => {
      facilitator = getAddress((await deployFacilitator(chain)).address);
    });
  });
  after(() => chain?.stop());

  /** Each begins on a chain without the contract. */
  const deployTest = (name, run) => test(name, () => undone(chain, run));

  const codeSize = async () => ((await chain.rpc('eth_getCode', facilitator, 'latest')).length - 2) / 2;

  deployTest('it_puts_the_contract_on_the_chain_and_says_what_that_cost', async () => {
    const { code, stdout } = await deploy();
    assert.equal(code, 0);
    const said = /^contract +(\S+) on base-sepolia\ntransaction +(0x\w{64}) in block (\d+)\ngas +(\d+), for (\d+) wei\n$/
      .exec(stdout);
    assert.ok(said, stdout);
    const receipt = await chain.receipt(said[2]);
    assert.equal(said[1], facilitator);
    assert.equal(Number(said[3]), Number(receipt.blockNumber));
    assert.equal(Number(said[4]), Number(receipt.gasUsed));
    assert.equal(BigInt(said[5]), BigInt(receipt.gasUsed) * BigInt(receipt.effectiveGasPrice));
    assert.ok((await codeSize()) > 1000);
  });

  deployTest('it_costs_about_what_the_help_says', async () => {
    const help = await x402Output(['contract', '--help']);
    const said = Number(/about ([\d,]+) of it/.exec(help)[1].replace(',', ''));
    const { gasUsed } = await deployFacilitator(chain);
    assert.ok(Math.abs(gasUsed - said) < 0.05 * said, `${gasUsed}`);
  });

  deployTest('where_it_is_already_it_spends_nothing_and_says_so', async () => {
    await deployFacilitator(chain);
    const poor = newAccount();
    const again = await deploy(poor);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /transaction +none: it was there already/);
    const json = JSON.parse((await deploy(poor, '--json')).stdout);
    assert.deepEqual(json, {
      network: 'eip155:84532', networkName: 'base-sepolia', address: facilitator.toLowerCase(),
      deployed: false, transaction: null, block: null, gasUsed: null, feeWei: null,
    });
  });

  deployTest('of_two_who_deploy_at_once_both_are_done', async () => {
    await chain.automine(false);
    const both = [deploy(), deploy()];
    await waitFor(async () => Number((await chain.rpc('txpool_status')).pending) === 2, 'both');
    await chain.mine();
    for (const { code, stderr } of await Promise.all(both)) assert.equal(code, 0, stderr);
    await chain.automine(true);
  });

  deployTest('a_lost_reply_is_no_failure', async () => {
    const proxy = await startNodeProxy(chain, ({ method }) =>
      (method === 'eth_sendRawTransaction' ? 'lose' : 'pass'));
    const { code, stderr } = await x402(deployArguments(proxy, await rich(chain)));
    await proxy.stop();
    assert.equal(code, 0, stderr);
    assert.ok((await codeSize()) > 1000);
  });

  /** Those in blocks (a block each), and those that wait. */
  const transactions = async () =>
    [await chain.rpc('eth_blockNumber'), await chain.rpc('txpool_status')];

  /** It fails with a message, and sends nothing. */
  const refused = (name, prepare, message) => deployTest(name, async () => {
    const args = await prepare();
    const found = await transactions();
    const { code, stdout, stderr } = await x402(args);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.deepEqual(await transactions(), found);
    await chain.automine(true);
  });

  refused('a_key_without_gas_is_refused', () => deployArguments(chain, newAccount()),
    /^x402 contract: 0x\w{40} cannot pay for gas: it has 0 wei on base-sepolia and this may cost \d+\n$/);

  refused('a_node_of_another_network_is_refused', async () => [
    'contract', 'deploy', '--rpc', `base=${chain.url}`, '--key', keyFile(await rich(chain)),
  ], /^x402 contract: node http:\/\/127\.0\.0\.1:\d+ is of chain 84532, not 8453\n$/);

  refused('a_chain_without_the_deployer_is_refused', async () => {
    await chain.rpc('anvil_setCode', DEPLOYER, '0x');
    return deployArguments(chain, await rich(chain));
  }, new RegExp(`no CREATE2 deployer at ${DEPLOYER}`));

  refused('other_code_at_the_address_is_refused', async () => {
    await chain.rpc('anvil_setCode', facilitator, '0x00');
    return deployArguments(chain, await rich(chain));
  }, /other code stands at the contract's address/);

  refused('a_key_with_transactions_under_way_is_refused', async () => {
    const busy = await rich(chain);
    await chain.automine(false);
    await chain.rpc('anvil_impersonateAccount', busy.address);
    await chain.rpc('eth_sendTransaction', { from: busy.address, to: PAYEE, value: '0x1' });
    return deployArguments(chain, busy);
  }, /has transactions under way: stop the settler that uses the key/);

  refused('a_node_that_is_down_is_refused', async () => [
    'contract', 'deploy', '--rpc', 'base=http://127.0.0.1:9', '--key', keyFile(await rich(chain)),
  ], /^x402 contract: .*127\.0\.0\.1:9/);

  const wrong = [
    [[], /^x402 contract: deploy is missing\n/],
    [['undeploy'], /no action 'undeploy': write deploy/],
    [['deploy'], /--rpc NETWORK=URL is missing/],
    [['deploy', '--rpc', 'base=http://127.0.0.1:9'], /--key FILE is missing/],
    [['deploy', '--rpc', 'http://127.0.0.1:9', '--key', 'x'], /--rpc: 'http:\/\/127.0.0.1:9':/],
  ];
  for (const [args, message] of wrong) {
    test(`wrong_usage_is_explained: contract ${args.join(' ')}`, async () => {
      const { code, stderr } = await x402(['contract', ...args]);
      assert.equal(code, 2);
      assert.match(stderr, message);
    });
  }
});

// ------------------------------------------------------------------------------ settling

/** A packed item, as src/evm/facilitator.h has it. */
async function pack(payer, message) {
  const { r, yParityAndS } = signatureToCompactSignature(parseSignature(await sign(payer, message)));
  return concatHex([
    message.from, numberToHex(message.value, { size: 8 }),
    numberToHex(message.validAfter, { size: 5 }), numberToHex(message.validBefore, { size: 5 }),
    message.nonce, r, yParityAndS,
  ]);
}

describe('the facilitator contract', () => {
  let chain;
  let sender;
  let validBefore;

  before(async () => {
    chain = await startChain({ args: ['--enable-tx-gas-limit'] });
    await deployFacilitator(chain);
    sender = newAccount().address;
    await chain.giveGas(sender, '100');
    await chain.rpc('anvil_impersonateAccount', sender);
    validBefore = BigInt((await chain.now()) + 3600);
    await chain.mint(PAYEE, '1'); // a payee that has sold before
  });
  after(() => chain?.stop());

  const payers = (name, count) => Array.from({ length: count }, (_, i) => account(`${name} ${i}`));

  async function funded(name, count, amount) {
    const all = payers(name, count);
    for (const payer of all) await chain.mint(payer.address, amount);
    return all;
  }

  /** Settles items with the gas limit of x402_facilitator_gas_limit: the receipt. */
  async function settle(items) {
    const data = encodeFunctionData({
      abi: ABI, functionName: 'settle', args: [USDC, PAYEE, concatHex(items)],
    });
    const gas = toHex(300_000 + 70_000 * items.length);
    const hash = await chain.rpc('eth_sendTransaction', { from: sender, to: facilitator, data, gas });
    const receipt = await chain.receipt(hash);
    assert.equal(receipt.status, '0x1');
    return receipt;
  }

  /**
   * What the token itself spent: the gas used within each call to it, as the node's call
   * tracer has it. The rest of the transaction's gas is the facilitator's: calldata, the
   * transaction, the contract, the CALLs. That rest does not depend on the token, so it is
   * the same with the real USDC, whose own part is another one.
   */
  async function costs(receipt, count) {
    const trace = await chain.rpc('debug_traceTransaction', receipt.transactionHash,
      { tracer: 'callTracer' });
    assert.equal(trace.calls.length, count);
    const own = trace.calls.reduce((sum, call) => sum + Number(call.gasUsed), 0);
    return {
      each: Number(receipt.gasUsed) / count, own: own / count,
      above: (Number(receipt.gasUsed) - own) / count,
    };
  }

  function failures(receipt) {
    return receipt.logs.filter((log) => getAddress(log.address) === facilitator)
      .map((log) => decodeEventLog({ abi: ABI, ...log }).args);
  }

  async function gasTest(t, name, messages) {
    const items = [];
    for (const [payer, message] of messages) items.push(await pack(payer, message));
    const had = await chain.balance(PAYEE);
    const receipt = await settle(items);
    assert.equal(failures(receipt).length, 0);
    assert.equal((await chain.balance(PAYEE)) - had, BigInt(items.length) * 1000n);
    const { each, own, above } = await costs(receipt, items.length);
    t.diagnostic(`${items.length} items of ${name}: ${each.toFixed(0)} gas each, ` +
      `${own.toFixed(0)} in the token, ${above.toFixed(0)} above it`);
    assert.ok(above > 2000, `${above}: there is calldata to pay for`);
    assert.ok(above <= 8000, `${above} gas an item above the token's own`);
    return { each, above };
  }

  const message = (payer) => authorization(payer, { validBefore });

  test('100_payers_settle_at_no_more_than_8000_gas_each_above_the_token', async (t) => {
    const all = await funded('distinct', 100, '1');
    await gasTest(t, '100 payers', all.map((payer) => [payer, message(payer)]));
  });

  test('100_items_of_one_payer_settle_at_no_more_than_8000_gas_each_above_the_token', async (t) => {
    const [payer] = await funded('single', 1, '10');
    await gasTest(t, 'one payer', Array.from({ length: 100 }, () => [payer, message(payer)]));
  });

  test('a_full_batch_with_bad_items_in_it_is_done_within_its_gas_limit', async () => {
    const all = await funded('full', 200, '0.001'); // all they have: nothing is left
    const bad = new Map([
      [0, { validBefore: 1n }], [7, { validAfter: validBefore - 1n }], [199, { value: 1001n }],
    ]);
    const messages = all.map((payer, i) => ({ ...message(payer), ...bad.get(i) }));
    const items = await Promise.all(all.map((payer, i) => pack(payer, messages[i])));
    const had = await chain.balance(PAYEE);
    const failed = failures(await settle(items));
    assert.equal((await chain.balance(PAYEE)) - had, 197_000n);
    assert.deepEqual(failed.map(({ payer, nonce }) => [payer, nonce]),
      [...bad.keys()].map((i) => [all[i].address, messages[i].nonce]));
    assert.deepEqual(failed.map(({ reason }) => Buffer.from(reason.slice(2), 'hex').toString()), [
      'FiatTokenV2: authorization is ex', 'FiatTokenV2: authorization is no',
      'ERC20: transfer amount exceeds b',
    ]);
  });

  test('200_items_that_all_fail_are_done_within_their_gas_limit', async () => {
    const all = payers('poor', 200);
    const items = await Promise.all(all.map((payer) => pack(payer, message(payer))));
    assert.equal(failures(await settle(items)).length, 200);
  });

  test('500_payers_are_looked_at_in_one_call', async () => {
    const wealthy = account('distinct 0').address;
    const contract = '0x00000000000000000000000000000000000c0de5';
    await chain.rpc('anvil_setCode', contract, '0x00');
    await chain.mint(contract, 5n);
    const strangers = Array.from({ length: 498 }, (_, i) => numberToHex(0xabc000 + i, { size: 20 }));
    const data = encodeFunctionData({
      abi: ABI, functionName: 'look', args: [USDC, concatHex([wealthy, ...strangers, contract])],
    });
    const gas = toHex(150_000 + 12_000 * 500); // of x402_facilitator_look_gas
    const answer = await chain.rpc('eth_call', { to: facilitator, data, gas }, 'latest');
    const spent = Number(await chain.rpc('eth_estimateGas', { to: facilitator, data }));
    assert.ok(spent < 8000 * 500, `${spent}`);
    const seen = decodeFunctionResult({ abi: ABI, functionName: 'look', data: answer });
    assert.equal(seen.length, 500);
    assert.equal(seen[0], await chain.balance(wealthy));
    assert.ok(seen.slice(1, 499).every((word) => word === 0n));
    assert.equal(seen[499], (1n << 255n) | 5n);
  });
});
