#!/usr/bin/env node
// Buys one HTTP call with the flat payment form: one file, to copy. Needs viem.
//
//   node flat-client.mjs URL --key FILE      (the file holds the payer's private key)

import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { privateKeyToAccount } from 'viem/accounts';

// The money this client is willing to part with: USDC, by network.
const USDC = {
  'eip155:8453': '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913',
  'eip155:84532': '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
};

const TYPES = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' }, { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' }, { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' }, { name: 'nonce', type: 'bytes32' },
  ],
};

const toBase64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64');
const fromBase64 = (text) => JSON.parse(Buffer.from(text, 'base64').toString());

/** Signs what the offer asks for; the result is the value of an X-PAYMENT header. */
export async function pay(account, offer) {
  const chainId = Number(offer.network.replace('eip155:', ''));
  const nonce = `0x${randomBytes(32).toString('hex')}`;
  const expiry = Math.floor(Date.now() / 1000) + offer.maxTimeoutSeconds;
  const signature = await account.signTypedData({
    domain: {
      name: offer.extra.name, version: offer.extra.version, chainId,
      verifyingContract: offer.asset,
    },
    types: TYPES,
    primaryType: 'TransferWithAuthorization',
    message: {
      from: account.address, to: offer.payTo, value: BigInt(offer.amount),
      validAfter: 0n, validBefore: BigInt(expiry), nonce,
    },
  });
  return toBase64({ signature, nonce, expiry, amount: offer.amount, from: account.address });
}

/**
 * fetch that pays once when it is asked to, and never more than `max` token units
 * (USDC has six decimals: 100000 is $0.10).
 */
export async function fetchPaid(account, url, { max = 100_000n, ...options } = {}) {
  const first = await fetch(url, options);
  const required = first.headers.get('payment-required');
  if (first.status !== 402 || !required) return first;
  const offer = fromBase64(required).accepts[0]; // the one the flat form pays
  if (offer.asset.toLowerCase() !== USDC[offer.network]?.toLowerCase()) {
    throw new Error(`it wants ${offer.asset} on ${offer.network}, which is not USDC known here`);
  }
  if (BigInt(offer.amount) > max) throw new Error(`it costs ${offer.amount}, more than ${max}`);
  const headers = { ...options.headers, 'X-PAYMENT': await pay(account, offer) };
  return fetch(url, { ...options, headers });
}

async function main([url, option, file]) {
  if (!url || option !== '--key' || !file) {
    console.error('usage: flat-client.mjs URL --key FILE');
    process.exit(2);
  }
  const account = privateKeyToAccount((await readFile(file, 'utf8')).trim());
  const response = await fetchPaid(account, url);
  console.log(await response.text());
  const receipt = response.headers.get('x-payment-response');
  if (receipt) console.error('receipt:', fromBase64(receipt));
  process.exitCode = response.ok ? 0 : 1;
}

const isProgram = import.meta.url === pathToFileURL(process.argv[1] ?? '').href;
if (isProgram) await main(process.argv.slice(2));
