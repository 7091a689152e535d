// /api/og: cards of texts, and of pages.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decodePng } from './lib/png.mjs';
import { temporaryFolder } from './lib/process.mjs';
import { startServices } from './lib/services.mjs';

const THEMES = ['light', 'dark', 'cobalt', 'forest', 'coral'];
const PUBLIC = '127.77.0.1'; // an address that test builds take for one of the Internet

const query = (texts) => new URLSearchParams(texts).toString();
const og = (services, texts) => fetch(`${services.url}/api/og?${query(texts)}`);

/** The card's bytes. */
async function card(services, texts) {
  const response = await og(services, texts);
  assert.equal(response.status, 200, response.status === 200 ? '' : await response.text());
  assert.equal(response.headers.get('content-type'), 'image/png');
  return Buffer.from(await response.arrayBuffer());
}

async function isProblem(response, status) {
  const problem = await response.json();
  assert.equal(response.status, status, problem.detail);
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  return problem.detail;
}

const same = (a, b) => a.every((channel, i) => channel === b[i]);

/** Whether anything but the ground is seen between two columns of pixels. */
function hasInk(png, from, to) {
  const ground = png.at(600, 5);
  for (let x = from; x < to; x++) {
    for (let y = 0; y < png.height; y++) {
      if (!same(png.at(x, y), ground)) return true;
    }
  }
  return false;
}

describe('a card of texts', () => {
  let services;

  before(async () => { services = await startServices(); });
  after(() => services?.stop());

  test('it_is_a_png_of_1200_by_630', async () => {
    const png = decodePng(await card(services, { title: 'Hello', subtitle: 'there', site: 'x' }));
    assert.deepEqual([png.width, png.height], [1200, 630]);
    assert.ok(hasInk(png, 80, 400), 'the text');
    assert.ok(hasInk(png, 1100, 1200), 'the pattern');
    assert.ok(!hasInk(png, 0, 79), 'the margin');
  });

  test('each_theme_has_a_ground_of_its_own_and_light_is_the_default', async () => {
    const grounds = new Set();
    for (const theme of THEMES)
      grounds.add(decodePng(await card(services, { title: 'Hello', theme })).at(600, 5).join());
    assert.equal(grounds.size, THEMES.length);
    assert.deepEqual(await card(services, { title: 'Hello' }),
      await card(services, { title: 'Hello', theme: 'light' }));
  });

  test('one_card_is_always_the_same_bytes_also_when_many_are_drawn_at_once', async () => {
    const texts = [{ title: 'One' }, { title: 'ثلاثة' }, { title: '二', subtitle: 'zwei' }];
    const alone = [];
    for (const each of texts) alone.push(await card(services, each));
    const rounds = Array.from({ length: 8 }, () => texts).flat();
    const together = await Promise.all(rounds.map((each) => card(services, each)));
    together.forEach((bytes, i) => assert.ok(bytes.equals(alone[i % texts.length])));
  });

  test('pages_of_one_site_share_its_colour', async () => {
    const mark = async (title, site) => decodePng(await card(services, { title, site })).at(84, 530).join();
    assert.equal(await mark('One', 'a.example'), await mark('Two', 'a.example'));
    const sites = 'abcdefgh'.split('').map((letter) => `${letter}.example`);
    const colours = new Set(await Promise.all(sites.map((site) => mark('One', site))));
    assert.ok(colours.size > 2);
  });

  test('each_title_has_a_pattern_of_its_own', async () => {
    const patterns = new Set();
    for (const title of ['One', 'Two', 'Three']) {
      const png = decodePng(await card(services, { title, theme: 'cobalt' }));
      patterns.add(Array.from({ length: 630 }, (_, y) => png.at(1010, y)).join());
    }
    assert.equal(patterns.size, 3);
  });

  test('a_title_from_right_to_left_turns_the_card_round', async () => {
    for (const title of ['مرحبا بالعالم', 'שלום עולם', '402: שלום']) {
      const png = decodePng(await card(services, { title }));
      assert.ok(hasInk(png, 0, 100), 'the pattern at the left');
      assert.ok(hasInk(png, 1000, 1121), 'the text at the right');
      assert.ok(!hasInk(png, 1122, 1200), 'the margin at the right');
    }
  });

  test('text_stays_between_the_margin_and_the_pattern_however_long_it_is', async () => {
    const long = [
      'word '.repeat(400), 'x'.repeat(2000), 'W'.repeat(2000), '漢'.repeat(660), 'ض'.repeat(1000),
      'i'.repeat(2000), `${'Donaudampfschifffahrtsgesellschaft'.repeat(3)} und mehr`,
    ];
    for (const text of long) {
      const png = decodePng(await card(services, { title: text, subtitle: text, site: text }));
      const [from, to] = text[0] === 'ض' ? [253, 320] : [882, 947];
      assert.ok(!hasInk(png, from, to), `${text.slice(0, 9)} in the gutter`);
      assert.ok(!hasInk(png, ...(text[0] === 'ض' ? [1130, 1200] : [0, 70])));
    }
  });

  test('markup_is_drawn_as_it_is_written', async () => {
    const plain = await card(services, { title: 'a & b', site: 's' });
    for (const title of ['<b>a & b</b>', 'a &amp; b', '<span size="99999999">a & b'])
      assert.ok(!plain.equals(await card(services, { title, site: 's' })), title);
  });

  test('white_space_controls_and_emoji_do_not_show', async () => {
    const texts = { subtitle: 'b', site: 's' };
    const clean = decodePng(await card(services, { ...texts, title: 'Two words' }));
    const noisy = decodePng(await card(services, { ...texts, title: ' Two\r\n\t\u0000\u2028 words🚀\ue000 ' }));
    for (let x = 80; x < 900; x++) {
      for (let y = 0; y < 630; y++) assert.deepEqual(noisy.at(x, y), clean.at(x, y));
    }
  });

  test('what_makes_no_card_is_refused', async () => {
    const cases = [
      [{}, 400], [{ title: '' }, 400], [{ title: ' \n' }, 400], [{ title: '🚀🚀' }, 400],
      [{ title: 'x', theme: 'pink' }, 400], [{ title: 'x'.repeat(2001) }, 413],
      [{ title: 'x', subtitle: 'x'.repeat(2001) }, 413],
    ];
    for (const [texts, status] of cases) await isProblem(await og(services, texts), status);
    assert.match(await isProblem(await og(services, { title: 'x', theme: '' }), 400), /light, dark/);
    const broken = await fetch(`${services.url}/api/og?title=%ff%fe`);
    await isProblem(broken, 400);
  });

  test('after_drawing_it_ends_cleanly', async () => {
    const other = await startServices();
    await card(other, { title: 'Last', subtitle: 'العربية 日本' });
    assert.deepEqual(await other.stop(), { code: 0, signal: null });
  });

  test('a_posted_object_makes_the_same_card', async () => {
    const texts = { title: 'Posted', theme: 'coral' };
    const response = await fetch(`${services.url}/api/og`, {
      method: 'POST', body: JSON.stringify(texts),
    });
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(await card(services, texts)));
  });
});

describe('a card of a page', () => {
  const pages = {
    '/article': ['text/html; charset=utf-8', `<!doctype html><title>Not this</title>
      <meta property="og:title" content="The &quot;real&quot; title">
      <meta property="og:description" content="What it is about">
      <meta property="og:site_name" content="The Daily">`],
    '/bare': ['text/html', '<p>Nothing but a paragraph'],
    '/image': ['image/png', 'x'],
  };
  let server;
  let services;
  let url;

  before(async () => {
    server = http.createServer((request, response) => {
      const [type, body] = pages[request.url] ?? [];
      response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' });
      response.end(body);
    });
    await new Promise((resolve) => { server.listen(0, PUBLIC, resolve); });
    const hosts = path.join(temporaryFolder('hosts'), 'hosts');
    fs.writeFileSync(hosts, `daily.example ${PUBLIC}\ninside.example 10.0.0.1\n`);
    services = await startServices({
      env: { X402_SERVICES_TEST_PUBLIC: '127.77.0.0/16', X402_SERVICES_TEST_HOSTS: hosts },
    });
    url = `http://daily.example:${server.address().port}`;
  });
  after(async () => {
    await services?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  const isCardOf = async (asked, texts) =>
    assert.ok((await card(services, asked)).equals(await card(services, texts)));

  test('it_says_what_the_page_says_of_itself', async () => {
    await isCardOf({ url: `${url}/article`, theme: 'dark' }, {
      title: 'The "real" title', subtitle: 'What it is about', site: 'The Daily', theme: 'dark',
    });
  });

  test('an_argument_goes_before_the_page', async () => {
    await isCardOf({ url: `${url}/article`, title: 'Mine' },
      { title: 'Mine', subtitle: 'What it is about', site: 'The Daily' });
  });

  test('a_page_without_a_title_has_that_of_its_host', async () => {
    await isCardOf({ url: `${url}/bare` }, { title: 'daily.example', site: 'daily.example' });
  });

  test('what_cannot_be_had_is_refused_with_its_reason', async () => {
    const cases = [
      ['file:///etc/passwd', 400], ['nonsense', 400], ['http://127.0.0.1/', 403],
      ['http://169.254.169.254/latest/', 403], ['http://inside.example/', 403],
      [`${url}/missing`, 502], [`${url}/image`, 422],
    ];
    for (const [where, status] of cases)
      assert.ok((await isProblem(await og(services, { url: where }), status)).length > 10);
  });
});
