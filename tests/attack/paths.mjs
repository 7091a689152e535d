// Requests that one reader takes for something free, or for nothing, and another for what
// is sold. Nobody pays here: what the upstream executes of it was taken for free.

import { isServed, noting, tally } from './target.mjs';

const UNFOLDINGS = 3; // what was escaped twice, and once more

/** A path as the most lenient upstream might read it. */
function lenient(target) {
  let path = target.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/[?#].*$/s, '');
  for (let i = 0; i < UNFOLDINGS; i++) {
    path = path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  }
  const kept = [];
  for (const part of path.replace(/\\/g, '/').split('/')) {
    const name = part.replace(/;.*$/, '').replace(/\0.*$/s, '').trim().toLowerCase();
    if (name === '..') kept.pop();
    else if (name !== '.' && name !== '') kept.push(name);
  }
  return `/${kept.join('/')}`;
}

/** Whether a reader could take what was executed for what is sold. */
function isSold(target, url) {
  const folder = target.path.replace(/[^/]*$/, '').toLowerCase();
  const path = lenient(url);
  return path.startsWith(folder) || `${path}/` === folder;
}

/** What the upstream executed for nothing; where nobody counts, what was answered 2xx. */
async function taken(target, id, answer) {
  const executions = await target.executions(id);
  if (executions) return executions.some(({ url }) => isSold(target, url));
  return isServed(answer);
}

/**
 * Sends raw requests, each for a call of its own. A variant is a target, or {line,
 * headers}: a request line, and header lines. {id} is where the call's id goes.
 */
async function unpaid(target, variants) {
  const tries = await Promise.all(variants.map(async (variant) => {
    const { id } = target.call();
    const { line, headers = '' } = variant.line === undefined
      ? { line: `GET ${variant} HTTP/1.1` } : variant;
    const query = line.includes('{id}') ? line : line.replace(/ (HTTP\/.*)$/, '?id={id} $1');
    const text = `${query}\r\n${headers}Host: 127.0.0.1\r\nConnection: close\r\n\r\n`;
    const answer = await target.exchange(text.replaceAll('{id}', id));
    return { line, status: answer.status, taken: await taken(target, id, answer) };
  }));
  const got = tries.filter((each) => each.taken).map(({ line }) => `\`${line}\``);
  return { ok: !got.length, did: noting(tally(tries), 'taken', got) };
}

/** The parts of what is sold: /api/x is in /api/, and called x. */
function partsOf(target) {
  const at = target.path.lastIndexOf('/');
  return { sold: target.path, folder: target.path.slice(0, at), name: target.path.slice(at + 1) };
}

/** `make` gives the variants, from the sold path's parts and a free folder (or none). */
const row = (name, make, more = {}) => ({
  name, correct: 'serves nothing for free',
  run: (target) => {
    const free = target.has('free') ? target.options.free.replace(/\/[^/]*$/, '') : null;
    return unpaid(target, make(partsOf(target), free));
  },
  ...more,
});

/** From inside a free folder to what is sold, with `up` for "..", `slash` for "/". */
const climb = (free, { sold }, up, slash = '/') =>
  (free === null ? [] : [`${free}/${up}${slash}${sold.slice(1)}`, `${free}${slash}${up}${slash}${sold.slice(1)}`,
    `${free}/${up}${slash}${sold.slice(1).replaceAll('/', slash)}`]);

const requests = (lines, headers = ['']) =>
  lines.flatMap((line) => headers.map((each) => ({ line, headers: each })));

/** Headers by which some frameworks take another path or method for the request's. */
const PATH_HEADERS = ['X-Original-URL', 'X-Rewrite-URL'];
const METHOD_HEADERS = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'];

/** On a free path, naming a sold one: it must not come to the upstream. */
async function pathHeaders(target) {
  const tries = await Promise.all(PATH_HEADERS.map(async (name) => {
    const call = target.call(target.options.free);
    const got = await target.send(call, { headers: { [name]: target.path } });
    const executions = await target.executions(call.id);
    const passed = executions.some(({ headers }) => name.toLowerCase() in headers);
    return { name, passed, status: got.status };
  }));
  const passed = tries.filter((each) => each.passed).map((each) => each.name);
  return { ok: !passed.length, did: noting(tally(tries), 'passed on', passed) };
}

export const paths = [
  row('encoded slash (%2f, %252f)', ({ folder, name, sold }, free) => [
    `${folder}%2f${name}`, `${folder}%2F${name}`, `${folder}%252f${name}`, `/%2f${sold.slice(1)}`,
    ...climb(free, { sold }, '..', '%2f'), ...climb(free, { sold }, '..', '%252f'),
  ]),
  row('backslash', ({ folder, name, sold }, free) => [
    `${folder}\\${name}`, `${folder}%5c${name}`, `${folder}%255c${name}`, `\\${sold.slice(1)}`,
    ...climb(free, { sold }, '..', '\\'), ...climb(free, { sold }, '..', '%5c'),
  ]),
  row('dot segments', ({ folder, name, sold }, free) => [
    `/.${sold}`, `${folder}/./${name}`, `${folder}/x/../${name}`, `/x/..${sold}`, `/..${sold}`,
    ...climb(free, { sold }, '..'), ...climb(free, { sold }, '%2e%2e'), ...climb(free, { sold }, '.%2e'),
    ...climb(free, { sold }, '%252e%252e'), ...climb(free, { sold }, '..;'), ...climb(free, { sold }, '..;a=b'),
    ...climb(free, { sold }, '.. '), ...climb(free, { sold }, '..%00'), ...climb(free, { sold }, '..%20'),
  ]),
  row('double slashes', ({ folder, name, sold }, free) => [
    `/${sold}`, `//${sold}`, `${folder}//${name}`, ...(free === null ? [] : [`${free}//..${sold}`, `/${free}/../${sold}`]),
  ]),
  row('case', ({ sold, folder, name }) => [
    sold.toUpperCase(), `${folder.toUpperCase()}/${name}`, `${folder}/${name.toUpperCase()}`,
    sold.replace(/[a-z]/, (letter) => `%${letter.toUpperCase().charCodeAt(0).toString(16)}`),
    sold.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  ]),
  row('trailing slash, dot, space', ({ sold, folder }) => [
    `${sold}/`, `${sold}//`, `${sold}.`, `${sold}/.`, `${sold}%20`, `${sold}%09`, `${folder}`, `${folder}/`,
  ]),
  row('semicolon', ({ sold, folder, name }, free) => [
    `${sold};`, `${sold};a=b`, `${folder};a/${name}`, `/;${sold}`, `/;a=b${sold}`,
    ...(free === null ? [] : [`${free};/..${sold}`, `${free}/..;${sold}`, `${free};/../${sold}`]),
  ]),
  row('null byte and control characters', ({ sold }, free) => [
    `${sold}%00`, `${sold}%00.css`, `%00${sold}`, `/%00${sold}`, `${sold}\0`, `${sold}%0a`, `${sold}%0d%0a`,
    `${sold}%7f`, `${sold}%01`, ...(free === null ? [] : [`${free}/%00/..${sold}`, `${free}%0a/..${sold}`]),
  ]),
  row('unicode and malformed escapes', ({ sold, folder, name }, free) => [
    `${folder}%c0%af${name}`, `${folder}%e0%80%af${name}`, `${folder}%ef%bc%8f${name}`, `${folder}%u002f${name}`,
    `${folder}\xef\xbc\x8f${name}`, `${sold}%`, `${sold}%2`, `${sold}%zz`, `%${sold.slice(1)}`, `${folder}/%${name}`,
    ...climb(free, { sold }, '%c0%ae%c0%ae'), ...climb(free, { sold }, '\uff0e\uff0e'.replace(/./g, '%ef%bc%8e')),
  ]),
  row('query and fragment tricks', ({ sold, folder, name }, free) => [
    `${sold}??id={id}`, `${sold}#/?id={id}`, `${sold}?id={id}#`, `?id={id}/../${sold}`, `${folder}?/${name}&id={id}`,
    `${sold}?id={id}&x402=paid&paid=true`, `${sold}%3fid={id}`, `${sold}%23?id={id}`,
    ...(free === null ? [] : [`${free}/x?/..${sold}&id={id}`, `${free}/x#/../..${sold}?id={id}`,
      `${free}/x%3f/../..${sold}?id={id}`, `${free}/x%23/../..${sold}?id={id}`]),
  ]),
  row('absolute-form, authority-form and old request targets', ({ sold }, free) => requests([
    `GET http://127.0.0.1${sold} HTTP/1.1`, `GET http://elsewhere.example${sold} HTTP/1.1`,
    `GET http://127.0.0.1:1${sold} HTTP/1.1`, `GET HTTP://127.0.0.1/${sold} HTTP/1.1`, `GET http:${sold} HTTP/1.1`,
    `GET http://x@127.0.0.1${sold} HTTP/1.1`, `GET http://127.0.0.1/.${sold} HTTP/1.1`,
    `GET ftp://127.0.0.1${sold} HTTP/1.1`, `CONNECT 127.0.0.1:80 HTTP/1.1`, `CONNECT ${sold} HTTP/1.1`,
    `GET ${sold}?id={id}`, `GET ${sold} HTTP/1.0`, `GET ${sold} HTTP/0.9`, `GET ${sold} HTTP/3.0`,
    `GET  ${sold} HTTP/1.1`, `GET\t${sold} HTTP/1.1`, `GET ${sold.slice(1)} HTTP/1.1`,
    ...(free === null ? [] : [`GET http://127.0.0.1${free}/..${sold} HTTP/1.1`,
      `GET ${free}/x ${sold} HTTP/1.1`, `GET http:${free}/..${sold} HTTP/1.1`]),
  ])),
  row('HEAD and OPTIONS', ({ sold }) => [
    ...requests([`HEAD ${sold} HTTP/1.1`, `OPTIONS ${sold} HTTP/1.1`, 'OPTIONS * HTTP/1.1'], [
      '', 'Origin: http://elsewhere.example\r\n',
      'Origin: http://elsewhere.example\r\nAccess-Control-Request-Method: GET\r\n']),
  ]),
  row('unusual methods', ({ sold }) => requests(
    ['get', 'Get', 'GETT', 'TRACE', 'TRACK', 'PROPFIND', 'PURGE', 'PATCH', 'DELETE', 'DEBUG', 'PRI', 'X', '']
      .map((method) => `${method} ${sold} HTTP/1.1`))),
  row('method override headers', ({ sold }) => requests(
    [`POST ${sold} HTTP/1.1`, `GET ${sold} HTTP/1.1`, `OPTIONS ${sold} HTTP/1.1`,
      `GET ${sold}?_method=OPTIONS&id={id} HTTP/1.1`],
    METHOD_HEADERS.flatMap((name) => ['OPTIONS', 'HEAD'].map((method) =>
      `${name}: ${method}\r\nContent-Length: 0\r\n`)))),
  row('headers that name a free path', ({ sold }, free) => requests([`GET ${sold} HTTP/1.1`],
    [...PATH_HEADERS, 'X-Original-URI', 'X-Forwarded-Uri', 'X-Forwarded-Path', 'X-Forwarded-Prefix', 'Referer']
      .flatMap((name) => [`${name}: ${free ?? ''}/x\r\n`, `${name}: /\r\n`]))),
  row('headers that say it is paid, internal or local', ({ sold }) => requests([`GET ${sold} HTTP/1.1`], [
    'X-402-Payer: 0x0000000000000000000000000000000000000001\r\n', 'X-402-Paid: true\r\n', 'X-Paid: 1\r\n',
    'PAYMENT-RESPONSE: eyJzdWNjZXNzIjp0cnVlfQ==\r\n', 'X-PAYMENT-RESPONSE: eyJzdWNjZXNzIjp0cnVlfQ==\r\n',
    'X-Forwarded-For: 127.0.0.1\r\n', 'X-Accel-Redirect: /\r\n', 'X-Internal: 1\r\n', 'PAYMENT-SIGNATURE: \r\n',
    'X-PAYMENT: null\r\n', 'X-PAYMENT: e30=\r\n', 'PAYMENT-SIGNATURE: None\r\n', 'PAYMENT-SIGNATURE: [object Object]\r\n',
    'Cookie: payment=1\r\n', 'Authorization: L402 x:y\r\n', 'Range: bytes=0-1\r\n', 'If-None-Match: *\r\n',
    'Upgrade: websocket\r\nX-Also: Connection\r\n', 'Purpose: prefetch\r\n', 'User-Agent: Googlebot\r\n'])),
  { name: 'headers that name a sold path, at a free one (X-Original-URL, X-Rewrite-URL)',
    correct: 'keeps them from the upstream', needs: ['free', 'counter'], run: pathHeaders },
];
