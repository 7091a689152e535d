// The ground the other tests stand on: the test USDC must refuse what the real one
// refuses, in its words and in its order.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  decodeEventLog, hashDomain, hashStruct, parseSignature, recoverAddress, zeroAddress,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { USDC, startChain } from './lib/chain.mjs';
import {
  DOMAIN, PAYEE, TYPES, account, authorization, newAccount, newNonce, sign, withHighS, withV,
} from './lib/wallet.mjs';

const vectors = (name) =>
  JSON.parse(fs.readFileSync(new URL(`../vectors/${name}.json`, import.meta.url)));

const ANYBODY = '0x00000000000000000000000000000000000000aa'; // whoever sends it

/** The arguments of transferWithAuthorization, with the signature in one piece. */
function inOnePiece(m, signature) {
  return [m.from, m.to, m.value, m.validAfter, m.validBefore, m.nonce, signature];
}

/** The same with v, r and s apart. */
function inParts(m, signature) {
  const v = Number.parseInt(signature.slice(130), 16);
  const [r, s] = [signature.slice(0, 66), `0x${signature.slice(66, 130)}`];
  return [m.from, m.to, m.value, m.validAfter, m.validBefore, m.nonce, v, r, s];
}

/** Sends a call that must fail; gives the revert string. */
async function refusal(chain, functionName, args, from = ANYBODY) {
  await chain.giveGas(from);
  const receipt = await chain.sendAs(from, functionName, ...args);
  assert.equal(receipt.status, '0x0', `${functionName} went through`);
  return chain.refusal(functionName, args, from);
}

function eventsOf(chain, receipt) {
  return receipt.logs.map((log) => {
    assert.equal(log.address.toLowerCase(), USDC.toLowerCase());
    const { eventName, args } = decodeEventLog({ abi: chain.abi, ...log });
    return { eventName, ...args };
  });
}

describe('the test USDC', () => {
  let chain;
  let payer;
  const transfer = (args) => refusal(chain, 'transferWithAuthorization', args);

  before(async () => {
    chain = await startChain();
    payer = account('payer');
    await chain.mint(payer.address, '10');
  });
  after(() => chain?.stop());

  const signed = async (message = {}, { domain, signer = payer } = {}) => {
    const m = authorization(payer, message);
    return [m, await sign(signer, m, domain)];
  };

  test('is_what_stock_clients_expect_at_the_address', async () => {
    assert.equal(await chain.read('name'), 'USDC');
    assert.equal(await chain.read('symbol'), 'USDC');
    assert.equal(await chain.read('version'), '2');
    assert.equal(await chain.read('decimals'), 6);
    assert.equal(await chain.rpc('eth_chainId'), '0x14a34');
    const domain = { ...DOMAIN, verifyingContract: USDC };
    assert.equal(await chain.read('DOMAIN_SEPARATOR'), hashDomain({ domain, types: {
      EIP712Domain: [
        { name: 'name', type: 'string' }, { name: 'version', type: 'string' },
        { name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' },
      ],
    } }));
  });

  for (const [overload, arrange] of [['v_r_s', inParts], ['bytes', inOnePiece]]) {
    test(`an_authorization_moves_exactly_its_value_with_${overload}`, async () => {
      const payee = newAccount().address;
      const [m, signature] = await signed({ to: payee, value: 1234n });
      const had = await chain.balance(payer.address);
      assert.equal(await chain.read('authorizationState', m.from, m.nonce), false);
      const receipt = await chain.send('transferWithAuthorization', ...arrange(m, signature));
      assert.equal(receipt.status, '0x1');
      assert.equal(await chain.balance(payee), 1234n);
      assert.equal(await chain.balance(payer.address), had - 1234n);
      assert.equal(await chain.read('authorizationState', m.from, m.nonce), true);
      assert.deepEqual(eventsOf(chain, receipt), [
        { eventName: 'AuthorizationUsed', authorizer: payer.address, nonce: m.nonce },
        { eventName: 'Transfer', from: payer.address, to: payee, value: 1234n },
      ]);
      assert.equal(receipt.logs[0].topics.length, 3, 'authorizer and nonce are indexed');
    });

    test(`an_authorization_is_good_once_with_${overload}`, async () => {
      const args = arrange(...(await signed()));
      await chain.send('transferWithAuthorization', ...args);
      assert.equal(await transfer(args), 'FiatTokenV2: authorization is used or canceled');
    });

    test(`bad_signatures_are_refused_in_words_with_${overload}`, async () => {
      const [m, signature] = await signed();
      const cases = [
        [withV(signature, 0), "ECRecover: invalid signature 'v' value"],
        [withV(signature, 1), "ECRecover: invalid signature 'v' value"],
        [withV(signature, 29), "ECRecover: invalid signature 'v' value"],
        [withHighS(signature), "ECRecover: invalid signature 's' value"],
        [withV(withHighS(signature), 0), "ECRecover: invalid signature 's' value"],
        [`0x${'00'.repeat(64)}1b`, 'ECRecover: invalid signature'],
        [(await signed(m, { signer: newAccount() }))[1], 'FiatTokenV2: invalid signature'],
        [(await signed(m, { domain: { chainId: 1 } }))[1], 'FiatTokenV2: invalid signature'],
        [(await signed(m, { domain: { name: 'USD Coin' } }))[1], 'FiatTokenV2: invalid signature'],
        [(await signed(m, { domain: { version: '1' } }))[1], 'FiatTokenV2: invalid signature'],
        [(await signed({ ...m, value: m.value + 1n }))[1], 'FiatTokenV2: invalid signature'],
      ];
      for (const [bad, words] of cases) assert.equal(await transfer(arrange(m, bad)), words);
    });
  }

  test('a_signature_of_another_length_is_refused', async () => {
    const [m, signature] = await signed();
    for (const bad of ['0x', signature.slice(0, -2), `${signature}00`]) {
      assert.equal(await transfer(inOnePiece(m, bad)), 'ECRecover: invalid signature length');
    }
  });

  test('the_time_window_is_strict_on_both_sides', async () => {
    const now = await chain.now();
    // A call is answered at the latest block's time.
    const at = async (message) => chain.refusal(
      'transferWithAuthorization', inParts(...(await signed(message))), ANYBODY);
    assert.equal(await at({ validAfter: BigInt(now) }),
      'FiatTokenV2: authorization is not yet valid');
    assert.equal(await at({ validBefore: BigInt(now) }), 'FiatTokenV2: authorization is expired');
    assert.equal(await at({ validAfter: BigInt(now - 1), validBefore: BigInt(now + 1) }), null);
  });

  test('more_than_the_balance_is_refused', async () => {
    const args = inParts(...(await signed({ value: 10n ** 12n })));
    assert.equal(await transfer(args), 'ERC20: transfer amount exceeds balance');
  });

  test('the_zero_address_is_refused', async () => {
    const args = inParts(...(await signed({ to: zeroAddress })));
    assert.equal(await transfer(args), 'ERC20: transfer to the zero address');
  });

  test('refusals_come_in_the_order_of_the_original', async () => {
    // Everything is wrong at once; each repair uncovers the next complaint.
    const now = BigInt(await chain.now());
    const used = newNonce();
    await chain.send('transferWithAuthorization', ...inParts(...(await signed({ nonce: used }))));
    const wrong = {
      value: 10n ** 12n, nonce: used, validAfter: now + 1000n, validBefore: now - 1000n,
    };
    const complaint = async (message, options) =>
      transfer(inParts(...(await signed(message, options))));
    const signer = newAccount();

    await chain.send('blacklist', payer.address);
    await chain.send('pause');
    assert.equal(await complaint(wrong, { signer }), 'Pausable: paused');
    await chain.send('unpause');
    assert.equal(await complaint(wrong, { signer }), 'Blacklistable: account is blacklisted');
    await chain.send('unBlacklist', payer.address);
    assert.equal(await complaint(wrong, { signer }), 'FiatTokenV2: authorization is not yet valid');
    wrong.validAfter = 0n;
    assert.equal(await complaint(wrong, { signer }), 'FiatTokenV2: authorization is expired');
    wrong.validBefore = now + 1000n;
    assert.equal(
      await complaint(wrong, { signer }), 'FiatTokenV2: authorization is used or canceled');
    wrong.nonce = newNonce();
    assert.equal(await complaint(wrong, { signer }), 'FiatTokenV2: invalid signature');
    assert.equal(await complaint(wrong), 'ERC20: transfer amount exceeds balance');
  });

  test('a_blacklisted_payee_is_refused', async () => {
    const payee = newAccount().address;
    await chain.send('blacklist', payee);
    const args = inParts(...(await signed({ to: payee })));
    assert.equal(await transfer(args), 'Blacklistable: account is blacklisted');
  });

  test('a_canceled_authorization_is_used_up', async () => {
    const [m, signature] = await signed();
    const cancellation = await payer.signTypedData({
      domain: DOMAIN, primaryType: 'CancelAuthorization',
      types: { CancelAuthorization: [
        { name: 'authorizer', type: 'address' }, { name: 'nonce', type: 'bytes32' },
      ] },
      message: { authorizer: m.from, nonce: m.nonce },
    });
    const receipt = await chain.send('cancelAuthorization', m.from, m.nonce, cancellation);
    assert.deepEqual(eventsOf(chain, receipt), [
      { eventName: 'AuthorizationCanceled', authorizer: payer.address, nonce: m.nonce },
    ]);
    assert.equal(
      await transfer(inParts(m, signature)), 'FiatTokenV2: authorization is used or canceled');
    assert.equal(await refusal(chain, 'cancelAuthorization', [m.from, m.nonce, cancellation]),
      'FiatTokenV2: authorization is used or canceled');
  });

  test('receive_is_for_the_payee_alone', async () => {
    const m = authorization(payer);
    const signature = await payer.signTypedData({
      domain: DOMAIN, primaryType: 'ReceiveWithAuthorization',
      types: { ReceiveWithAuthorization: TYPES.TransferWithAuthorization }, message: m,
    });
    for (const arrange of [inParts, inOnePiece]) {
      assert.equal(await refusal(chain, 'receiveWithAuthorization', arrange(m, signature)),
        'FiatTokenV2: caller must be the payee');
    }
    assert.equal(await transfer(inParts(m, signature)), 'FiatTokenV2: invalid signature');
    await chain.giveGas(PAYEE);
    const receipt =
      await chain.sendAs(PAYEE, 'receiveWithAuthorization', ...inParts(m, signature));
    assert.equal(receipt.status, '0x1');
  });

  test('plain_transfers_and_allowances_work', async () => {
    const [a, b] = [newAccount().address, newAccount().address];
    await chain.mint(a, 100n);
    await chain.giveGas(a);
    await chain.giveGas(b);
    await chain.sendAs(a, 'transfer', b, 30n);
    await chain.sendAs(a, 'approve', b, 20n);
    assert.equal(await chain.refusal('transferFrom', [a, b, 21n], b),
      'ERC20: transfer amount exceeds allowance');
    await chain.sendAs(b, 'transferFrom', a, b, 20n);
    assert.deepEqual([await chain.balance(a), await chain.balance(b)], [50n, 50n]);
    assert.equal(await chain.read('allowance', a, b), 0n);
  });
});

describe('the golden vectors', () => {
  // The vectors are valid until 1740672154: the chain is put shortly before.
  let chain;
  const { TransferWithAuthorization: vector, ReceiveWithAuthorization: receive } = vectors('chain');
  const typed = vectors('typed-data');

  before(async () => {
    chain = await startChain({ args: ['--timestamp', '1740672090'] });
  });
  after(() => chain?.stop());

  const messageOf = ({ message: m }) => ({
    ...m, value: BigInt(m.value), validAfter: BigInt(m.validAfter),
    validBefore: BigInt(m.validBefore),
  });

  test('the_token_has_the_domain_and_type_hashes_of_the_vectors', async () => {
    assert.equal(await chain.read('DOMAIN_SEPARATOR'), vector.domainSeparator);
    assert.equal(await chain.read('DOMAIN_SEPARATOR'), typed.baseSepolia.domainSeparator);
    assert.equal(await chain.read('TRANSFER_WITH_AUTHORIZATION_TYPEHASH'), vector.typeHash);
    assert.equal(await chain.read('RECEIVE_WITH_AUTHORIZATION_TYPEHASH'), receive.typeHash);
  });

  test('viem_hashes_and_signs_as_the_vectors_say', async () => {
    const message = messageOf(vector);
    const primaryType = 'TransferWithAuthorization';
    assert.equal(hashStruct({ data: message, types: TYPES, primaryType }), vector.structHash);
    const payer = privateKeyToAccount(vector.privateKey);
    assert.equal(await sign(payer, message), vector.signature);
    const { signature, digest } = vector;
    assert.equal(await recoverAddress({ hash: digest, signature }), payer.address);
    assert.equal(parseSignature(signature).v, BigInt(`0x${signature.slice(130)}`));
  });

  test('the_token_takes_the_signatures_of_the_vectors', async () => {
    const golden = {
      from: typed.address, to: PAYEE, value: 10000n, validAfter: 0n, validBefore: 1740672154n,
      nonce: '0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480',
    };
    for (const [m, signature] of [
      [messageOf(vector), vector.signature], [golden, typed.baseSepolia.signature],
    ]) {
      await chain.mint(m.from, '1');
      const receipt = await chain.send('transferWithAuthorization', ...inParts(m, signature));
      assert.equal(receipt.status, '0x1');
      assert.equal(await chain.balance(m.to), m.value);
    }
  });
});
