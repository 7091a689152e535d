// One request to the server, two to its upstream, or the other way round: whoever shares a
// connection with it would get another's answer, or a call that nobody paid for.

import { requestFrames } from './h2.mjs';
import { noting, tally } from './target.mjs';

const isGood = (status) => status < 300;
const hex = (text) => text.length.toString(16);

/** A whole request for what is sold, unpaid: it must never be executed. */
const inner = (target, id) => `GET ${target.path}?id=${id} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Rest: `;

const end = '\r\n\r\n';

/** How a body is told to end, twice. Each gives header lines and body for an inner request. */
const clTe = (te) => (x) => [[`Content-Length: ${`0${end}${x}${end}`.length}`, te], `0${end}${x}${end}`];
const teCl = (te) => (x) => [['Content-Length: 4', te], `${hex(x + end)}\r\n${x}${end}\r\n0${end}`];

const CHUNKED = 'Transfer-Encoding: chunked';

const hiddenTe = [
  'Transfer-Encoding: xchunked', 'Transfer-Encoding : chunked', 'Transfer-Encoding:\tchunked',
  'Transfer-Encoding:\x0bchunked', 'Transfer-Encoding: chunked\x00',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked', 'Transfer-Encoding: "chunked"', 'Transfer-Encoding:\r\n chunked',
  'X: y\nTransfer-Encoding: chunked', 'X: y\rTransfer-Encoding: chunked', 'Transfer_Encoding: chunked',
  'Transfer-Encoding: CHUNKED ', '\x00Transfer-Encoding: chunked', 'Transfer-Encoding: chunked;a=b',
];

const lengths = (x) => {
  const size = (x + end).length;
  return ['Content-Length: 0\r\nContent-Length: {}', 'Content-Length: {}\r\nContent-Length: 0', 'Content-Length: 0, {}',
    'Content-Length: {}, {}', 'Content-Length: +{}', 'Content-Length: 0x{}', 'Content-Length: {} 0', 'Content-Length: -1',
    'Content-Length : {}', 'Content-Length: {}\x00', 'Content-Length:\r\n {}', 'Content-Length: 18446744073709551616',
    'X: y\nContent-Length: {}', 'Content_Length: {}', 'Content-Length: 1e2', 'Content-Length:']
    .map((text) => [[text.replaceAll('{}', size)], x + end]);
};

const chunkTricks = (x) => [
  `1;${'a'.repeat(200)}\r\nx\r\n0${end}`, `1;a="\r\nx\r\n0${end}`, `1;\nx\r\n0${end}`, `1;a=\n5\r\nx\r\n0${end}`,
  `2;\nxx\r\n${hex(x)}\r\n0${end}${x}${end}`, `10000000000000000\r\nx\r\n0${end}`, `0x1\r\nx\r\n0${end}`, `1 \r\nx\r\n0${end}`,
  `-1\r\nx\r\n0${end}`, `1\nx\n0\n\n`, `1\r\nxyz\r\n0${end}`, `0\r\nX-Trailer: 1\r\nContent-Length: 9${end}`, `0\n\r\n`,
  `1\r\nx0${end}`, `00000000000000000000001\r\nx\r\n0${end}`,
].map((body) => [[CHUNKED], `${body}${x}${end}`]);

const heads = {
  'LF only': (line, lines) => `${[line, ...lines].join('\n')}\n\n`,
  'CR only': (line, lines) => `${[line, ...lines].join('\r')}\r\r`,
  'folded lines': (line, lines) => `${line}\r\nX-Folded: a\r\n ${lines.join('\r\n ')}${end}`,
  'folded Host': (line, lines) => `${line}\r\nHost: 127.0.0.1\r\n\tX: y\r\n${lines.join('\r\n')}${end}`,
  'a line without a colon': (line, lines) => `${line}\r\nnonsense\r\n${lines.join('\r\n')}${end}`,
  'two Hosts': (line, lines) => `${line}\r\nHost: elsewhere.example\r\n${lines.join('\r\n')}${end}`,
  'an empty name': (line, lines) => `${line}\r\n: a\r\n${lines.join('\r\n')}${end}`,
  'a space before all': (line, lines) => `${line}\r\n X: a\r\n${lines.join('\r\n')}${end}`,
};

const crlf = (line, lines) => `${line}\r\n${lines.join('\r\n')}${end}`;

/** Request lines of the outer request: to a free path where there is one, for that is forwarded. */
const outerLine = (target, call, version = 'HTTP/1.1') =>
  `POST ${target.has('free') ? call.path.replace(target.path, target.options.free) : call.path} ${version}`;

/**
 * Sends each shape on a connection of its own, then honest calls. `shapes` gives
 * {what: [lines, body, head]} for the text of an inner request.
 */
async function smuggle(target, shapes, { version } = {}) {
  const paid = await target.newPayment(); // for the outer request, where nothing is free
  const tries = await Promise.all(shapes('').map(async (_, i) => {
    const [outer, hidden] = [target.call(), target.call()];
    const [lines, body, head = crlf] = shapes(inner(target, hidden.id))[i];
    const all = ['Host: 127.0.0.1', ...(target.has('free') ? [] : [`${paid.name}: ${paid.value}`]), ...lines];
    const { statuses } = await target.exchange(head(outerLine(target, outer, version), all) + body, 2_000);
    const finals = statuses.filter((status) => status >= 200);
    const stolen = (await target.executed(hidden)) > 0;
    const shown = JSON.stringify(lines.join('\r\n')).slice(0, 60);
    return { status: finals[0] ?? 0, finals, stolen, shown };
  }));
  for (let i = 0; i < 3; i++) await target.buy();
  const wrong = tries.filter(({ finals, stolen }) => stolen || finals.filter(isGood).length > 1);
  const shown = wrong.map((each) => `${each.shown} (${each.stolen ? 'executed' : each.finals.join(' and ')})`);
  return { ok: !wrong.length, did: noting(tally(tries), 'two requests', shown) };
}

/** An unpaid request's body that looks like a request, which the server has no reason to read. */
async function unread(target) {
  const tries = await Promise.all([[], ['Expect: 100-continue'], ['Expect: 200-maybe']].map(async (more) => {
    const [outer, hidden] = [target.call(), target.call()];
    const body = `${inner(target, hidden.id)}${end}`;
    const lines = ['Host: 127.0.0.1', `Content-Length: ${body.length}`, ...more];
    const { statuses } = await target.exchange(crlf(`POST ${outer.path} HTTP/1.1`, lines) + body);
    return statuses.filter((status) => status >= 200);
  }));
  return {
    ok: tries.every((finals) => finals.length <= 1),
    did: tries.map((finals) => finals.join(' then ') || 'closed').join(', '),
  };
}

/** Answers on one connection come in the order of the questions, and none too many. */
async function pipelined(target) {
  const [paid, unpaid] = [target.call(), target.call()];
  const { name, value } = await target.newPayment();
  const { statuses } = await target.exchange(
    `GET ${paid.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${name}: ${value}${end}`
    + `GET ${unpaid.path} HTTP/1.1\r\nHost: 127.0.0.1${end}`);
  const executed = await target.executed(unpaid);
  return { ok: statuses.join() === '200,402' && !(target.has('counter') && executed), did: statuses.join(' then ') };
}

const field = (target, call, more, changed = {}) => {
  const pseudo = { ':method': 'POST', ':scheme': 'http', ':authority': '127.0.0.1', ':path': call.path, ...changed };
  return [...Object.entries(pseudo), ...more];
};

/** What HTTP/2 can say and HTTP/1.1, to which it is downgraded, would read as more. */
async function downgrade(target) {
  const inject = (x) => `a${end}${x}${end}`;
  const shapes = [
    (x) => [[['transfer-encoding', 'chunked']], {}, `0${end}${x}${end}`],
    (x) => [[['content-length', '0']], {}, `${x}${end}`],
    (x) => [[['content-length', String(x.length + 50)]], {}, x],
    (x) => [[['content-length', '0'], ['content-length', String(x.length)]], {}, x],
    (x) => [[['x-other', inject(x)]], {}],
    (x) => [[['x-other', `a\r\nTransfer-Encoding: chunked`]], {}, `0${end}${x}${end}`],
    (x) => [[[`x-other: a${end}${x}`, 'b']], {}],
    (x) => [[['connection', 'transfer-encoding'], ['te', 'chunked']], {}, x],
    (x) => [[], { ':path': `${target.options.free ?? target.path} HTTP/1.1\r\nHost: a${end}${x}${end}` }],
    (x) => [[], { ':method': `GET ${target.path} HTTP/1.1\r\nHost: a${end}${x}${end}GET` }],
    (x) => [[], { ':authority': inject(x) }],
    (x) => [[['host', 'elsewhere.example']], { ':authority': '' }, x],
    () => [[[':path', target.path]], {}],
    () => [[['X-Upper', '1']], {}],
  ];
  const tries = await Promise.all(shapes.map(async (shape) => {
    const [outer, hidden] = [target.call(target.options.free ?? target.path), target.call()];
    const [more, changed, body] = shape(inner(target, hidden.id));
    const outcome = await requestFrames(
      Number(target.options.http2), field(target, outer, more, changed), body, target.client());
    return { outcome, stolen: (await target.executed(hidden)) > 0 };
  }));
  for (let i = 0; i < 3; i++) await target.buy();
  const counts = new Map();
  for (const { outcome } of tries) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const stolen = tries.filter((each) => each.stolen).length;
  return { ok: !stolen, did: `${[...counts].map(([what, n]) => `${what} x${n}`).join(', ')}; ${stolen} executed` };
}

/** After all of it, on the upstream's connections: everybody gets their own answer. */
async function ownAnswers(target) {
  const calls = Array.from({ length: 40 }, () => target.call(target.path, '&do=echo'));
  const answers = await Promise.all(calls.map((call) => target.buy(call)));
  const own = answers.filter((got, i) => got.json.url.includes(`id=${calls[i].id}`)).length;
  return { ok: own === calls.length, did: `${own} of ${calls.length} got their own answer` };
}

const nothing = 'executes nothing that hides in another request';
const row = (name, shapes, more) => ({
  name, correct: nothing, run: (target) => smuggle(target, shapes, more),
});

export const smuggling = [
  row('CL.TE', (x) => [clTe(CHUNKED)(x), clTe('transfer-encoding: Chunked')(x)]),
  row('TE.CL', (x) => [teCl(CHUNKED)(x), teCl('transfer-encoding: Chunked')(x)]),
  row('TE.TE and hidden Transfer-Encoding', (x) => hiddenTe.flatMap((te) => [clTe(te)(x), teCl(te)(x)])),
  row('Content-Length twice, and what is no number', lengths),
  row('chunk extensions, sizes and trailers', chunkTricks),
  row('obs-fold, LF only and broken lines', (x) => Object.values(heads).map((head) =>
    [[`Content-Length: ${(x + end).length}`], x + end, head])),
  row('HTTP/1.0 with chunks', (x) => [clTe(CHUNKED)(x), [[CHUNKED], `0${end}${x}${end}`]], { version: 'HTTP/1.0' }),
  { name: 'a request in the body of an unpaid one', correct: 'one answer', run: unread },
  { name: 'an unpaid request behind a paid one', correct: 'answers 200, then 402', run: pipelined },
  { name: 'HTTP/2 that says more when it is downgraded', correct: nothing, needs: ['http2', 'counter'], run: downgrade },
  { name: 'the upstream\'s connections afterwards', correct: 'everybody gets their own answer',
    needs: ['testUpstream'], run: ownAnswers },
];
