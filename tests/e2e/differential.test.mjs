// Our hashes, addresses, signatures, transactions, calldata and amounts against viem's, on
// random inputs and on those where such code goes wrong: zeros in front, the high bit, the
// ends of 64 bits, of the curve's order and of its half.
//
//   X402_SEED=N                 the inputs of that run again
//   X402_DIFFERENTIAL=N         so many inputs of each kind (300)

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, test } from 'node:test';
import {
  concat, domainSeparator, encodeFunctionData, encodePacked, formatUnits, getAddress, hashTypedData,
  keccak256, numberToHex, parseAbi, recoverAddress, stringToHex,
} from 'viem';
import { privateKeyToAccount, sign } from 'viem/accounts';
import { BUILD } from './lib/process.mjs';
import { randomNumbers, seedOfRun } from './lib/random.mjs';
import { DIALECTS, TYPES, payment } from './lib/wallet.mjs';

const COUNT = Number(process.env.X402_DIFFERENTIAL ?? 300);
const seed = seedOfRun();
const below = randomNumbers(seed);
console.log(`seed ${seed}, ${COUNT} of each kind`);

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const ABI = parseAbi([
  'function transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)',
  'function authorizationState(address,bytes32)',
  'function settle(address,address,bytes)',
  'function look(address,bytes)',
]);

/* -------------------------------------------------------------------------- asking */

/** What our program says to each question (an array of words). */
function answersTo(questions) {
  const program = path.join(BUILD, 'differential/answers');
  const input = questions.map((words) => `${words.join(' ')}\n`).join('');
  const output = execFileSync(program, { input, maxBuffer: 1 << 30 }).toString().split('\n');
  assert.equal(output.pop(), '');
  assert.equal(output.length, questions.length);
  return output;
}

/** Makes COUNT cases {words, expected}; `expected` may be a function of our answer. */
async function compare(make) {
  const cases = [];
  for (let i = 0; i < COUNT; i++) cases.push(await make(i));
  const answers = answersTo(cases.map(({ words }) => words));
  for (const [i, { words, expected }] of cases.entries()) {
    const said = `${words.join(' ')} (seed ${seed}, case ${i})`;
    if (typeof expected === 'function') await expected(answers[i], said);
    else assert.equal(answers[i], expected, said);
  }
}

const bare = (hex) => hex.slice(2) || '-';

/* ------------------------------------------------------------------------- choosing */

const pick = (list) => list[below(list.length)];
const byte = () => below(256);

/** Random bytes; one in three has an edge: zeros in front or behind, ones, the high bit. */
function bytes(size) {
  const out = Uint8Array.from({ length: size }, byte);
  const edge = below(12);
  if (edge === 0) out.fill(0);
  if (edge === 1) out.fill(0xff);
  if (edge === 2) out.fill(0, 0, 1 + below(size));
  if (edge === 3) out.fill(0, below(size));
  return `0x${Buffer.from(out).toString('hex')}`;
}

const text = (size) => `0x${Array.from({ length: size }, () => byte().toString(16).padStart(2, '0')).join('')}`;

const EDGES = [0n, 1n, 0x7fn, 0x80n, 0xffn, 0x100n, 0xffffn, 0x10000n, (1n << 32n) - 1n, 1n << 32n,
  (1n << 53n) + 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];

/** A number of at most `bits` bits, of any length, or an edge. */
function number(bits = 64) {
  const limit = (1n << BigInt(bits)) - 1n;
  if (below(3) === 0) {
    const edge = pick(EDGES);
    return edge <= limit ? edge : limit;
  }
  return (BigInt(bytes(8)) >> BigInt(below(64))) & limit;
}

/** A private key: any, the first, the last, or with zeros in front. */
function key() {
  const value = pick([1n, 2n, ORDER - 1n, ...Array(9).fill(BigInt(bytes(32)))]) % ORDER;
  return numberToHex(value || 1n, { size: 32 });
}

const address = () => getAddress(bytes(20));

function message(bits = {}) {
  return {
    from: address(), to: address(), value: number(), validAfter: number(bits.time),
    validBefore: number(bits.time), nonce: bytes(32),
  };
}

const wordsOf = (m) => [bare(m.from), bare(m.to), m.value, m.validAfter, m.validBefore, bare(m.nonce)];

/** r, s and v of a signature that need not be one. */
const lowSignature = () => concat([bytes(32), numberToHex(BigInt(bytes(32)) % (ORDER / 2n), { size: 32 }),
  pick(['0x1b', '0x1c'])]);

const splitSignature = (signature) => [
  Number(`0x${signature.slice(130)}`), `0x${signature.slice(2, 66)}`, `0x${signature.slice(66, 130)}`];

/* --------------------------------------------------------------------------- tests */

describe('the same as viem', () => {
  test('hashes of any size', () => compare((i) => {
    const data = text(i < 300 ? i : below(5000));
    return { words: ['keccak', bare(data)], expected: bare(keccak256(data)) };
  }));

  test('domain separators', () => compare(() => {
    const domain = {
      name: pick(['USDC', 'USD Coin', 'x', 'Währung 円', 'n'.repeat(200)]), version: pick(['1', '2', '10']),
      chainId: number(), verifyingContract: address(),
    };
    const words = ['domain', bare(stringToHex(domain.name)), bare(stringToHex(domain.version)),
      domain.chainId, bare(domain.verifyingContract)];
    return { words, expected: bare(domainSeparator({ domain })) };
  }));

  test('digests of authorizations', () => compare(() => {
    const domain = { name: 'USDC', version: '2', chainId: number(), verifyingContract: address() };
    const authorization = message();
    const digest = hashTypedData({
      domain, types: TYPES, primaryType: 'TransferWithAuthorization', message: authorization,
    });
    const words = ['digest', bare(domainSeparator({ domain })), ...wordsOf(authorization)];
    return { words, expected: bare(digest) };
  }));

  test('addresses of keys, with their checksum', () => compare(() => {
    const secret = key();
    return { words: ['address', bare(secret)], expected: privateKeyToAccount(secret).address };
  }));

  test('what is no key', () => {
    const none = [0n, ORDER, ORDER + 1n, (1n << 256n) - 1n].map((n) => bare(numberToHex(n, { size: 32 })));
    const questions = none.flatMap((hex) => [['address', hex], ['sign', hex, '11'.repeat(32)]]);
    for (const said of answersTo(questions)) assert.equal(said, 'X402_ERR_KEY');
  });

  // Both follow RFC 6979, but differ, with equal right, in digests above the order.
  test('signatures', () => compare(async () => {
    const secret = key();
    const digest = bytes(32);
    const words = ['sign', bare(secret), bare(digest)];
    if (BigInt(digest) < ORDER) {
      return { words, expected: bare(await sign({ hash: digest, privateKey: secret, to: 'hex' })) };
    }
    return {
      words,
      expected: async (said, what) => assert.equal(
        await recoverAddress({ hash: digest, signature: `0x${said}` }),
        privateKeyToAccount(secret).address, what),
    };
  }));

  test('signers recovered, and what has none', () => compare(async (i) => {
    const hash = bytes(32);
    const signature = i % 3 === 0 ? lowSignature()
      : await sign({ hash, privateKey: key(), to: 'hex' });
    const address = await recoverAddress({ hash, signature }).then(
      (found) => bare(found).toLowerCase(), () => 'X402_ERR_SIGNATURE');
    return { words: ['recover', bare(hash), bare(signature)], expected: address };
  }));

  test('nothing of signatures in another form', () => compare(async () => {
    const hash = bytes(32);
    const signature = await sign({ hash, privateKey: key(), to: 'hex' });
    const [v, r, s] = splitSignature(signature);
    const forged = pick([
      concat([r, numberToHex(ORDER - BigInt(s), { size: 32 }), numberToHex(55 - v)]),
      concat([r, s, numberToHex(v - 27, { size: 1 })]),
      concat([r, s, numberToHex(v + 8)]),
      concat([numberToHex(0, { size: 32 }), s, numberToHex(v)]),
      concat([r, numberToHex(0, { size: 32 }), numberToHex(v)]),
      concat([numberToHex(ORDER, { size: 32 }), s, numberToHex(v)]),
    ]);
    return { words: ['recover', bare(hash), bare(forged)], expected: 'X402_ERR_SIGNATURE' };
  }));

  test('transactions: their bytes and hashes', () => compare(async (i) => {
    const secret = key();
    const creates = below(8) === 0;
    const size = pick([0, 1, 1, 54, 55, 56, 57, 255, 256, 257, 4 + 9 * 32, below(3000)]);
    const fields = {
      type: 'eip1559', chainId: Number(number(50)) || 1, nonce: Number(number(50)), gas: number(),
      maxPriorityFeePerGas: 0n, maxFeePerGas: number(), to: creates ? undefined : address(),
      data: i % 5 === 0 && size === 1 ? pick(['0x00', '0x7f', '0x80']) : text(size), value: 0n,
    };
    fields.maxPriorityFeePerGas = number() % (fields.maxFeePerGas + 1n);
    const words = ['transaction', bare(secret), fields.chainId, fields.nonce,
      fields.maxPriorityFeePerGas, fields.maxFeePerGas, fields.gas, creates ? '-' : bare(fields.to),
      bare(fields.data)];
    const raw = await privateKeyToAccount(secret).signTransaction(fields);
    return { words, expected: `${bare(raw)} ${bare(keccak256(raw))}` };
  }));

  test('calldata of one transfer', () => compare(() => {
    const m = message();
    const signature = lowSignature();
    const data = encodeFunctionData({
      abi: ABI, functionName: 'transferWithAuthorization',
      args: [m.from, m.to, m.value, m.validAfter, m.validBefore, m.nonce, ...splitSignature(signature)],
    });
    return { words: ['transfer', ...wordsOf(m), bare(signature)], expected: bare(data) };
  }));

  test('calldata of a batch', () => compare(() => {
    const [token, payee] = [address(), address()];
    const items = Array.from({ length: pick([1, 1, 2, 3, 17, 1 + below(60)]) }, () => (
      { ...message({ time: 40 }), to: payee, signature: lowSignature() }));
    const packed = concat(items.map((item) => {
      const [v, r, s] = splitSignature(item.signature);
      const vs = BigInt(s) | (BigInt(v - 27) << 255n);
      return encodePacked(
        ['address', 'uint64', 'uint40', 'uint40', 'bytes32', 'bytes32', 'bytes32'],
        [item.from, item.value, Number(item.validAfter), Number(item.validBefore), item.nonce, r,
          numberToHex(vs, { size: 32 })]);
    }));
    const words = ['settle', bare(token), bare(payee), items.length,
      ...items.flatMap((item) => [...wordsOf(item), bare(item.signature)])];
    const data = encodeFunctionData({ abi: ABI, functionName: 'settle', args: [token, payee, packed] });
    return { words, expected: bare(data) };
  }));

  test('nothing of a batch whose items do not fit', () => compare(() => {
    const payee = address();
    const late = { ...message({ time: 40 }), to: payee, [pick(['validAfter', 'validBefore'])]: (1n << 40n) + number(20) };
    return {
      words: ['settle', bare(address()), bare(payee), 1, ...wordsOf(late), bare(lowSignature())],
      expected: 'does not fit',
    };
  }));

  test('calldata of questions', () => compare((i) => {
    const token = address();
    if (i % 2 === 0) {
      const nonce = bytes(32);
      const data = encodeFunctionData({ abi: ABI, functionName: 'authorizationState', args: [token, nonce] });
      return { words: ['state', bare(token), bare(nonce)], expected: bare(data) };
    }
    const payers = concat(Array.from({ length: 1 + below(40) }, address));
    const data = encodeFunctionData({ abi: ABI, functionName: 'look', args: [token, payers] });
    return { words: ['look', bare(token), bare(payers)], expected: bare(data).toLowerCase() };
  }));

  test('payments of every dialect, as they were signed', () => compare(async (i) => {
    const dialect = DIALECTS[i % DIALECTS.length];
    const flat = dialect === 'flat';
    const wide = (bits) => (below(8) === 0 ? number() << BigInt(below(180)) : number(bits));
    const draft = { ...message(), value: wide(64), nonce: bytes(32) };
    draft.validBefore = flat ? number(53) || 1n : wide(64); // 0 is no expiry
    const made = await payment(privateKeyToAccount(key()), { dialect, message: draft });
    const m = { ...made.message, ...(flat ? { to: `0x${'0'.repeat(40)}`, validAfter: 0n } : {}) };
    const held = (n) => (n < 1n << 64n ? n : (1n << 64n) - 1n); // which no offer accepts
    const expected = [bare(m.from), bare(m.to), held(m.value), held(m.validAfter), held(m.validBefore),
      bare(m.nonce), bare(made.signature)].join(' ').toLowerCase();
    return { words: ['payment', dialect, made.value], expected };
  }));

  test('amounts for people', () => compare(() => {
    const [atomic, decimals] = [number(), below(37)];
    return { words: ['amount', atomic, decimals], expected: formatUnits(atomic, decimals) };
  }));

  test('prices, exactly', () => compare(() => {
    const cents = below(4) === 0;
    const whole = below(3) === 0 ? 0 : below(pick([10, 1000, 2_000_000_000]));
    const digits = below(9);
    const fraction = Array.from({ length: digits }, () => below(3) && below(10)).join('');
    const decimals = below(19);
    const price = `${!cents && below(5) === 0 ? '$' : ''}${whole}${digits ? `.${fraction}` : ''}${cents ? 'c' : ''}`;
    return { words: ['price', price, decimals], expected: priceOf(whole, fraction, cents, decimals) };
  }));
});

/** The answer by exact arithmetic: millionths, and units of the token; or that it is no price. */
function priceOf(whole, fraction, cents, decimals) {
  const places = fraction.length + (cents ? 2 : 0);
  const digits = BigInt(`${whole}${fraction}`) * 10n ** 6n;
  const scale = 10n ** BigInt(places);
  const micro = digits / scale;
  if (digits % scale !== 0n || micro === 0n || micro > 10n ** 15n) return 'X402_ERR_PRICE';
  const units = micro * 10n ** BigInt(decimals);
  const atomic = units / 10n ** 6n;
  if (units % 10n ** 6n !== 0n || atomic === 0n || atomic >= 1n << 63n) return 'X402_ERR_PRICE';
  return `${micro} ${atomic}`;
}
