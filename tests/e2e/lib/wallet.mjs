// Payers: viem accounts, and signed payments of the three dialects with any field
// overridden, so that a test can say exactly what is wrong with one.

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { keccak256, stringToBytes, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { CHAIN_ID, USDC } from './chain.mjs';
import { temporaryFolder } from './process.mjs';

export const PAYEE = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C';

/** USDC's EIP-712 domain on the local chain. */
export const DOMAIN = { name: 'USDC', version: '2', chainId: CHAIN_ID, verifyingContract: USDC };

export const TYPES = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' }, { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' }, { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' }, { name: 'nonce', type: 'bytes32' },
  ],
};

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** An account of its own for each name; the same name always makes the same account. */
export function account(name) {
  return withKey(keccak256(stringToBytes(`x402 test account ${name}`)));
}

/** An account nobody had before. */
export function newAccount() {
  return withKey(toHex(randomBytes(32)));
}

function withKey(key) {
  return Object.assign(privateKeyToAccount(key), { key });
}

/** Writes an account's key to a file of mode 0600, as the command line wants it. */
export function keyFile(payer, folder = temporaryFolder('key')) {
  const file = path.join(folder, `${payer.address}.key`);
  fs.writeFileSync(file, `${payer.key}\n`, { mode: 0o600 });
  return file;
}

export const newNonce = () => toHex(randomBytes(32));
export const nowSeconds = () => Math.floor(Date.now() / 1000);

/** An EIP-3009 authorization: 1000 units ($0.001) to PAYEE for five minutes. */
export function authorization(payer, overrides = {}) {
  return {
    from: payer.address, to: PAYEE, value: 1000n, validAfter: 0n,
    validBefore: BigInt(nowSeconds() + 300), nonce: newNonce(), ...overrides,
  };
}

/** Signs it: 0x + r, s, v. `domain` overrides fields of the domain. */
export function sign(payer, message, domain = {}) {
  return payer.signTypedData({
    domain: { ...DOMAIN, ...domain }, types: TYPES,
    primaryType: 'TransferWithAuthorization', message,
  });
}

/** The same signature with another last byte. */
export const withV = (signature, v) => signature.slice(0, -2) + v.toString(16).padStart(2, '0');

/** The signature's twin in the upper half of the order: valid to ecrecover, not by EIP-2. */
export function withHighS(signature) {
  const s = CURVE_ORDER - BigInt(`0x${signature.slice(66, 130)}`);
  const v = signature.endsWith('1b') ? '1c' : '1b';
  return signature.slice(0, 66) + s.toString(16).padStart(64, '0') + v;
}

const decimal = (message) => ({
  from: message.from, to: message.to, value: String(message.value),
  validAfter: String(message.validAfter), validBefore: String(message.validBefore),
  nonce: message.nonce,
});

const payloads = {
  v2: (message, signature, { accepted, resource }) => ({
    x402Version: 2,
    ...(resource ? { resource: { url: resource } } : {}),
    accepted: {
      scheme: 'exact', network: `eip155:${CHAIN_ID}`, amount: String(message.value),
      asset: USDC, payTo: message.to, maxTimeoutSeconds: 300,
      extra: { name: DOMAIN.name, version: DOMAIN.version }, ...accepted,
    },
    payload: { signature, authorization: decimal(message) },
  }),

  v1: (message, signature, { scheme = 'exact', network = 'base-sepolia' }) => ({
    x402Version: 1, scheme, network,
    payload: { signature, authorization: decimal(message) },
  }),

  flat: (message, signature) => ({
    signature, nonce: message.nonce, expiry: Number(message.validBefore),
    amount: String(message.value), from: message.from,
  }),
};

export const DIALECTS = Object.keys(payloads);

export const HEADERS = { v2: 'PAYMENT-SIGNATURE', v1: 'X-PAYMENT', flat: 'X-PAYMENT' };

/**
 * A signed payment, ready to send: {name, value, headers, payload, message, signature}.
 *
 *   dialect    v2, v1 or flat
 *   message    overrides fields of the authorization before it is signed
 *   domain     overrides fields of the EIP-712 domain it is signed under
 *   alter      (signature) => signature, after signing: withHighS, s => withV(s, 0)
 *   edit       (payload) => payload or nothing: last changes to the JSON object
 *   accepted, resource (v2), scheme, network (v1)  overrides of the envelope
 *   signer     signs in place of the payer
 */
export async function payment(payer, options = {}) {
  const { dialect = 'v2', domain, alter = (s) => s, edit = (p) => p, signer = payer } = options;
  const message = authorization(payer, options.message);
  const signature = alter(await sign(signer, message, domain));
  const draft = payloads[dialect](message, signature, options);
  const payload = edit(draft) ?? draft;
  return { ...wire(HEADERS[dialect], payload), payload, message, signature, dialect };
}

/** Any object (or text) as a payment header. */
export function wire(name, payload) {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const value = Buffer.from(text).toString('base64');
  return { name, value, headers: { [name]: value } };
}

/** The JSON in a base64 header. */
export const decode = (value) => JSON.parse(Buffer.from(value, 'base64').toString('utf8'));

/** The v2 offer in a 402's Payment-Required header. */
export const offerOf = (response) => decode(response.headers.get('payment-required'));

/** The receipt of a paid answer, of either generation; null when there is none. */
export function receiptOf(response) {
  const value = response.headers.get('payment-response')
    ?? response.headers.get('x-payment-response');
  return value === null ? null : decode(value);
}
