// One payment, many times.

import http2 from 'node:http2';
import net from 'node:net';
import { requestHttp2 } from '../e2e/lib/raw.mjs';
import { isServed, tally } from './target.mjs';

/** Whether the answers to one payment and the executions are one each. */
async function once(target, calls, answers) {
  const served = answers.filter(isServed).length;
  const counts = await Promise.all(calls.map((call) => target.executed(call, answers)));
  const executed = target.has('counter') ? counts.reduce((sum, n) => sum + n, 0) : served;
  return { ok: served === 1 && executed === 1, did: `${tally(answers)}; executed ${executed}` };
}

/** Copies whose last bytes arrive together, each on a connection of its own. */
async function storm(target, count) {
  const [paid, call] = [await target.newPayment(), target.call()];
  const address = target.client();
  const text = `GET ${call.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${paid.name}: ${paid.value}\r\n\r\n`;
  const connections = await Promise.all(Array.from({ length: count }, () => target.raw(address)));
  for (const connection of connections) connection.write(text.slice(0, -1));
  for (const connection of connections) connection.write(text.slice(-1));
  const answers = await Promise.all(connections.map((connection) => connection.readResponse()));
  for (const connection of connections) connection.end();
  return once(target, [call], answers);
}

async function afterwards(target) {
  const [paid, call] = [await target.newPayment(), target.call()];
  const answers = [];
  for (let i = 0; i < 10; i++) answers.push(await target.send(call, { payment: paid }));
  return once(target, [call], answers);
}

async function elsewhere(target) {
  const paid = await target.newPayment();
  const calls = Array.from({ length: 20 }, (_, i) =>
    target.call(i % 2 ? target.options.other : target.path));
  const answers = await Promise.all(calls.map((call) => target.send(call, { payment: paid })));
  return once(target, calls, answers);
}

async function dialects(target) {
  const payer = await target.payer();
  const first = await target.sign(payer);
  const others = await Promise.all(['v1', 'flat'].map((dialect) =>
    target.sign(payer, { dialect, message: first.message })));
  const call = target.call();
  const answers = await Promise.all([first, ...others, first, ...others].map((paid) =>
    target.send(call, { payment: paid })));
  return once(target, [call], answers);
}

async function methods(target) {
  const [paid, call] = [await target.newPayment(), target.call()];
  const answers = await Promise.all(['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH'].map((method) =>
    target.send(call, { payment: paid, method })));
  return once(target, [call], answers);
}

async function overHttp2(target) {
  const [paid, call] = [await target.newPayment(), target.call()];
  const port = Number(target.options.http2);
  const localAddress = target.client();
  const session = http2.connect(`http://127.0.0.1:${port}`, {
    createConnection: () => net.connect({ port, host: '127.0.0.1', localAddress }),
  });
  session.on('error', () => {});
  const answers = await Promise.all(Array.from({ length: 50 }, () =>
    requestHttp2(session, call.path, { headers: paid.headers }).response));
  session.destroy();
  return once(target, [call], answers);
}

export const replay = [
  { name: '50 copies at once', correct: 'serves one', run: (target) => storm(target, 50) },
  { name: '500 copies at once', correct: 'serves one', run: (target) => storm(target, 500) },
  { name: 'copies one after the other', correct: 'serves one', run: afterwards },
  { name: 'copies to two routes at once', correct: 'serves one', needs: ['other'], run: elsewhere },
  { name: 'one authorization in every dialect at once', correct: 'serves one', run: dialects },
  { name: 'copies with six methods at once', correct: 'serves one', run: methods },
  { name: '50 copies on one HTTP/2 connection', correct: 'serves one', needs: ['http2'], run: overHttp2 },
];
