// The gateway's own pages: the status page and its parts, figures, metrics, health and
// readiness; who may see them, and what they say when something is wrong.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { answer, ask, isPaid, isProblem } from './lib/ask.mjs';
import { USDC } from './lib/chain.mjs';
import { startGateway } from './lib/gateway.mjs';
import { waitFor } from './lib/process.mjs';
import { openHttp2, requestHttp2 } from './lib/raw.mjs';
import { startServe } from './lib/serve.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { newAccount, payment } from './lib/wallet.mjs';
import { delivered } from './lib/x402.mjs';

const TOKEN = 'a-token-of-visible-characters';
const POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
  + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PRIVATE = ['/private', '/private/', '/private/status.css', '/private/status.js',
  '/private/stats', '/private/events', '/private/nothing', '/private-stats', '/private-metrics'];

let gateway;
let upstream;

const bearer = (token) => ({ authorization: `Bearer ${token}` });
const basic = (token, name = 'me') =>
  ({ authorization: `Basic ${Buffer.from(`${name}:${token}`).toString('base64')}` });

function writeToken(folder, { name = 'token', text = `${TOKEN}\n`, mode = 0o600 } = {}) {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  fs.chmodSync(file, mode);
  return file;
}

const locations = ({ folder }) => `
  location /api/ { x402_price 0.001; x402_description "An answer"; proxy_pass ${upstream.url}; }
  location /x402/status { x402_status; }
  location "/a <b> & \\"c\\"/" { x402_status public; }
  location /private { x402_status private ${folder}/token; }
  location /strict { x402_status private ${folder}/token; x402_refusal_rate 1r/m burst=2; }
  location = /stats { x402_stats; }
  location = /private-stats { x402_stats private token; }
  location = /metrics { x402_metrics; }
  location = /private-metrics { x402_metrics private ${folder}/token; }
  location = /health { x402_health; }
  location = /ready { x402_ready; }
  location = /ready-soon { x402_ready settler=5 due=7; }
  location /if/status { x402_status; if ($arg_x) { set $a 1; } }
  location = /if/stats { x402_stats; if ($arg_x) { set $a 1; } }
  location = /if/metrics { x402_metrics; if ($arg_x) { set $a 1; } }
  location = /if/health { x402_health; if ($arg_x) { set $a 1; } }
  location = /if/ready { x402_ready; if ($arg_x) { set $a 1; } }
  location /if/private { x402_status private ${folder}/token; if ($arg_x) { set $a 1; } }
  location /x402/receipts/ { x402_receipts; }
  location /if/receipts/ { x402_receipts; if ($arg_x) { set $a 1; } }`;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({
    locations: (self) => {
      writeToken(self.folder);
      return locations(self);
    },
  });
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** Buys a call of a new payer; the ledger knows that it was delivered. */
async function buy(from = gateway) {
  const payer = newAccount();
  const paid = await payment(payer);
  isPaid(await ask(from, '/api/x', { payment: paid }), paid);
  await delivered(from, payer.address, 1);
  return paid;
}

/** Asks until a test holds for the answer: what is read is a second old at most. */
const until = (path, holds, options, from = gateway) => waitFor(async () => {
  const got = await ask(from, path, options);
  return holds(got) && got;
}, `the answer of ${path}`);

const admitted = ({ json }) =>
  json.tokens.find(({ asset }) => asset === USDC)?.totals.admitted.count ?? 0;

for (const page of ['status', 'status/stats', 'stats', 'metrics', 'health', 'ready', 'receipts/x', 'private']) {
  test(`an_if_in_the_location_of_${page}_changes_nothing`, async () => {
    const [with_, without] = [await ask(gateway, `/if/${page}?x=1`), await ask(gateway, `/if/${page}`)];
    assert.deepEqual([with_.status, with_.headers['content-type']], [without.status, without.headers['content-type']]);
    assert.equal(without.status, { private: 401, 'receipts/x': 404 }[page] ?? 200);
  });
}

describe('the status page', () => {
  for (const place of ['/x402/status', '/x402/status/']) {
    test(`is_served_at_${place}_with_links_that_work`, async () => {
      const got = await ask(gateway, place);
      assert.equal(got.status, 200);
      assert.equal(got.headers['content-type'], 'text/html; charset=utf-8');
      assert.ok(!got.body.includes('{{'), 'a mark that nobody replaced');
      const links = [...got.body.matchAll(/(?:href|src)="(\/[^"]*)"/g)].map(([, link]) => link);
      assert.ok(links.includes('/x402/status/status.css') && links.includes('/x402/status/status.js'));
      for (const link of links) assert.equal((await ask(gateway, link)).status, 200, link);
    });
  }

  test('is_the_text_of_web', async () => {
    const types = { '.css': 'text/css', '.js': 'text/javascript' };
    const folder = new URL('../../web/', import.meta.url);
    const names = fs.readdirSync(folder).filter((name) => /^status.*\.(css|js)$/.test(name));
    assert.ok(names.includes('status.css') && names.includes('status.js'));
    for (const name of names) {
      const got = await ask(gateway, `/x402/status/${name}`);
      assert.equal(got.headers['content-type'], `${types[path.extname(name)]}; charset=utf-8`, name);
      assert.ok(got.body === fs.readFileSync(new URL(name, folder), 'utf8'), name);
    }
  });

  test('may_load_nothing_from_elsewhere_and_tells_nobody_where_it_is', async () => {
    const { headers } = await ask(gateway, '/x402/status');
    assert.equal(headers['content-security-policy'], POLICY);
    for (const part of ['', '/status.css', '/status.js', '/stats']) {
      const got = await ask(gateway, `/x402/status${part}`);
      assert.equal(got.headers['x-content-type-options'], 'nosniff');
      assert.equal(got.headers['referrer-policy'], 'no-referrer');
    }
  });

  test('is_not_sent_again_to_who_has_it', async () => {
    for (const part of ['', '/', '/status.css', '/status.js']) {
      const first = await ask(gateway, `/x402/status${part}`);
      assert.equal(first.headers['cache-control'], 'no-cache');
      const etag = first.headers.etag;
      assert.match(etag, /^"[0-9a-f]{32}"$/);
      const again = await ask(gateway, `/x402/status${part}`, { headers: { 'if-none-match': etag } });
      assert.deepEqual([again.status, again.body], [304, '']);
      const other = await ask(gateway, `/x402/status${part}`, { headers: { 'if-none-match': '"0"' } });
      assert.equal(other.body, first.body);
    }
  });

  test('has_nothing_else_below_it', async () => {
    for (const part of ['x', '/x', '/status.html', '/paywall.js', '/status.j', '/stats/', '/events/x']) {
      assert.equal((await ask(gateway, `/x402/status${part}`)).status, 404, part);
    }
  });

  test('escapes_its_own_path_and_redirects_to_a_slash_that_is_in_its_name', async () => {
    const place = encodeURI('/a <b> & "c"');
    const got = await ask(gateway, `${place}/`);
    assert.equal(got.status, 200);
    assert.ok(got.body.includes(`href="${place.replace(/&/g, '&amp;')}/status.css"`), got.body.slice(0, 600));
    assert.equal((await ask(gateway, `${place}/status.css`)).status, 200);
    assert.equal((await ask(gateway, place)).status, 301);
  });

  test('is_read_and_not_written', async () => {
    for (const part of ['', '/status.css', '/stats', '/events']) {
      const head = await ask(gateway, `/x402/status${part}`, { method: 'HEAD' });
      assert.deepEqual([head.status, head.body], [200, '']);
      const post = await ask(gateway, `/x402/status${part}`, { method: 'POST', body: 'x' });
      assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD']);
    }
  });

  test('is_served_over_http2', async () => {
    const session = await openHttp2(gateway.http2Port);
    try {
      for (const part of ['', '/status.js', '/stats']) {
        const { status, headers, body } = await requestHttp2(session, `/x402/status${part}`).response;
        assert.equal(status, 200);
        assert.ok(answer(status, headers, body).body.length > 0);
      }
    } finally {
      session.close();
    }
  });
});

describe('the figures', () => {
  test('are_the_same_below_the_page_and_alone_and_have_no_payers', async () => {
    const paid = await buy();
    for (const place of ['/stats', '/x402/status/stats']) {
      const got = await until(place, (one) => admitted(one) > 0);
      assert.equal(got.status, 200);
      assert.equal(got.headers['content-type'], 'application/json');
      assert.equal(got.headers['cache-control'], 'no-store');
      assert.equal(got.json.private, false);
      assert.ok(!got.body.toLowerCase().includes(paid.message.from.toLowerCase()));
      assert.ok(!got.body.includes('/x402/receipts/'));
    }
  });

  test('say_what_is_sold_here', async () => {
    const { json } = await ask(gateway, '/stats');
    const sold = json.sold.find(({ path: where }) => where === '/api/');
    assert.equal(sold.price, '0.001');
    assert.equal(sold.description, 'An answer');
  });

  test('are_shown_whole_to_who_has_the_token', async () => {
    const paid = await buy();
    const holds = (got) => got.body.toLowerCase().includes(paid.message.from.toLowerCase());
    for (const place of ['/private-stats', '/private/stats']) {
      const { json } = await until(place, holds, { headers: bearer(TOKEN) });
      assert.equal(json.private, true);
      const { receipt } = json.payments.find(({ payer }) => payer.toLowerCase() === paid.message.from.toLowerCase());
      assert.match(receipt, /^\/x402\/receipts\/[A-Za-z0-9_-]{22}$/);
      assert.equal((await ask(gateway, receipt)).status, 200);
    }
  });

  test('are_read_once_for_all_who_ask_at_the_same_time', async () => {
    await waitFor(async () => {
      const all = await Promise.all(Array.from({ length: 40 }, () => ask(gateway, '/stats')));
      assert.ok(all.every(({ status }) => status === 200));
      return new Set(all.map(({ body }) => body)).size === 1;
    }, 'forty answers of one reading');
  });
});

describe('a private page', () => {
  test('asks_for_the_token_as_browsers_do', async () => {
    for (const place of PRIVATE) {
      const got = await ask(gateway, place);
      assert.equal(got.status, 401, place);
      assert.equal(got.headers['www-authenticate'], 'Basic realm="x402"');
      assert.ok(!got.body.includes('x402'), 'nothing of the page');
    }
  });

  test('is_shown_for_a_bearer_token_and_for_a_password', async () => {
    const found = PRIVATE.filter((place) => !/events|nothing/.test(place));
    for (const headers of [bearer(TOKEN), basic(TOKEN), basic(TOKEN, ''), { authorization: `bEARER  ${TOKEN}` }]) {
      for (const place of found) assert.equal((await ask(gateway, place, { headers })).status, 200, place);
    }
  });

  test('is_shown_for_nothing_else', async () => {
    const wrong = [
      bearer(''), bearer(TOKEN.slice(0, -1)), bearer(`${TOKEN}x`), bearer(TOKEN.toUpperCase()),
      basic(''), basic(`${TOKEN}\n`), basic(`x:${TOKEN}`), { authorization: TOKEN },
      { authorization: `Basic ${TOKEN}` }, { authorization: 'Basic' }, { authorization: 'Basic !!!!' },
      { authorization: `Basic ${Buffer.from(TOKEN).toString('base64')}` },
      { authorization: `Token ${TOKEN}` }, { authorization: `Basic ${'A'.repeat(4000)}` },
    ];
    for (const headers of wrong) {
      assert.equal((await ask(gateway, '/private/stats', { headers })).status, 401, headers.authorization);
    }
  });

  test('turns_a_client_away_that_keeps_failing_and_opens_to_the_right_token', async () => {
    const from = '127.0.0.77';
    const tries = (headers) => ask(gateway, '/strict', { headers, localAddress: from });
    assert.equal((await tries(bearer(TOKEN))).status, 200);
    assert.equal((await tries(undefined)).status, 401);
    for (let i = 0; i < 2; i++) assert.equal((await tries(bearer('wrong'))).status, 401);
    const got = await tries(bearer('wrong'));
    isProblem(got, { status: 429, code: 'rate_limited', retryAfter: got.headers['retry-after'] });
    assert.ok(Number(got.headers['retry-after']) > 0);
    assert.equal((await tries(bearer(TOKEN))).status, 200);
    assert.equal((await tries(undefined)).status, 401);
    assert.equal((await ask(gateway, '/strict', { headers: bearer('wrong') })).status, 401, 'somebody else');
  });

  test('is_counted_at_addresses_where_nothing_is_sold', async () => {
    const alone = await startGateway({
      locations: (self) => `location /s { x402_status private ${writeToken(self.folder)};
        x402_refusal_rate 1r/m burst=1; }`,
    });
    try {
      assert.equal((await ask(alone, '/s', { headers: bearer('wrong') })).status, 401);
      assert.equal((await ask(alone, '/s', { headers: bearer('wrong') })).status, 429);
    } finally {
      await alone.stop();
    }
  });
});

describe('metrics', () => {
  test('are_prometheus_text', async () => {
    const got = await ask(gateway, '/metrics');
    assert.equal(got.status, 200);
    assert.equal(got.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(got.body, /^x402_ledger_up 1$/m);
    assert.equal((await ask(gateway, '/metrics', { method: 'POST' })).status, 405);
  });
});

describe('health and readiness', () => {
  test('health_says_ok', async () => {
    const got = await ask(gateway, '/health');
    assert.equal(got.status, 200);
    assert.equal(got.headers['cache-control'], 'no-store');
    assert.deepEqual(got.json, { status: 'ok' });
    assert.equal((await ask(gateway, '/health', { method: 'POST' })).status, 405);
  });
});

describe('a gateway of its own', () => {
  /** Starts one that has sold nothing; `test` gets it. */
  async function withGateway(check) {
    const one = await startGateway({
      locations: (self) => {
        writeToken(self.folder);
        return locations(self);
      },
    });
    try {
      await check(one);
    } finally {
      await one.stop();
    }
  }

  test('is_ready_before_anything_was_sold_and_not_while_no_settler_is_heard_from', async () => {
    await withGateway(async (one) => {
      const at_first = await ask(one, '/ready');
      assert.equal(at_first.status, 200);
      assert.equal(at_first.json.ready, true);
      await buy(one);
      const got = await until('/ready', ({ status }) => status === 503, {}, one);
      assert.equal(got.json.ready, false);
      assert.match(got.json.why, /settler/);
      const { ledger, commit, settler, due } = got.json.checks;
      assert.deepEqual([ledger.ok, commit.ok, settler.ok, due.ok], [true, true, false, true]);
      assert.ok(settler.why);
      assert.equal(settler.heardSeconds, null);
      assert.equal((await ask(one, '/health')).status, 200);
    });
  });

  test('is_not_ready_when_a_payment_has_been_due_for_longer_than_its_bound', async () => {
    await withGateway(async (one) => {
      await buy(one);
      one.setClock(60);
      const strict = await until('/ready-soon', ({ json }) => !json.checks.due.ok, {}, one);
      assert.equal(strict.status, 503);
      assert.ok(strict.json.checks.due.oldestSeconds >= 59);
      assert.match(strict.json.why, /due/);
      assert.equal((await ask(one, '/ready')).json.checks.due.ok, true, 'the default is 300 s');
    });
  });

  test('shows_its_page_and_says_what_is_wrong_when_the_ledger_is_gone', async () => {
    await withGateway(async (one) => {
      one.allow(/x402/);
      await buy(one);
      assert.equal((await ask(one, '/stats')).status, 200);
      const moved = `${one.data}.moved`;
      fs.renameSync(one.data, moved);
      const got = await until('/stats', ({ status }) => status !== 200, {}, one);
      isProblem(got, { status: 503, code: 'ledger_unavailable', retryAfter: '1' });
      assert.equal(got.json.detail, 'The ledger cannot be read');
      isProblem(await ask(one, '/x402/status/events'),
        { status: 503, code: 'ledger_unavailable', retryAfter: '1' });
      assert.equal((await ask(one, '/x402/status')).status, 200);
      const metrics = await until('/metrics', ({ body }) => /^x402_ledger_up 0$/m.test(body), {}, one);
      assert.equal(metrics.status, 200);
      const ready = await until('/ready', ({ json }) => !json.checks.ledger.ok, {}, one);
      assert.deepEqual([ready.status, ready.json.ready], [503, false]);
      assert.ok(ready.json.checks.ledger.why && ready.json.why);
      assert.ok(!ready.body.includes(one.data), 'where the ledger is');
      assert.equal((await ask(one, '/health')).status, 200);
      fs.renameSync(moved, one.data);
      await until('/stats', ({ status }) => status === 200, {}, one);
      await until('/metrics', ({ body }) => /^x402_ledger_up 1$/m.test(body), {}, one);
    });
  });

  test('is_not_ready_while_payments_cannot_be_recorded', async () => {
    await withGateway(async (one) => {
      await buy(one);
      await until('/ready', ({ json }) => json.checks.commit.ok, {}, one);
      const moved = `${one.data}.moved`;
      fs.renameSync(one.data, moved);
      const paid = await payment(newAccount());
      assert.equal((await ask(one, '/api/x', { payment: paid })).status, 503);
      const got = await until('/ready', ({ json }) => !json.checks.commit.ok, {}, one);
      assert.equal(got.status, 503);
      fs.renameSync(moved, one.data);
      await until('/ready', ({ json }) => json.checks.ledger.ok, {}, one);
    });
  });
});

/** What `nginx -t` says of these locations: {ok, output}. */
function tested(locationsOf) {
  const draft = Object.create(gateway);
  draft.options = { ...gateway.options };
  draft.folder = drafts();
  draft.errorLogFile = path.join(draft.folder, 'error.log');
  draft.configure({ locations: locationsOf });
  return draft.test();
}

function drafts() {
  const folder = path.join(gateway.folder, 'drafts');
  fs.mkdirSync(path.join(folder, 'temp'), { recursive: true });
  return folder;
}

test('a_named_location_is_no_place_for_a_page', () => {
  for (const page of ['x402_status', 'x402_stats', 'x402_metrics', 'x402_health', 'x402_ready']) {
    const { ok, output } = tested(`location @page { ${page}; }`);
    assert.equal(ok, false, page);
    assert.match(output, /needs a location that names a path in .*nginx\.conf:\d+/);
  }
});

describe('a token file', () => {
  /** What `nginx -t` says of a page that names it. */
  const named = (file, directive = 'x402_status') =>
    tested(`location /s { ${directive} private ${file}; }`);

  for (const [what, file, says] of [
    ['that_others_can_read', { mode: 0o644 }, /has mode 0644/],
    ['that_a_group_can_read', { mode: 0o640 }, /has mode 0640/],
    ['that_is_empty', { text: '' }, /16 to 256 visible ASCII/],
    ['whose_token_is_short', { text: 'fifteen-letters\n' }, /16 to 256 visible ASCII/],
    ['whose_token_is_long', { text: 'x'.repeat(257) }, /16 to 256 visible ASCII/],
    ['whose_token_has_a_blank', { text: 'a token with blanks in it' }, /16 to 256 visible ASCII/],
    ['whose_token_is_not_ascii', { text: 'ein-schöner-geheimer-text' }, /16 to 256 visible ASCII/],
    ['that_is_no_text', { text: `${TOKEN}\0` }, /is not text/],
  ]) {
    test(`${what}_is_refused_with_its_place`, () => {
      const { ok, output } = named(writeToken(drafts(), file));
      assert.equal(ok, false);
      assert.match(output, says);
      assert.match(output, /nginx\.conf:\d+/);
      assert.ok(!output.includes(TOKEN));
    });
  }

  test('that_is_not_there_is_refused', () => {
    const { ok, output } = named('/nowhere/token', 'x402_metrics');
    assert.equal(ok, false);
    assert.match(output, /cannot open token file '\/nowhere\/token'/);
  });

  test('counts_by_its_first_line_wherever_that_ends', () => {
    for (const text of [TOKEN, `${TOKEN}\n`, `${TOKEN}\r\nmore, and a blank\n`, 'x'.repeat(16), 'x'.repeat(256)]) {
      const { ok, output } = named(writeToken(drafts(), { text }), 'x402_stats');
      assert.equal(ok, true, output);
    }
  });
});

test('serve_shows_each_route_once', async () => {
  const served = await startServe(upstream, { args: ['--route', '/a=0.5', '--route', '/a/b=0.2'] });
  try {
    const { json } = await ask(served, '/x402/stats');
    const shown = json.sold.map(({ path, price, exact }) => [path, price, exact]);
    assert.deepEqual(shown.sort(), [['/', '0.001', false], ['/a', '0.5', false], ['/a/b', '0.2', false]]);
  } finally {
    await served.stop();
  }
});
