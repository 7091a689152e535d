// The status page in a real browser: its figures are what stock clients bought and what a
// settler collected, they change while one looks, everybody can read them, and nobody who
// may not see who paid.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { ask, isPaid, isUsed } from './lib/ask.mjs';
import { NARROW, PHONE, closePage, launchBrowser, newPage, screenshot } from './lib/browser.mjs';
import { startGateway } from './lib/gateway.mjs';
import { contrastOf, sticksOut } from './lib/looks.mjs';
import { BUILD, ROOT, run, temporaryFolder, waitFor } from './lib/process.mjs';
import { openShop } from './lib/shop.mjs';
import { settleOnce } from './lib/settler.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { keyFile, newAccount, payment } from './lib/wallet.mjs';
import { delivered } from './lib/x402.mjs';

const TOKEN = 'a-token-of-this-test-0123456789';
const HOSTILE = '<img src=x onerror=alert(1)> & <script>alert(2)</script> ok';
const TABLET = { width: 820, height: 1180 };
const BASE_USDC = '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913';

const paying = (payer) => wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network: 'eip155:*', client: new ExactEvmScheme(payer) }],
});

/** A file with the token of the private page. */
function tokenFile() {
  const file = path.join(temporaryFolder('token'), 'token');
  fs.writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
  return file;
}

/** The figures on top: {name: 'value unit'}; what is not yet there is '–'. */
async function figures(page) {
  const all = await page.locator('#figures > div').evaluateAll((parts) => parts.map((part) => [
    part.querySelector('dt').textContent,
    [...part.querySelectorAll('.value')].map((value) => [...value.children].map((one) => one.textContent).join(' ')),
  ]));
  return Object.fromEntries(all.map(([name, values]) => [name, values.join(', ')]));
}

/** Waits until a figure is as it should be. */
const shows = (page, name, value) => waitFor(async () => (await figures(page))[name] === value, `${name}: ${value}`);

/** A table as text: an object for each row, by column. */
const tableOf = (page, id) => page.locator(`#${id} table`).first().evaluate((table) => {
  const names = [...table.querySelectorAll('thead th')].map((cell) => cell.textContent);
  return [...table.querySelectorAll('tbody tr')].map((row) =>
    Object.fromEntries([...row.children].map((cell, i) => [names[i], cell.textContent.replaceAll(/\s+/g, ' ')])));
});

const isLive = (page) => page.locator('#state[data-state=live]').waitFor();

describe('the status page', { timeout: 300_000 }, () => {
  let browser; let shop; let page;
  const bought = []; // {payer, path}

  before(async () => {
    browser = await launchBrowser();
    const file = tokenFile();
    shop = await openShop({
      gateway: (url) => ({
        locations: `
        location /api/ { x402_price 0.001; x402_description '${HOSTILE}'; proxy_pass ${url}; }
        location /cheap/ { x402_price 0.05c; proxy_pass ${url}; }
        location /status { x402_status; }
        location /all/ { x402_status private ${file}; }
        location /x402/receipts/ { x402_price off; x402_receipts; }`,
      }),
    });
  });
  after(async () => {
    await browser?.close();
    await shop?.close();
  });
  afterEach(async () => {
    const opened = page;
    page = null;
    if (opened) await closePage(opened);
  });

  /** Opens the page and waits until its figures have come. */
  async function open(options, at = '/status') {
    page = await newPage(browser, options);
    await page.goto(shop.gateway.url + at);
    await isLive(page);
    return page;
  }
  const openPrivate = (options) =>
    open({ httpCredentials: { username: 'operator', password: TOKEN }, ...options }, '/all/');

  /** Buys a call with a stock client, and knows of it. */
  async function buy(payer, at) {
    const answer = await paying(payer)(shop.gateway.url + at);
    assert.equal(answer.status, 200);
    bought.push({ payer, path: at });
    await delivered(shop.gateway, payer.address, bought.filter((one) => one.payer === payer).length);
  }

  test('of_a_gateway_that_sold_nothing_says_how_to_buy_the_first_call', async () => {
    await open();
    const { 'Latency, p50': latency, ...others } = await figures(page);
    assert.deepEqual(others, { 'Paid calls': '0', Revenue: '0', 'Distinct callers': '0' });
    assert.equal(latency, '–', 'there is none, which is not 0');
    await page.getByRole('heading', { name: 'Nothing sold yet' }).waitFor();
    assert.match(await page.locator('#welcome').textContent(),
      new RegExp(`x402 wallet new wallet\\.key.*x402 pay ${shop.gateway.url}/api/`, 's'));
    assert.equal(await page.locator('#time').isVisible(), false, 'no chart of nothing');
    await screenshot(page, 'status-empty');
  });

  test('changes_after_a_purchase_without_being_loaded_again', async () => {
    await open({ reducedMotion: 'reduce' });
    await page.evaluate(() => { window.loaded = 'once'; });
    await buy(await shop.newPayer(), '/api/a');
    await shows(page, 'Paid calls', '1');
    await shows(page, 'Revenue', '0.001 USDC');
    await shows(page, 'Distinct callers', '1');
    assert.equal(await page.evaluate(() => window.loaded), 'once');
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0, 'motion was not wanted');
    assert.match(await page.locator('#notices').textContent(), /Test money.*base-sepolia/);
    assert.equal(await page.locator('#figures .tag.test').textContent(), 'test money');
  });

  test('shows_what_was_bought_by_route_and_by_hour', async () => {
    await open();
    const payer = await shop.newPayer();
    await buy(payer, '/cheap/a');
    await buy(payer, '/cheap/b');
    await buy(bought[0].payer, '/api/b');
    await shows(page, 'Paid calls', '4');
    await shows(page, 'Revenue', '0.003 USDC');
    await shows(page, 'Distinct callers', '2');

    const routes = await tableOf(page, 'routes');
    assert.deepEqual(routes.map((row) => [row.Route, row.Calls, row.Revenue]),
      [['/api/', '2', '0.002 USDC'], ['/cheap/', '2', '0.001 USDC']]);
    assert.ok(routes.every((row) => Number(row.Asked) >= 2), 'the client asks before it pays');

    await page.getByText('The same as a table').click();
    const hours = await tableOf(page, 'hours');
    const sum = (name) => hours.reduce((all, row) => all + parseFloat(row[name]), 0);
    assert.equal(sum('Paid calls'), 4);
    assert.equal(sum('Revenue').toFixed(4), '0.0030');
    const bars = await page.locator('#plot rect.calls').count();
    assert.ok(bars === 1 || bars === 2, `${bars} bars: of this hour, and of the last when it just ended`);
  });

  test('shows_refusals_by_their_reason', async () => {
    const payer = await shop.newPayer();
    const paid = await payment(payer, { message: { to: shop.payee } });
    isPaid(await ask(shop.gateway, '/api/used', { payment: paid }), paid);
    bought.push({ payer, path: '/api/used' });
    isUsed(await waitFor(async () => {
      const got = await ask(shop.gateway, '/api/used', { payment: paid });
      return got.status !== 409 && got;
    }, 'the payment to be used'));
    await open();
    await waitFor(async () => /nonce_already_used\s*1/.test(await page.locator('#refusals').innerText()), 'the refusal');
  });

  test('shows_what_the_settler_collected_and_what_gas_it_cost', async () => {
    await open();
    const queue = () => page.locator('#queue .facts dd').first().textContent();
    await waitFor(async () => (await queue()) === String(bought.length), 'the queue');
    await settleOnce(shop.gateway, shop.chain, shop.key);
    await waitFor(async () => (await queue()) === '0', 'the queue to be empty');
    const payments = await tableOf(page, 'payments');
    assert.equal(payments.length, bought.length);
    assert.ok(payments.every((row) => row.Call === 'Delivered' && row.Money === 'Settled'), JSON.stringify(payments));
    const [today] = await tableOf(page, 'gas');
    assert.equal(today.Settled, String(bought.length));
    assert.match(today.Gas, /^0\.0*[1-9]\d* ETH$/);
  });

  test('in_public_names_nobody_who_paid', async () => {
    await open();
    const texts = [await page.content()];
    for (const at of ['/status', '/status/', '/status/stats']) texts.push((await ask(shop.gateway, at)).body);
    for (const text of texts) {
      for (const { payer } of bought) {
        assert.equal(text.toLowerCase().includes(payer.address.toLowerCase().slice(2)), false);
      }
      assert.doesNotMatch(text, /x402\/receipts\/[\w-]{22}|\/tx\/0x/);
    }
    assert.equal(await page.locator('#payments a').count(), 0);
    await screenshot(page, 'status-public');
  });

  test('in_private_asks_for_the_token_and_links_receipts_and_transactions', async () => {
    for (const at of ['/all/', '/all/stats', '/all/events']) {
      assert.equal((await ask(shop.gateway, at)).status, 401, at);
    }
    await openPrivate();
    const { payer } = bought.at(-1);
    const row = page.locator('#payments tbody tr').first();
    assert.equal((await row.locator('code[title]').getAttribute('title')).toLowerCase(), payer.address.toLowerCase());
    assert.match(await row.getByRole('link', { name: /Transaction/ }).getAttribute('href'),
      /^https:\/\/sepolia\.basescan\.org\/tx\/0x[0-9a-f]{64}$/);
    const receipt = await ask(shop.gateway, await row.getByRole('link', { name: /Receipt/ }).getAttribute('href'));
    assert.equal(receipt.json.payer.toLowerCase(), payer.address.toLowerCase());
    await screenshot(page, 'status-private');
  });

  test('shows_who_settles_and_in_private_with_which_key', async () => {
    await open();
    assert.match(await page.locator('#settlers').innerText(), /base-sepolia working/);
    assert.equal(/0x[0-9a-f]{40}/i.test(await page.locator('#settlers').innerText()), false);
    await closePage(page);
    await openPrivate();
    assert.match(await page.locator('#settlers').textContent(), new RegExp(shop.key.address, 'i'));
  });

  test('shows_a_hostile_description_as_the_text_it_is', async () => {
    await open();
    const words = page.locator('#sold li', { hasText: '/api/' }).locator('.offer > div > p').first();
    assert.equal(await words.textContent(), HOSTILE);
    assert.equal(await page.locator('img').count(), 0);
    assert.equal(await page.locator('script').count(), 1, 'its own');
  });

  test('is_used_with_the_keyboard_alone', async () => {
    await open({ permissions: ['clipboard-read', 'clipboard-write'] });
    const focused = (what) => page.evaluate((selector) => document.activeElement.matches(selector), what);
    await page.keyboard.press('Tab');
    assert.ok(await focused('.skip'), 'first the skip link');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.ok(await focused('#chart'), 'then the chart');
    assert.notEqual(await page.locator('#chart').evaluate((chart) => getComputedStyle(chart).outlineStyle), 'none');

    const read = () => page.locator('#chart').getAttribute('aria-valuetext');
    const newest = await read();
    assert.match(newest, /\d+:\d+ to \d+:\d+, \d+ paid calls?, 0\.\d+\sUSDC/);
    await page.keyboard.press('ArrowLeft');
    assert.notEqual(await read(), newest);
    assert.equal(await page.locator('#chart').getAttribute('aria-valuenow'), '166');
    const bare = (text) => text.replaceAll(/[\s,]/g, '');
    assert.equal(bare(await page.locator('#reading').innerText()), bare(await read()), 'who sees reads the same');
    await page.keyboard.press('Home');
    assert.equal(await page.locator('#chart').getAttribute('aria-valuenow'), '0');
    await page.keyboard.press('PageUp');
    assert.equal(await page.locator('#chart').getAttribute('aria-valuenow'), '24');

    for (let i = 0; i < 30 && !(await focused('.copy')); i++) await page.keyboard.press('Tab');
    const said = page.locator('#said', { hasText: 'Copied' }).waitFor({ state: 'attached' });
    await Promise.all([said, page.keyboard.press('Enter')]); // it is said for two seconds
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, `x402 pay ${shop.gateway.url}/api/ --key wallet.key`);
    assert.ok(await focused('.copy'), 'the focus stays');
  });

  test('what_it_copies_buys_a_call', async () => {
    await open();
    const payer = await shop.newPayer();
    const folder = temporaryFolder('buyer');
    fs.copyFileSync(keyFile(payer), path.join(folder, 'wallet.key'));
    const [command, snippet] = await page.locator('#sold li').first().locator('.command code').allTextContents();
    const typed = await run('sh', ['-c', command], { cwd: folder, env: { PATH: `${BUILD}:${process.env.PATH}` } });
    assert.equal(typed.code, 0, typed.stderr);
    await delivered(shop.gateway, payer.address, 1);
    const program = `globalThis.crypto ??= (await import('node:crypto')).webcrypto;\n${snippet}`;
    const written = await run(process.execPath, ['--input-type=module', '-e', program], { cwd: ROOT, env: { PAYER_KEY: payer.key } });
    assert.equal(written.code, 0, written.stderr);
    await delivered(shop.gateway, payer.address, 2);
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`can_be_read_in_${colorScheme}`, async () => {
      await openPrivate({ colorScheme });
      await page.locator('summary').evaluateAll((all) => all.forEach((one) => one.click()));
      const { faint, seen } = await contrastOf(page);
      assert.ok(seen > 100, `${seen} texts`);
      assert.deepEqual(faint, []);
      await screenshot(page, `status-${colorScheme}`);
    });
  }

  for (const viewport of [NARROW, PHONE, TABLET]) {
    test(`fits_a_screen_of_${viewport.width}_pixels`, async () => {
      await openPrivate({ viewport });
      await page.locator('summary').evaluateAll((all) => all.forEach((one) => one.click()));
      assert.deepEqual(await sticksOut(page), []);
      await screenshot(page, `status-${viewport.width}`);
    });
  }

  test('has_landmarks_headings_and_tables_with_names', async () => {
    await open();
    for (const role of ['banner', 'main', 'contentinfo']) assert.equal(await page.getByRole(role).count(), 1, role);
    const levels = await page.locator('h1:visible, h2:visible, h3:visible').evaluateAll((all) => all.map((one) => Number(one.tagName[1])));
    assert.equal(levels.filter((level) => level === 1).length, 1);
    assert.ok(levels.every((level, i) => i === 0 || level <= levels[i - 1] + 1), `no level is left out: ${levels}`);
    const nameless = await page.locator('table').evaluateAll((tables) =>
      tables.filter((table) => !table.caption?.textContent || table.querySelector('thead th:not([scope])')).length);
    assert.equal(nameless, 0);
    const unnamed = await page.locator('a, button, [role=slider], [role=region]').evaluateAll((all) =>
      all.filter((one) => !(one.getAttribute('aria-label') ?? one.textContent).trim()).length);
    assert.equal(unnamed, 0);
  });

  test('keeps_what_its_reader_opened_and_focused_while_figures_change', async () => {
    await open();
    const details = page.locator('#sold details').first();
    await details.locator('summary').focus();
    await page.keyboard.press('Enter');
    const calls = (await figures(page))['Paid calls'];
    await buy(await shop.newPayer(), '/api/later');
    await waitFor(async () => (await figures(page))['Paid calls'] !== calls, 'the next call');
    assert.notEqual(await details.getAttribute('open'), null);
    assert.equal(await page.evaluate(() => document.activeElement.localName), 'summary');
  });
});

describe('the status page says', { timeout: 240_000 }, () => {
  let browser; let upstream; let gateway; let page;

  before(async () => {
    [browser, upstream] = await Promise.all([launchBrowser(), startUpstream()]);
  });
  after(async () => {
    await browser?.close();
    await upstream?.stop();
  });
  afterEach(async () => {
    const opened = page;
    page = null;
    if (opened) await closePage(opened);
    await gateway?.stop();
    gateway = null;
  });

  async function open(options, locations) {
    gateway = await startGateway({ locations: `${locations} location /x402/status { x402_status; }` });
    page = await newPage(browser, options);
    await page.goto(`${gateway.url}/x402/status`);
    await isLive(page);
  }

  test('what_free_calls_would_have_earned_and_that_they_did_not', async () => {
    await open({}, `location /free/ { x402_enforce off; x402_price 0.25; proxy_pass ${upstream.url}; }`);
    for (const name of ['a', 'b']) assert.equal((await ask(gateway, `/free/${name}`)).status, 200);
    await shows(page, 'Predicted revenue', '0.50 USDC');
    const { Revenue, 'Paid calls': calls } = await figures(page);
    assert.deepEqual([Revenue, calls], ['0.00 USDC', '0']);
    assert.match(await page.locator('.predicted').textContent(), /2 free calls: not earned/);
    assert.match(await page.locator('#notices').textContent(), /Shadow mode/);
    await page.locator('#plot rect.shadow').first().waitFor();
    await screenshot(page, 'status-shadow');
  });

  test('what_each_token_earned_and_adds_no_test_money_to_real_money', async () => {
    await open({}, `location /api/ { x402_accept base base-sepolia; x402_price 0.001; proxy_pass ${upstream.url}; }`);
    const base = {
      domain: { chainId: 8453, name: 'USD Coin', verifyingContract: BASE_USDC },
      accepted: { network: 'eip155:8453', asset: BASE_USDC, extra: { name: 'USD Coin', version: '2' } },
    };
    for (const options of [base, {}, {}]) {
      const paid = await payment(newAccount(), options);
      isPaid(await ask(gateway, '/api/x', { payment: paid }), paid);
    }
    await shows(page, 'Paid calls', '3');
    await shows(page, 'Revenue', '0.001 USDC, 0.002 USDC');
    const rows = await tableOf(page, 'tokens');
    assert.deepEqual(rows.map((row) => [row.Token, row.Revenue]),
      [['USDC on base ', '0.001 USDC'], ['USDC on base-sepolia test money', '0.002 USDC']]);
    await page.getByRole('radio', { name: 'USDC on base-sepolia' }).check();
    assert.match(await page.locator('#summary').textContent(), /^2 paid calls, 0\.002\sUSDC of test money on base-sepolia/);
    await screenshot(page, 'status-tokens');
  });

  test('that_the_gateway_is_gone_and_when_it_is_back', async () => {
    await open({ allow: [/net::ERR|status of 5\d\d/] },
      `location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }`);
    await gateway.kill();
    await page.locator('#state[data-state=reconnecting]').waitFor();
    assert.match(await page.locator('#notices').textContent(), /cannot be reached\. Shown are the figures of \d+:\d+:\d+/);
    await gateway.start();
    await isLive(page);
    assert.equal(await page.locator('.notice.bad').count(), 0);
  });

  test('why_the_figures_cannot_be_read', async () => {
    await open({ allow: [/status of 503/] }, `location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }`);
    const problem = {
      status: 503, contentType: 'application/problem+json',
      body: JSON.stringify({ title: 'The ledger does not answer', status: 503, code: 'ledger_unavailable' }),
    };
    await page.route('**/events', (route) => route.fulfill(problem));
    await page.route('**/stats', (route) => route.fulfill(problem));
    await page.reload();
    await page.locator('#state[data-state=unreadable]').waitFor();
    assert.match(await page.locator('#notices').textContent(), /cannot be read: The ledger does not answer/);
    assert.ok(Object.values(await figures(page)).every((value) => value === '–'), 'and shows none');
    await screenshot(page, 'status-unreadable');
  });

  test('nothing_untrue_where_events_do_not_come_through', async () => {
    await open({ allow: [/net::ERR/] }, `location /api/ { x402_price 0.001; proxy_pass ${upstream.url}; }`);
    await page.route('**/events', (route) => route.abort());
    await page.reload();
    await page.locator('#state[data-state=polling]').waitFor();
    const paid = await payment(newAccount());
    isPaid(await ask(gateway, '/api/x', { payment: paid }), paid);
    await shows(page, 'Paid calls', '1');
  });
});
