// The page that a browser sees in place of what it did not pay for: it explains, signs
// with the browser's wallet, pays over the local chain, and shows what was bought.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, beforeEach, afterEach, describe, test } from 'node:test';
import { NARROW, closePage, launchBrowser, newPage, screenshot } from './lib/browser.mjs';
import { addWallet } from './lib/browser-wallet.mjs';
import { freePort, waitFor } from './lib/process.mjs';
import { startSettler } from './lib/settler.mjs';
import { openShop } from './lib/shop.mjs';
import { newAccount } from './lib/wallet.mjs';
import { payments } from './lib/x402.mjs';

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

const GOODS = {
  '/api/json': ['application/json', '{"answer":42,"to":"everything"}'],
  '/api/text': ['text/plain; charset=utf-8', 'forty-two, ¿qué?'],
  '/api/html': ['text/html', '<h1 id=goods>Goods</h1><script>parent.document.title="taken"</script>'],
  '/api/image': ['image/png', PNG],
  '/api/file': ['application/octet-stream', 'bytes'],
};

/** An upstream that sells GOODS, and does what `server.next` says, once. */
async function startGoods() {
  const port = await freePort();
  const server = http.createServer((request, response) => {
    server.calls++;
    const next = server.next;
    server.next = undefined;
    if (next) return next(response);
    const [type, body] = GOODS[new URL(request.url, 'http://x').pathname] ?? ['text/plain', 'none'];
    response.writeHead(200, { 'content-type': type });
    return response.end(body);
  });
  server.calls = 0;
  await new Promise((done) => { server.listen(port, '127.0.0.1', done); });
  server.url = `http://127.0.0.1:${port}`;
  return server;
}

/** A browser answers a 402 with a complaint on its console, as for any failed load. */
const allow = [/status of (402|400|500|409|503)/];

describe('the browser paywall', { timeout: 240_000 }, () => {
  let shop; let goods; let browser; let page; let wallet; let payer; let allowed;

  before(async () => {
    [goods, browser] = await Promise.all([startGoods(), launchBrowser()]);
    const sell = (path, more = '') => `location ${path} {
      x402_price 0.001; x402_description "One answer & <b>no more</b>"; ${more}
      proxy_pass ${goods.url}; }`;
    shop = await openShop({
      gateway: {
        locations: `${sell('/api/')} ${sell('/first/', 'x402_settle before;')}
          ${sell('/two/', 'x402_accept base-sepolia base;')}
          location /x402/receipts/ { x402_price off; x402_receipts; }`,
      },
    });
  });
  after(async () => {
    await browser?.close();
    await shop?.close();
    goods?.close();
  });

  beforeEach(async () => {
    payer = await shop.newPayer('0.01');
    allowed = [...allow]; // a test adds what it provokes
    page = await newPage(browser, { allow: allowed });
    wallet = await addWallet(page, payer);
  });
  afterEach(() => closePage(page));

  const open = (path) => page.goto(`${shop.gateway.url}${path}`);
  const button = () => page.getByRole('button', { name: 'Pay $0.001 with Test Wallet' });
  const says = (text) => page.getByRole('status').getByText(text).waitFor();
  const bought = () => payments(shop.gateway, '--payer', payer.address);
  const buy = async () => { await button().click(); await says('Paid $0.001'); };

  test('says_what_it_is_what_it_costs_and_where_it_is_paid', async () => {
    const response = await open('/api/json?q=1');
    assert.equal(response.status(), 402);
    assert.equal(await page.title(), '$0.001 · Payment required');
    assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'One answer & <b>no more</b>');
    const main = await page.getByRole('main').innerText();
    for (const text of ['$0.001', 'USDC', 'base-sepolia', 'test money', '/api/json?q=1']) {
      assert.ok(main.includes(text), text);
    }
    await screenshot(page, 'paywall');
  });

  test('one_button_signs_pays_and_shows_the_answer', async () => {
    await open('/api/json');
    await buy();
    assert.deepEqual(JSON.parse(await page.locator('#content pre').innerText()), { answer: 42, to: 'everything' });
    const [row, ...others] = await bought();
    assert.equal(others.length, 0);
    assert.equal(row.value, '1000');
    assert.equal(wallet.requests.filter(({ method }) => method === 'eth_signTypedData_v4').length, 1);
    await screenshot(page, 'paywall-paid');
  });

  test('the_receipt_of_what_was_bought_can_be_fetched', async () => {
    await open('/api/json');
    await buy();
    const link = await page.locator('#after a').getAttribute('href');
    const receipt = await (await fetch(link)).json();
    assert.equal(receipt.payer.toLowerCase(), payer.address.toLowerCase());
  });

  test('the_keyboard_alone_is_enough', async () => {
    await open('/api/text');
    await button().waitFor();
    for (let i = 0; i < 10 && !(await button().evaluate((b) => b === document.activeElement)); i++) {
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await says('Paid $0.001');
    assert.equal(await page.locator('#answer').evaluate((e) => e === document.activeElement), true);
  });

  test('text_images_files_and_pages_are_shown_as_what_they_are', async () => {
    const looks = {
      '/api/text': () => page.locator('#content pre').innerText().then((t) => assert.equal(t, GOODS['/api/text'][1])),
      '/api/image': () => page.locator('#content img').evaluate((i) => i.decode().then(() => i.naturalWidth)).then((w) => assert.equal(w, 1)),
      '/api/file': () => page.locator('#content a[download="file"]').waitFor(),
      '/api/html': () => page.frameLocator('#content iframe').locator('#goods').waitFor(),
    };
    for (const [path, look] of Object.entries(looks)) {
      if (path === '/api/html') allowed.push(/Blocked script execution in 'about:srcdoc'/);
      await open(path);
      await buy();
      await look();
    }
    assert.equal(await page.title(), '$0.001 · Payment required', 'no script of the goods runs');
  });

  test('a_wallet_on_another_chain_is_asked_to_switch', async () => {
    wallet.chainId = 1;
    await open('/api/json');
    await buy();
    assert.equal(wallet.chainId, 84532);
  });

  test('a_wallet_that_does_not_know_the_chain_is_told_which', async () => {
    Object.assign(wallet, { chainId: 1, known: [] });
    await open('/api/json');
    await button().click();
    await says('add chain 84532');
    assert.deepEqual(await bought(), []);
  });

  test('a_signature_that_ends_in_0_or_1_is_understood', async () => {
    wallet.alter = (s) => s.slice(0, -2) + (Number.parseInt(s.slice(-2), 16) - 27).toString(16).padStart(2, '0');
    await open('/api/json');
    await buy();
  });

  test('who_says_no_pays_nothing_and_may_still_say_yes', async () => {
    wallet.refuse = true;
    await open('/api/json');
    await button().click();
    await says('Nothing was signed');
    wallet.refuse = false;
    await buy();
    assert.equal((await bought()).length, 1);
  });

  test('an_upstream_that_fails_costs_nothing_and_the_same_payment_buys_the_next_try', async () => {
    goods.next = (response) => { response.writeHead(500); response.end('no'); };
    await open('/api/json');
    await button().click();
    await says('You were not charged');
    await buy();
    const rows = await bought();
    assert.equal(rows.length, 1);
    assert.equal(rows[0].attempts, 2);
    assert.equal(wallet.requests.filter(({ method }) => method === 'eth_signTypedData_v4').length, 1);
  });

  /** The answer to the next click reaches nobody. */
  async function loseOneAnswer(path) {
    await button().waitFor();
    await page.route(`**${path}`, async (route) => {
      await route.fetch(); // it reaches the gateway, and nothing comes back
      await route.abort('connectionreset');
    }, { times: 1 });
    allowed.push(/ERR_CONNECTION_RESET/);
    await button().click();
    await says('The answer did not arrive');
    await waitFor(async () => (await bought()).length === 1, 'the payment is recorded');
  }

  test('an_answer_that_was_lost_is_asked_for_with_the_same_payment', async () => {
    await open('/api/json');
    await loseOneAnswer('/api/json');
    await button().click();
    await says('its answer was delivered before');
    assert.equal((await bought()).length, 1);
  });

  const signatures = () => wallet.requests.filter(({ method }) => method === 'eth_signTypedData_v4').length;

  test('a_page_that_is_loaded_again_presents_the_payment_whose_answer_was_lost', async () => {
    await open('/api/json');
    await loseOneAnswer('/api/json');
    await page.reload();
    await says('signed here before');
    await button().click();
    await says('its answer was delivered before');
    assert.equal(signatures(), 1);
    await page.reload();
    await buy();
    assert.equal(signatures(), 2, 'what is used up is forgotten');
  });

  test('another_way_to_pay_is_not_signed_while_the_first_may_have_been_charged', async () => {
    await open('/two/x');
    await loseOneAnswer('/two/x');
    await page.getByRole('radio').nth(1).check();
    await button().click();
    await says('its answer was delivered before');
    assert.equal(signatures(), 1);
    assert.equal((await bought()).length, 1);
  });

  test('another_way_to_pay_is_signed_when_the_first_is_known_to_be_unused', async () => {
    wallet.known.push(8453);
    goods.next = (response) => { response.writeHead(500); response.end('no'); };
    await open('/two/x');
    await button().click();
    await says('You were not charged');
    await page.getByRole('radio').nth(1).check();
    await button().click();
    await says('Paid $0.001');
    assert.deepEqual((await bought()).map(({ chainId, delivery }) => [chainId, delivery]),
      [[8453, 'delivered'], [84532, 'void']]);
  });

  test('a_page_that_is_loaded_again_while_its_payment_settles_gets_what_was_paid_for', async () => {
    await open('/first/x');
    await button().click();
    await waitFor(async () => (await bought()).length === 1, 'the payment is recorded');
    await page.reload();
    const settler = startSettler(shop.gateway, shop.chain, shop.key);
    await says('signed here before');
    await buy();
    const rows = await bought();
    assert.deepEqual(rows.map(({ delivery }) => delivery), ['delivered']);
    assert.equal(signatures(), 1);
    await settler.stop();
  });

  test('a_signature_that_no_gateway_understands_is_not_presented_again', async () => {
    wallet.alter = (signature) => signature + '00'.repeat(65);
    await open('/api/json');
    await button().click();
    await says('does not understand this signature');
    wallet.alter = (signature) => signature;
    await buy();
    assert.equal((await bought()).length, 1);
  });

  test('a_redirect_is_not_said_to_be_free', async () => {
    goods.next = (response) => { response.writeHead(302, { location: '/elsewhere' }); response.end(); };
    await open('/api/json');
    await button().click();
    await says('leads to another address');
    await button().click();
    await says('its answer was delivered before');
    assert.equal(signatures(), 1);
  });

  test('a_service_that_is_out_of_order_is_not_waited_for', async () => {
    const calls = goods.calls;
    goods.next = (response) => { response.writeHead(503); response.end('no'); };
    await open('/api/json');
    await button().click();
    await says('The service answered 503. You were not charged');
    assert.equal(goods.calls, calls + 1);
  });

  test('a_payer_without_money_is_told_so_where_it_is_settled_first', async () => {
    const settler = startSettler(shop.gateway, shop.chain, shop.key);
    const other = await newPage(browser, { allow });
    await addWallet(other, newAccount());
    await other.goto(`${shop.gateway.url}/first/x`);
    await other.getByRole('button', { name: /Pay/ }).click();
    await other.getByText('does not have enough').waitFor();
    await closePage(other);
    await settler.stop();
  });

  test('a_page_asked_for_by_post_explains_and_does_not_pay', async () => {
    const headers = { Accept: 'text/html' };
    const got = await page.request.post(`${shop.gateway.url}/api/text`, { headers });
    assert.equal(got.status(), 402);
    await page.setContent(await got.text());
    await says('asked for by POST');
    assert.equal(await page.locator('#wallet').isHidden(), true);
  });

  test('without_a_wallet_it_says_how_to_pay_from_elsewhere', async () => {
    const other = await newPage(browser, { allow, viewport: NARROW, colorScheme: 'dark' });
    await other.goto(`${shop.gateway.url}/api/json?q=%27;id;%27`);
    assert.equal(await other.locator('#wallet').isHidden(), true);
    const command = await other.locator('.command code').first().innerText();
    assert.match(command, /^x402 pay '[^']*' --key wallet\.key$/m);
    const wide = await other.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= NARROW.width, `${wide} px on a phone`);
    await screenshot(other, 'paywall-phone-dark');
    await closePage(other);
  });

  test('its_policy_lets_no_other_script_run', async () => {
    const response = await open('/api/json');
    const policy = response.headers()['content-security-policy'];
    assert.match(policy, /default-src 'none'; script-src 'sha256-[^']+';/);
    assert.match(policy, /frame-ancestors 'none'/);
    allowed.push(/violates the following Content Security Policy directive/);
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'document.title = "taken"';
      document.body.append(script);
    });
    assert.notEqual(await page.title(), 'taken');
  });
});
