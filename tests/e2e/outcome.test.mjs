// What a paid call comes to: delivered and charged, or void and free to be bought again
// with the same authorization. The rule, over both versions of HTTP: delivered is a
// status below 400 of the upstream, not through an error page, its body seen to the end.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Caller, PROTOCOLS, isDelivered, isVoid, newPayment } from './lib/calls.mjs';
import { startGateway } from './lib/gateway.mjs';
import { temporaryFolder, waitFor } from './lib/process.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { receiptOf } from './lib/wallet.mjs';
import { checkBooks } from './lib/x402.mjs';

const BUFFERINGS = ['buffered', 'unbuffered'];
const WWW = temporaryFolder('www');
const PAGE = 'one page\n';
const PATIENCE = '2s'; // with an upstream; a good answer comes sooner even when this process stands still

let upstream;
let second; // behind the locations whose upstream is down at times
let gateway;
let calls = 0;

const locations = () => {
  const main = `proxy_pass ${upstream.url};`;
  return `
    location /buffered/ { ${main} }
    location /unbuffered/ { ${main} proxy_buffering off; }
    location /impatient/buffered/ { ${main} proxy_read_timeout ${PATIENCE}; }
    location /impatient/unbuffered/ { ${main} proxy_buffering off; proxy_read_timeout ${PATIENCE}; }
    location /second/ { proxy_pass ${second.url}; }
    location /pair/ { proxy_pass http://pair; proxy_next_upstream error timeout http_503; proxy_read_timeout ${PATIENCE}; }

    location = /fallback { internal; proxy_pass ${upstream.url}; }
    location @fallback { rewrite ^ /fallback? break; ${main} }
    location /page/same/ { ${main} error_page 502 /fallback; }
    location /page/own/ { ${main} error_page 502 = /fallback; }
    location /page/200/ { ${main} error_page 502 =200 /fallback; }
    location /page/static/ { ${main} error_page 502 =200 /static/page.txt; }
    location /page/named/ { ${main} error_page 502 = @fallback; }
    location /page/elsewhere/ { ${main} error_page 502 http://elsewhere.example/; }
    location /page/intercepted/ { ${main} proxy_intercept_errors on; error_page 404 500 503 = /fallback; }
    location /recursive/own/ { ${main} recursive_error_pages on; error_page 502 504 = /fallback; proxy_read_timeout ${PATIENCE}; }
    location /recursive/named/ { ${main} recursive_error_pages on; error_page 502 = @fallback; }
    location /recursive/elsewhere/ { ${main} recursive_error_pages on; error_page 502 http://elsewhere.example/; }
    location /recursive/refused/ { proxy_pass ${second.url}; recursive_error_pages on; error_page 502 = /fallback; }
    location /recursive/intercepted/ { ${main} recursive_error_pages on; proxy_intercept_errors on; error_page 404 503 = /fallback; }
    location /recursive/unresolved/ {
        set $host_of_nobody nobody.invalid;
        proxy_pass http://$host_of_nobody;
        recursive_error_pages on;
        error_page 502 = /fallback;
    }

    location /files/ { internal; alias ${WWW}/; }
    location /relay/ { internal; proxy_pass ${second.url}; }
    location /static/ { alias ${WWW}/; }
    location /static/paged/ { alias ${WWW}/; error_page 404 = /fallback; }
    location /try/ { root ${WWW}; try_files /nothing$uri /page.txt =404; }
    location /try/redirected/ { root ${WWW}; try_files /nothing$uri /static/page.txt; }
    location /try/proxied/ { root ${WWW}; try_files /nothing$uri @api; }
    location @api { ${main} }
    location /dispatch/ { x402_price off; root ${WWW}; error_page 404 = @api; }
    location /try/nothing/ { root ${WWW}; try_files /nothing$uri =404; }
    location /ssi/ { alias ${WWW}/; ssi on; ssi_types text/plain; }
    location /part/ { ${main} }
    location /sliced/ { ${main} proxy_force_ranges on; }

    location /cached/ {
        ${main}
        proxy_cache answers;
        proxy_cache_key $uri?$arg_id;
        proxy_cache_valid 200 1m;
        proxy_cache_valid 404 502 1m;
        add_header X-Cache $upstream_cache_status always;
    }
    location /stale/ {
        ${main}
        proxy_cache answers;
        proxy_cache_key $uri?$arg_id;
        proxy_cache_valid 200 1s;
        proxy_cache_use_stale error http_500;
        add_header X-Cache $upstream_cache_status always;
    }`;
};

before(async () => {
  fs.chmodSync(WWW, 0o755);
  fs.writeFileSync(path.join(WWW, 'page.txt'), PAGE);
  fs.mkdirSync(path.join(WWW, 'folder'));
  fs.writeFileSync(path.join(WWW, 'folder/index.html'), PAGE);
  fs.writeFileSync(path.join(WWW, 'parts.txt'), 'a <!--# include virtual="/part/x?id=part" --> b\n');
  fs.writeFileSync(path.join(WWW, 'hole.txt'), 'a <!--# include virtual="/part/x?do=status&n=500" --> b\n');

  upstream = await startUpstream();
  second = await startUpstream();
  gateway = await startGateway({
    price: '0.001',
    http: (own) => `
    proxy_cache_path ${own.folder}/temp/cache keys_zone=answers:1m;
    upstream pair {
        server 127.0.0.1:${second.port} max_fails=0;
        server 127.0.0.1:${upstream.port} max_fails=0 backup;
    }
    proxy_next_upstream_tries 2;
    log_format result '$x402_nonce $x402_result';`,
    server: (own) => `access_log ${own.folder}/access.log result;`,
    locations,
  });
});
after(async () => {
  if (gateway) await checkBooks(gateway);
  await gateway?.stop();
  await upstream?.stop();
  await second?.stop();
});

const newId = () => `call${++calls}`;

/** The receipt in an answer's headers. */
const receiptIn = ({ headers }) => receiptOf({ headers: { get: (name) => headers[name] ?? null } });

function hasReceipt(answer) {
  assert.equal(receiptIn(answer)?.success, true);
  assert.match(answer.headers['cache-control'], /\bprivate\b/);
}

const hasNoReceipt = (answer) => assert.equal(receiptIn(answer), null);

/** What the access log says became of a payment's last call. */
const loggedResult = ({ message }) => gateway.accessLog().split('\n')
  .filter((line) => line.startsWith(message.nonce)).at(-1)?.split(' ')[1];

for (const protocol of PROTOCOLS) {
  describe(`over ${protocol}`, () => {
    let caller;
    before(() => { caller = new Caller(gateway, protocol); });
    after(() => caller.close());

    /** Buys `/PLACE/x?id=…&OPTIONS`, and checks status and receipt; {answer, paid, id, target}. */
    async function buy(place, options, { status = 200, ...request } = {}) {
      const [id, paid] = [newId(), await newPayment()];
      const target = `/${place}/x?id=${id}${options ? `&${options}` : ''}`;
      const answer = await caller.call(target, { paid, ...request });
      assert.equal(answer.status, status, answer.body);
      return { answer, paid, id, target };
    }

    /** A call that must be charged. */
    async function delivers(place, options, request) {
      const call = await buy(place, options, request);
      hasReceipt(call.answer);
      assert.equal(call.answer.broken, false);
      await isDelivered(gateway, call.paid);
      assert.equal(loggedResult(call.paid), 'delivered');
      return call;
    }

    /** The same authorization buys the call, now that the upstream does as it should. */
    async function buysAgain({ paid, id, target }, request) {
      upstream.script(id, { do: 'ok', header: undefined });
      const answer = await caller.call(target, { paid, ...request });
      assert.equal(answer.status, 200, answer.body);
      hasReceipt(answer);
      await isDelivered(gateway, paid, { attempts: 2 });
    }

    /** A call that must not be charged, and can be bought again. `status` 0: no answer. */
    async function voids(place, options, { receipt = false, again = true, ...request } = {}) {
      const call = await buy(place, options, request);
      if (!receipt) hasNoReceipt(call.answer);
      await isVoid(gateway, call.paid);
      assert.equal(loggedResult(call.paid), 'void');
      if (again) await buysAgain(call);
      return call;
    }

    // ---------------------------------------------------------- what an upstream answers

    for (const place of BUFFERINGS) {
      describe(place, () => {
        for (const framing of ['length', 'chunked', 'close']) {
          test(`a_whole_answer_framed_by_${framing}_is_delivered`, async () => {
            const { answer } = await delivers(place, `do=whole&framing=${framing}&size=100`);
            assert.equal(answer.body, 'x'.repeat(100));
          });
        }

        test('an_answer_with_an_empty_body_is_delivered', async () => {
          const { answer } = await delivers(place, 'do=whole&framing=length&size=0');
          assert.equal(answer.body, '');
        });

        test('an_answer_of_a_megabyte_is_delivered', async () => {
          const { answer } = await delivers(place, 'do=whole&framing=chunked&size=1000000');
          assert.equal(answer.body.length, 1_000_000);
        });

        for (const status of [201, 301, 302]) {
          test(`a_${status}_is_delivered`, () =>
            delivers(place, `do=status&n=${status}&location=http://elsewhere.example/`, { status }));
        }

        test('a_204_is_delivered', () => delivers(place, 'do=noContent', { status: 204 }));

        test('a_304_is_delivered', () =>
          delivers(place, 'do=notModified', { status: 304, headers: { 'If-None-Match': '"1"' } }));

        test('an_answer_to_head_is_delivered', async () => {
          const { answer } = await delivers(place, 'do=whole', { method: 'HEAD' });
          assert.equal(answer.headers['content-length'], '100');
        });

        for (const status of [400, 401, 403, 404, 429, 500, 502, 503]) {
          test(`a_${status}_is_passed_on_and_not_charged`, async () => {
            const { answer } = await voids(place, `do=status&n=${status}`, { status });
            assert.equal(answer.body, `status ${status}\n`);
          });
        }

        test('an_error_answer_to_head_is_not_charged', () =>
          voids(place, 'do=status&n=500', { status: 500, method: 'HEAD' }));

        test('a_reset_before_the_header_is_not_charged', () =>
          voids(place, 'do=reset', { status: 502 }));

        test('a_close_before_the_header_is_not_charged', () =>
          voids(place, 'do=close', { status: 502 }));

        for (const framing of ['length', 'chunked']) {
          for (const how of ['reset', 'close']) {
            test(`a_${how}_amid_a_body_framed_by_${framing}_is_not_charged`, async () => {
              const { answer } = await voids(
                place, `do=truncate&framing=${framing}&how=${how}&size=100`, { receipt: true });
              assert.equal(answer.broken, true);
            });

            test(`a_${how}_after_much_of_a_body_framed_by_${framing}_is_not_charged`, async () => {
              const { answer } = await voids(
                place, `do=truncate&framing=${framing}&how=${how}&size=300000`, { receipt: true });
              assert.equal(answer.broken, true);
            });
          }

        }

        test('a_body_delimited_by_close_cannot_show_that_it_was_cut_and_is_delivered', async () => {
          const { answer } = await delivers(place, 'do=truncate&framing=close&how=close');
          assert.equal(answer.body, 'x'.repeat(100));
        });

        test('what_is_not_http_is_not_charged', async () => {
          const [id, paid] = [newId(), await newPayment()];
          const target = `/${place}/x?id=${id}&do=garbage`;
          await caller.call(target, { paid, within: 300 });
          await isVoid(gateway, paid);
          await buysAgain({ paid, id, target });
        });
      });
    }

    // ------------------------------------------------------------- a failing upstream

    test('a_refused_connection_is_not_charged', async () => {
      await second.stop();
      const call = await buy('second', '', { status: 502 });
      hasNoReceipt(call.answer);
      await isVoid(gateway, call.paid);
      await second.listen();
      await buysAgain(call);
    });

    test('a_failed_call_can_be_bought_again_at_once', async () => {
      const [id, paid] = [newId(), await newPayment()];
      const target = `/buffered/x?id=${id}`;
      upstream.script(id, { do: 'reset' }, { do: 'status', n: 500 }, { do: 'truncate' }, { do: 'ok' });
      const statuses = [];
      for (let i = 0; i < 4; i++) statuses.push((await caller.call(target, { paid })).status);
      assert.deepEqual(statuses, [502, 500, 200, 200]);
      await isDelivered(gateway, paid, { attempts: 4 });
      assert.equal(upstream.count(id), 4);
    });

    test('a_call_that_was_delivered_after_a_void_is_used', async () => {
      const { paid, target } = await voids('buffered', 'do=status&n=500', { status: 500 });
      assert.equal((await caller.call(target, { paid })).status, 400);
      await isDelivered(gateway, paid, { attempts: 2 });
    });

    /** The first peer does as `options` say, and the second one well. */
    async function deliversBySecond(options) {
      const [id, paid] = [newId(), await newPayment()];
      second.script(id, options);
      const answer = await caller.call(`/pair/x?id=${id}`, { paid });
      assert.equal(answer.status, 200);
      hasReceipt(answer);
      await isDelivered(gateway, paid);
      assert.deepEqual([second.count(id), upstream.count(id)], [1, 1]);
    }

    for (const [name, options] of [['resets', { do: 'reset' }], ['says_503', { do: 'status', n: 503 }]]) {
      test(`a_call_is_delivered_once_by_the_second_peer_when_the_first_${name}`, () =>
        deliversBySecond(options));
    }

    test('a_call_that_every_peer_fails_is_not_charged', async () => {
      const { id } = await voids('pair', 'do=reset', { status: 502, again: false });
      assert.deepEqual([second.count(id), upstream.count(id)], [1, 1]);
    });

    // These wait for real seconds, so they wait together.
    describe('a timeout', { concurrency: true }, () => {
      for (const place of BUFFERINGS) {
        test(`before_the_header_is_not_charged_${place}`, () =>
          voids(`impatient/${place}`, 'do=hang', { status: 504 }));

        for (const framing of ['length', 'chunked']) {
          test(`amid_a_body_framed_by_${framing}_is_not_charged_${place}`, async () => {
            const { answer } = await voids(
              `impatient/${place}`, `do=half&framing=${framing}`, { receipt: true });
            assert.equal(answer.broken, true);
          });
        }
      }

      test('with_an_error_page_in_its_place_is_not_charged', () => voids('recursive/own', 'do=hang'));

      test('of_the_first_peer_leaves_a_call_that_is_delivered_once_by_the_second', () =>
        deliversBySecond({ do: 'hang' }));
    });

    // -------------------------------------------------------------------- error pages

    describe('an error page', () => {
      for (const [place, status] of Object.entries({
        'page/same': 502, 'page/own': 200, 'page/200': 200, 'page/static': 200, 'page/named': 200,
        'page/elsewhere': 302, 'recursive/own': 200, 'recursive/named': 200, 'recursive/elsewhere': 302,
      })) {
        test(`of_${place}_is_not_charged`, () => voids(place, 'do=reset', { status }));
      }

      for (const place of ['page/intercepted', 'recursive/intercepted']) {
        for (const status of [404, 503]) {
          test(`in_place_of_a_${status}_of_${place}_is_not_charged`, async () => {
            const { answer } = await voids(place, `do=status&n=${status}`);
            assert.deepEqual(JSON.parse(answer.body), { served: true });
          });
        }
      }

      test('in_place_of_a_refused_connection_is_not_charged', async () => {
        await second.stop();
        const call = await buy('recursive/refused', '');
        await second.listen();
        hasNoReceipt(call.answer);
        await isVoid(gateway, call.paid);
        await buysAgain(call);
      });

      test('in_place_of_a_name_that_does_not_resolve_is_not_charged', () =>
        voids('recursive/unresolved', '', { again: false }));

      test('that_exists_does_not_make_a_good_answer_free', async () => {
        for (const place of ['page/own', 'page/intercepted', 'recursive/own', 'recursive/named']) {
          await delivers(place, '');
        }
      });
    });

    // -------------------------------------------------------------- internal redirects

    describe('x-accel-redirect', () => {
      const to = (uri, status = 200) =>
        `do=status&n=${status}&header=X-Accel-Redirect:${encodeURIComponent(uri)}`;

      test('to_a_file_is_delivered', async () => {
        const { answer } = await delivers('buffered', to('/files/page.txt'));
        assert.equal(answer.body, PAGE);
      });

      test('to_a_missing_file_is_not_charged', () =>
        voids('buffered', to('/files/nothing.txt'), { status: 404 }));

      test('to_another_upstream_is_delivered', async () => {
        const { answer, id } = await delivers('buffered', to('/relay/x'));
        assert.deepEqual(JSON.parse(answer.body), { served: true });
        assert.equal(upstream.count(id), 1);
      });

      test('to_another_upstream_that_fails_is_not_charged', () =>
        voids('buffered', to('/relay/x?do=reset'), { status: 502 }));

      test('in_a_404_is_not_charged', () =>
        voids('buffered', to('/files/page.txt', 404)));
    });

    // -------------------------------------------------------------- what nginx serves

    describe('a file sold directly', () => {
      /** Buys a file, by its path. */
      async function file(target, { status = 200, ...request } = {}) {
        const paid = await newPayment();
        const answer = await caller.call(target, { paid, ...request });
        assert.equal(answer.status, status, answer.body);
        return { paid, answer };
      }

      async function sold(target, request) {
        const { paid, answer } = await file(target, request);
        hasReceipt(answer);
        await isDelivered(gateway, paid);
        return answer;
      }

      async function notSold(target, request) {
        const { paid, answer } = await file(target, request);
        hasNoReceipt(answer);
        await isVoid(gateway, paid);
        const page = await caller.call('/static/page.txt', { paid });
        assert.equal(page.body, PAGE);
        await isDelivered(gateway, paid, { attempts: 2 });
        return answer;
      }

      test('is_delivered', async () =>
        assert.equal((await sold('/static/page.txt')).body, PAGE));

      test('is_delivered_to_head', () => sold('/static/page.txt', { method: 'HEAD' }));

      test('is_not_charged_when_it_is_missing', () => notSold('/static/nothing.txt', { status: 404 }));

      test('is_not_charged_when_an_error_page_stands_in_for_it', () =>
        notSold('/static/paged/nothing.txt'));

      test('is_not_charged_for_another_method', () =>
        notSold('/static/page.txt', { status: 405, method: 'POST', body: 'x' }));

      test('is_delivered_in_part_as_206', async () => {
        const answer = await sold('/static/page.txt', { status: 206, headers: { Range: 'bytes=4-7' } });
        assert.equal(answer.body, 'page');
      });

      test('is_not_charged_for_a_range_that_it_does_not_have', () =>
        notSold('/static/page.txt', { status: 416, headers: { Range: 'bytes=1000-' } }));

      test('is_delivered_as_304_when_it_is_unchanged', async () => {
        const { headers: { etag } } = await sold('/static/page.txt');
        await sold('/static/page.txt', { status: 304, headers: { 'If-None-Match': etag } });
      });

      test('is_not_charged_when_a_precondition_fails', () =>
        notSold('/static/page.txt', { status: 412, headers: { 'If-Match': '"another"' } }));

      test('is_not_charged_when_nginx_redirects_to_the_folder', () =>
        notSold('/static/folder', { status: 301 }));

      test('is_delivered_as_the_index_of_its_folder', async () =>
        assert.equal((await sold('/static/folder/')).body, PAGE));

      for (const place of ['try', 'try/redirected']) {
        test(`is_delivered_when_try_files_comes_to_it_at_${place}`, async () =>
          assert.equal((await sold(`/${place}/x`)).body, PAGE));
      }

      test('is_not_charged_when_try_files_comes_to_nothing', () =>
        notSold('/try/nothing/x', { status: 404 }));

      test('is_delivered_with_the_parts_that_it_includes', async () => {
        const before = upstream.count('part');
        assert.equal((await sold('/ssi/parts.txt')).body, 'a {"served":true} b\n');
        assert.equal(upstream.count('part'), before + 1);
      });

      test('is_delivered_though_a_part_that_it_includes_failed', async () =>
        assert.match((await sold('/ssi/hole.txt')).body, /^a .* b\n$/s));
    });

    test('an_upstream_behind_try_files_is_delivered', async () => {
      const { id } = await delivers('try/proxied', '');
      assert.equal(upstream.count(id), 1);
    });

    test('an_upstream_behind_an_error_page_of_what_is_free_is_sold', async () => {
      assert.equal((await caller.call('/dispatch/x')).status, 402);
      const { id } = await delivers('dispatch', '');
      assert.equal(upstream.count(id), 1);
    });

    for (const [options, status] of [['do=reset', 502], ['do=status&n=404', 404]]) {
      test(`an_upstream_behind_an_error_page_of_what_is_free_is_not_charged_for_its_${status}`, () =>
        voids('dispatch', options, { status }));
    }

    test('a_failing_upstream_behind_try_files_is_not_charged', () =>
      voids('try/proxied', 'do=reset', { status: 502 }));

    test('a_range_that_nginx_cuts_from_an_answer_is_delivered', async () => {
      const { answer } = await delivers('sliced', 'do=whole', { status: 206, headers: { Range: 'bytes=0-9' } });
      assert.equal(answer.body, 'x'.repeat(10));
    });

    test('a_range_that_an_answer_does_not_have_is_not_charged', () =>
      voids('sliced', 'do=whole', { status: 416, headers: { Range: 'bytes=1000-' } }));

    // --------------------------------------------------------------------- the cache

    describe('a cached answer', () => {
      test('is_charged_like_the_first_one', async () => {
        const first = await delivers('cached', 'do=whole&framing=length&size=5000');
        const paid = await newPayment();
        const answer = await caller.call(first.target, { paid });
        assert.equal(answer.headers['x-cache'], 'HIT');
        assert.equal(answer.body, first.answer.body);
        hasReceipt(answer);
        assert.equal(receiptIn(answer).payer.toLowerCase(), paid.message.from.toLowerCase());
        await isDelivered(gateway, paid);
        assert.equal(upstream.count(first.id), 1);
      });

      test('costs_its_price', async () => {
        const { target } = await delivers('cached', 'do=whole');
        assert.equal((await caller.call(target)).status, 402);
      });

      test('that_is_an_error_is_not_charged', async () => {
        const first = await voids('cached', 'do=status&n=404', { status: 404, again: false });
        const paid = await newPayment();
        const answer = await caller.call(first.target, { paid });
        assert.equal(answer.headers['x-cache'], 'HIT');
        assert.equal(answer.status, 404);
        hasNoReceipt(answer);
        await isVoid(gateway, paid);
        assert.equal(upstream.count(first.id), 1);
      });

      test('that_stands_in_for_a_failing_upstream_is_charged', async () => {
        const first = await delivers('stale', 'do=whole');
        upstream.script(first.id, { do: 'reset' });
        const paid = await newPayment();
        const stale = await waitFor(async () => {
          const answer = await caller.call(first.target, { paid: await newPayment() });
          return answer.headers['x-cache'] === 'STALE' && answer;
        }, 'the answer to be stale', 5_000, 300);
        assert.equal(stale.status, 200);
        const answer = await caller.call(first.target, { paid });
        assert.equal(answer.headers['x-cache'], 'STALE');
        assert.equal(answer.body, 'x'.repeat(100));
        hasReceipt(answer);
        await isDelivered(gateway, paid);
      });

      test('that_was_cut_off_is_not_kept', async () => {
        const { id } = await voids('cached', 'do=truncate&size=100', { receipt: true });
        assert.equal(upstream.count(id), 2);
      });
    });
  });
}
