// A signature's twins: other bytes that some verifier takes for the same consent.

import { serializeCompactSignature, parseSignature, signatureToCompactSignature } from 'viem';
import { withHighS, withV } from '../e2e/lib/wallet.mjs';
import { buysNothing } from './substitution.mjs';
import { isServed, noting, tally } from './target.mjs';

const ZERO = '0'.repeat(64);
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';

const r = (signature) => signature.slice(2, 66);
const s = (signature) => signature.slice(66, 130);
const v = (signature) => signature.slice(130);

/** What USDC takes for no signature at all. */
const invalid = {
  'high s': withHighS,
  'high s, v kept': (one) => withV(withHighS(one), parseInt(v(one), 16)),
  'v 29': (one) => withV(one, 29),
  'v 26': (one) => withV(one, 26),
  'v 2': (one) => withV(one, 2),
  'v 255': (one) => withV(one, 255),
  'the other v': (one) => withV(one, v(one) === '1b' ? 28 : 27),
  'r 0': (one) => `0x${ZERO}${s(one)}${v(one)}`,
  's 0': (one) => `0x${r(one)}${ZERO}${v(one)}`,
  'r of the order': (one) => `0x${ORDER}${s(one)}${v(one)}`,
  's of the order': (one) => `0x${r(one)}${ORDER}${v(one)}`,
  'all zero': () => `0x${ZERO}${ZERO}1b`,
  empty: () => '0x',
  'cut short': (one) => one.slice(0, -4),
  'wrapped in ERC-6492': (one) => `${one}${'6492'.repeat(16)}`,
};

/** The same r and s, written otherwise: one of them and the original buy one call at most. */
const alike = {
  'v 0 or 1': (one) => withV(one, parseInt(v(one), 16) - 27),
  compact: (one) => serializeCompactSignature(signatureToCompactSignature(parseSignature(one))),
  'in capitals': (one) => `0x${one.slice(2).toUpperCase()}`,
  'without 0x': (one) => one.slice(2),
  'with a byte more': (one) => `${one}00`,
};

async function neverServed(target) {
  const payer = await target.payer();
  return buysNothing(target, Object.fromEntries(Object.entries(invalid).map(([what, alter]) =>
    [what, target.sign(payer, { alter })])));
}

/** A twin first, then the original, then the twin again. */
async function twins(target, alters) {
  const rounds = await Promise.all(Object.entries(alters).map(async ([what, alter]) => {
    const payer = await target.payer();
    const good = await target.sign(payer);
    const twin = await target.sign(payer, { message: good.message, alter });
    const call = target.call();
    const answers = [];
    for (const paid of [twin, good, twin]) answers.push(await target.send(call, { payment: paid }));
    return { what, answers, executed: await target.executed(call, answers) };
  }));
  const wrong = rounds
    .filter(({ answers, executed }) => executed !== 1 || answers.filter(isServed).length !== 1)
    .map(({ what, executed }) => `${what} (${executed})`);
  const all = tally(rounds.flatMap(({ answers }) => answers));
  return { ok: !wrong.length, did: noting(all, 'not once', wrong) };
}

export const signatures = [
  { name: 'signatures that USDC refuses (high s, v 29, r or s out of range, cut, wrapped)',
    correct: 'refuses', run: neverServed },
  { name: 'a twin with a high s before and after the original',
    correct: 'serves the original, once', run: (target) => twins(target, { 'high s': withHighS }) },
  { name: 'the same signature written otherwise (v 0 and 1, compact, capitals, a byte more)',
    correct: 'serves one of them, once', run: (target) => twins(target, alike) },
];
