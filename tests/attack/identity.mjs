// Who paid, and that it was paid: said by those who cannot know.

import { decode, newAccount } from '../e2e/lib/wallet.mjs';
import { isServed, noting, tally } from './target.mjs';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64');

const VICTIM = newAccount().address;
const RECEIPT = encode({
  success: true, transaction: `0x${'ab'.repeat(32)}`, network: 'eip155:8453', payer: VICTIM,
});

/** The payer's header in every spelling, naming somebody else. */
const spellings = (name) => [
  { [name]: VICTIM }, { [name.toLowerCase()]: VICTIM }, { [name.replaceAll('-', '_')]: VICTIM },
  { [name]: [VICTIM, VICTIM] }, { [` ${name}`.trim().toUpperCase()]: VICTIM },
];

const names = (headers, what) => Object.values(headers).some((value) => `${value}`.includes(what));

/** What came to the upstream of requests that name the victim. */
async function payer(target) {
  const tries = await Promise.all(spellings(target.options.payerHeader).flatMap((headers) =>
    [target.path, target.options.free].map(async (path) => {
      const paid = path === target.path ? await target.newPayment() : null;
      const call = target.call(path);
      const got = await target.send(call, { headers: { ...paid?.headers, ...headers } });
      const seen = await target.executions(call.id);
      return { status: got.status, forged: seen.some((one) => names(one.headers, VICTIM)) };
    })));
  const forged = tries.filter((each) => each.forged).length;
  return { ok: !forged, did: `${tally(tries)}; believed ${forged} times` };
}

/** Payments, which are bearer tokens until they are used, do not reach the upstream. */
async function passedOn(target) {
  const tries = await Promise.all([{ dialect: 'v2' }, { dialect: 'v1' }].map(async (options) => {
    const [paid, call] = [await target.newPayment(options), target.call()];
    const got = await target.send(call, { payment: paid });
    const seen = await target.executions(call.id);
    return { status: got.status, passed: seen.some(({ headers }) => names(headers, paid.value)) };
  }));
  const passed = tries.filter((each) => each.passed).length;
  return { ok: !passed, did: `${tally(tries)}; ${passed} passed on` };
}

/** A client that brings a receipt: nobody behind may take it for the server's. */
async function receiptUp(target) {
  const tries = await Promise.all(['PAYMENT-RESPONSE', 'X-PAYMENT-RESPONSE'].flatMap((name) =>
    [target.path, target.options.free].map(async (path) => {
      const call = target.call(path);
      const paid = path === target.path ? await target.newPayment() : null;
      const got = await target.send(call, { headers: { ...paid?.headers, [name]: RECEIPT } });
      const passed = (await target.executions(call.id)).some(({ headers }) => names(headers, RECEIPT));
      return { status: got.status, name, passed, echoed: names(got.headers, RECEIPT) };
    })));
  const wrong = tries.filter(({ passed, echoed }) => passed || echoed);
  return { ok: !wrong.length, did: noting(tally(tries), 'passed on', wrong.map((each) => each.name)) };
}

/** An upstream that writes the receipt itself, or an offer that pays somebody else. */
async function receiptDown(target) {
  const offer = encode({
    x402Version: 2, resource: { url: 'http://x/' }, accepts: [{ ...target.asked, payTo: VICTIM }],
  });
  const forgeries = {
    'PAYMENT-RESPONSE': RECEIPT, 'X-PAYMENT-RESPONSE': RECEIPT, 'PAYMENT-REQUIRED': offer,
  };
  const answers = { '200': '', '402': '&do=status&n=402', '500': '&do=status&n=500' };
  const tries = await Promise.all(Object.entries(forgeries).flatMap(([name, value]) =>
    Object.entries(answers).map(async ([status, how]) => {
      const header = encodeURIComponent(`${name}: ${value}`);
      const call = target.call(target.path, `${how}&header=${header}`);
      const got = await target.send(call, { payment: await target.newPayment() });
      return { status: got.status, what: `${name} in a ${status}`, forged: names(got.headers, value) };
    })));
  const forged = tries.filter((each) => each.forged).map(({ what }) => what);
  return { ok: !forged.length, did: noting(tally(tries), 'passed on', forged) };
}

/** The receipt that comes names who paid. */
async function receipt(target) {
  const paid = await target.newPayment();
  const got = await target.send(target.call(), { payment: paid });
  const said = got.headers['payment-response'] && decode(got.headers['payment-response']);
  const own = said?.payer?.toLowerCase() === paid.message.from.toLowerCase();
  return {
    ok: isServed(got) && said?.success === true && own,
    did: said ? `success ${said.success}, payer ${own ? 'right' : 'wrong'}` : 'no receipt',
  };
}

export const identity = [
  { name: 'a forged payer header, paid and unpaid', correct: 'keeps it from the upstream',
    needs: ['payerHeader', 'free', 'counter'], run: payer },
  { name: 'payments on their way to the upstream', correct: 'keeps them back',
    needs: ['proxy', 'counter'], run: passedOn },
  { name: 'a client that forges a receipt', correct: 'keeps it from the upstream',
    needs: ['proxy', 'free', 'counter'], run: receiptUp },
  { name: 'an upstream that forges a receipt or an offer', correct: 'keeps it from the client',
    needs: ['testUpstream'], run: receiptDown },
  { name: 'a receipt', correct: 'names who paid', run: receipt },
];
