// Payment headers that come twice, in pieces, or too large.

import { isServed, noting, tally } from './target.mjs';

const KIB = 1024;

/** One raw request, with these header lines. */
const rawGet = (call, lines) =>
  `GET ${call.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`;

/**
 * Sends header lines made of two payments; then each payment honestly. Together a payment
 * buys one call, whatever became of it among the tricks.
 */
async function eachBuysOne(target, tricks) {
  const tries = await Promise.all(Object.entries(tricks).map(async ([what, make]) => {
    const payer = await target.payer();
    const v2 = await Promise.all([target.sign(payer), target.sign(payer)]);
    const v1 = await Promise.all(v2.map(({ message }) =>
      target.sign(payer, { dialect: 'v1', message })));
    const [trick, honest] = [target.call(), target.call()];
    const first = await target.exchange(rawGet(trick, make(v2, v1)));
    const answers = [];
    for (const paid of v2) answers.push(await target.send(honest, { payment: paid }));
    const served = [first, ...answers].filter(isServed).length;
    return { what, first, served, ran: await target.executed(trick, [first]) };
  }));
  const wrong = tries.filter(({ served, ran }) => served !== 2 || ran > 1);
  const did = tally(tries.map(({ first }) => first));
  const bought = wrong.map(({ served, what }) => `${served} (${what})`);
  return { ok: !wrong.length, did: noting(did, 'two payments bought', bought) };
}

const line = ({ name, value }, written = name) => `${written}: ${value}`;
const halves = ({ value }) => [value.slice(0, value.length / 2), value.slice(value.length / 2)];

const duplicated = {
  'two payments': (v2) => v2.map((one) => line(one)),
  'one payment twice': ([one]) => [line(one), line(one)],
  'both generations': ([one], [, other]) => [line(one), line(other)],
  'both generations of one': ([one], [same]) => [line(one), line(same)],
  'an underscore': ([one, other]) => [line(one), line(other, 'PAYMENT_SIGNATURE')],
  'two in one line': ([one, other]) => [`${line(one)}, ${other.value}`],
  'an empty one before': ([one]) => [`${one.name}:`, line(one)],
  'another case': ([one, other]) => [line(one), line(other, 'payment-signature')],
};

const folded = {
  'in two lines': ([one]) => [`${one.name}: ${halves(one)[0]}`, ` ${halves(one)[1]}`],
  'behind a tab': ([one]) => [`${one.name}:`, `\t${one.value}`],
  'into another header': ([one]) => ['X-Other: a', ` ${line(one)}`],
  'a space before the colon': ([one]) => [`${one.name} : ${one.value}`],
  'a null within': ([one]) => [`${one.name}: ${halves(one).join('\0')}`],
  'a bare CR within': ([one]) => [`${one.name}: ${halves(one).join('\r')}`],
  'a bare LF within': ([one]) => [`${one.name}: ${halves(one).join('\n')}`],
  'a space within': ([one]) => [`${one.name}: ${halves(one).join(' ')}`],
  'in the trailer of nothing': ([one]) => ['Trailer: PAYMENT-SIGNATURE', 'TE: trailers', `X-Other: ${one.value}`],
};

/** What is too large is refused, and the server serves on. */
async function oversized(target) {
  const call = target.call();
  const { name, value } = await target.newPayment();
  const json = Buffer.from(value, 'base64').toString('utf8');
  const padded = Buffer.from(`${json}${' '.repeat(7 * KIB)}`).toString('base64');
  const junk = {
    'no payment in 7 KiB': [`${name}: ${'A'.repeat(7 * KIB)}`],
    'in 20 KiB': [`${name}: ${'A'.repeat(20 * KIB)}`],
    'in 1 MiB': [`${name}: ${'A'.repeat(KIB * KIB)}`],
    'in 2000 headers': Array.from({ length: 2000 }, (_, i) => `X-${i}: ${'a'.repeat(50)}`),
    'behind a name of 10 KiB': [`${'N'.repeat(10 * KIB)}: 1`],
    'nested JSON': [`${name}: ${Buffer.from('['.repeat(4000)).toString('base64')}`],
  };
  const answers = await Promise.all(Object.values(junk).map((lines) => target.exchange(rawGet(call, lines))));
  const large = await target.exchange(rawGet(call, [`${name}: ${padded}`]));
  await target.buy();
  const executed = await target.executed(call, [...answers, large]);
  return {
    ok: !answers.some(isServed) && executed <= 1,
    did: `${tally(answers)}; a payment padded to 9 KiB ${large.status}; serves on`,
  };
}

export const headers = [
  { name: 'duplicated payment headers', correct: 'one call a payment, and none is lost',
    run: (target) => eachBuysOne(target, duplicated) },
  { name: 'folded and broken payment headers', correct: 'one call a payment, and none is lost',
    run: (target) => eachBuysOne(target, folded) },
  { name: 'oversized headers', correct: 'refuses, and serves on', run: oversized },
];
