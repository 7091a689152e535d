// What payers and others do with an authorization, and with money, behind the gateway's back.

import assert from 'node:assert/strict';
import { encodeFunctionData, keccak256 } from 'viem';
import { CHAIN_ID } from './chain.mjs';
import { DOMAIN } from './wallet.mjs';

/** Pays for the gas of others' transactions, and takes what is drained. */
export const SOMEBODY = '0x00000000000000000000000000000000000000aa';

/** The arguments of transferWithAuthorization(…, bytes). */
export const transferArguments = ({ message: m, signature }) =>
  [m.from, m.to, m.value, m.validAfter, m.validBefore, m.nonce, signature];

/** Somebody else puts an authorization to its use; gives the receipt. */
export async function useElsewhere(chain, paid) {
  await chain.giveGas(SOMEBODY);
  const receipt = await chain.sendAs(
    SOMEBODY, 'transferWithAuthorization', ...transferArguments(paid));
  assert.equal(receipt.status, '0x1');
  return receipt;
}

/** The call that puts an authorization to its use, as a transaction's data. */
export const useData = (chain, paid) => encodeFunctionData({
  abi: chain.abi, functionName: 'transferWithAuthorization', args: transferArguments(paid),
});

/**
 * A transaction of an account, signed and not sent: {raw, hash}. `fields` are its own; the
 * rest is enough for a call to the token.
 */
export async function signedBy(signer, fields) {
  const raw = await signer.signTransaction({
    type: 'eip1559', chainId: CHAIN_ID, gas: 200_000n, value: 0n,
    maxFeePerGas: 4_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n, ...fields,
  });
  return { raw, hash: keccak256(raw) };
}

/** Its payer cancels an authorization; gives the receipt. */
export async function cancel(chain, payer, { message: { nonce } }) {
  const signature = await payer.signTypedData({
    domain: DOMAIN, primaryType: 'CancelAuthorization',
    types: { CancelAuthorization: [
      { name: 'authorizer', type: 'address' }, { name: 'nonce', type: 'bytes32' },
    ] },
    message: { authorizer: payer.address, nonce },
  });
  const receipt = await chain.send('cancelAuthorization', payer.address, nonce, signature);
  assert.equal(receipt.status, '0x1');
  return receipt;
}

/** A payer moves its money away: all of it, or `value` units. */
export async function drain(chain, payer, value) {
  await chain.giveGas(payer.address);
  const all = value ?? (await chain.balance(payer.address));
  const receipt = await chain.sendAs(payer.address, 'transfer', SOMEBODY, all);
  assert.equal(receipt.status, '0x1');
  return receipt;
}
