// Payments that are good, for something else.

import { newAccount, nowSeconds } from '../e2e/lib/wallet.mjs';
import { isServed, noting, tally } from './target.mjs';

const OTHER_CHAIN = 1_234_567;

/** Presents payments that must buy nothing; says which of them did. */
export async function buysNothing(target, variants, path = target.path) {
  const tries = await Promise.all(Object.entries(variants).map(async ([what, paid]) => {
    const call = target.call(path);
    const got = await target.send(call, { payment: await paid });
    return { what, status: got.status, executed: await target.executed(call, [got]) };
  }));
  const bought = tries.filter((each) => isServed(each) || each.executed).map(({ what }) => what);
  return { ok: !bought.length, did: noting(tally(tries), 'served', bought) };
}

async function route(target) {
  const dear = await target.offer(target.options.dear);
  const payer = await target.payer();
  return buysNothing(target, {
    'the price of another route': target.sign(payer),
    'and saying it is this one': target.sign(payer, { accepted: { ...dear, amount: dear.amount } }),
  }, target.options.dear);
}

async function chain(target) {
  const payer = await target.payer();
  const network = `eip155:${OTHER_CHAIN}`;
  return buysNothing(target, {
    'signed for another chain': target.sign(payer, { domain: { chainId: OTHER_CHAIN } }),
    'signed for and naming another chain': target.sign(payer, {
      domain: { chainId: OTHER_CHAIN }, accepted: { network } }),
    'naming another chain': target.sign(payer, { accepted: { network } }),
    'in v1': target.sign(payer, { dialect: 'v1', domain: { chainId: OTHER_CHAIN } }),
    'in v1 by its name': target.sign(payer, { dialect: 'v1', network: 'base', domain: { chainId: 8453 } }),
  });
}

async function payee(target) {
  const [payer, own] = [await target.payer(), newAccount().address];
  return buysNothing(target, {
    'to oneself': target.sign(payer, { message: { to: payer.address } }),
    'to another': target.sign(payer, { message: { to: own } }),
    'to another, and saying so': target.sign(payer, { message: { to: own }, accepted: { payTo: own } }),
    'to nobody': target.sign(payer, { message: { to: `0x${'0'.repeat(40)}` } }),
    'in v1': target.sign(payer, { dialect: 'v1', message: { to: own } }),
    'edited after it was signed': target.sign(payer, {
      message: { to: own },
      edit: (paid) => { paid.payload.authorization.to = target.asked.payTo; },
    }),
  });
}

async function asset(target) {
  const [payer, worthless] = [await target.payer(), newAccount().address];
  return buysNothing(target, {
    'signed for another token': target.sign(payer, { domain: { verifyingContract: worthless } }),
    'and naming it': target.sign(payer, {
      domain: { verifyingContract: worthless }, accepted: { asset: worthless } }),
    'another name of the token': target.sign(payer, { domain: { name: 'Test' } }),
    'another version': target.sign(payer, {
      domain: { version: '9' }, accepted: { extra: { ...target.asked.extra, version: '9' } } }),
  });
}

async function amount(target) {
  const payer = await target.payer();
  const less = target.price - 1n;
  const edited = (value) => target.sign(payer, {
    message: { value: less },
    edit: (paid) => { paid.payload.authorization.value = value; },
  });
  return buysNothing(target, {
    less: target.sign(payer, { message: { value: less } }),
    'less, and saying so': target.sign(payer, { message: { value: less }, accepted: { amount: String(less) } }),
    nothing: target.sign(payer, { message: { value: 0n } }),
    'edited after it was signed': edited(String(target.price)),
    'with a sign': edited(`+${target.price}`),
    'in hexadecimal': edited(`0x${target.price.toString(16)}`),
    'in exponents': edited(`${target.price}e0`),
    'as a fraction': edited(`${target.price}.0`),
    'in v1': target.sign(payer, { dialect: 'v1', message: { value: less } }),
  });
}

async function time(target) {
  const payer = await target.payer();
  const now = BigInt(nowSeconds());
  return buysNothing(target, {
    expired: target.sign(payer, { message: { validBefore: now - 1n } }),
    'expiring now': target.sign(payer, { message: { validBefore: now + 1n } }),
    'not valid yet': target.sign(payer, { message: { validAfter: now + 250n } }),
  });
}

async function signer(target) {
  const victim = await target.payer();
  return buysNothing(target, {
    'in v2': target.sign(victim, { signer: newAccount() }),
    'in v1': target.sign(victim, { dialect: 'v1', signer: newAccount() }),
    'in the flat form': target.sign(victim, { dialect: 'flat', signer: newAccount() }),
  });
}

export const substitution = [
  { name: 'a cheap route\'s payment at a dear one', correct: 'refuses', needs: ['dear'], run: route },
  { name: 'another chain', correct: 'refuses', run: chain },
  { name: 'another payee', correct: 'refuses', run: payee },
  { name: 'another token', correct: 'refuses', run: asset },
  { name: 'another amount', correct: 'refuses', run: amount },
  { name: 'another time', correct: 'refuses', run: time },
  { name: 'signed by somebody else', correct: 'refuses', run: signer },
];
