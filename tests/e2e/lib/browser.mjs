// A real browser: Debian's Chromium, without a window, driven by playwright-core. What a
// page complains of on its console (errors, exceptions, what its policy forbids) fails the
// test that opened it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { BUILD, ROOT } from './process.mjs';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find(fs.existsSync) ?? 'chromium';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

const PATIENCE_MILLISECONDS = 15_000; // with what a page is to do

/** What a page is shown on, unless a test says otherwise. */
const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
export const NARROW = { width: 360, height: 740 };

/** Starts Chromium with a profile of its own; close() it in the end. */
export function launchBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
}

/**
 * A page in a session of its own (cookies, cache, permissions). The options are those of
 * playwright's newContext: viewport, colorScheme, reducedMotion, httpCredentials…; and
 * `allow`, patterns of complaints that are part of the test. Close it with closePage.
 */
export async function newPage(browser, { allow = [], ...options } = {}) {
  const context = await browser.newContext({
    viewport: DESKTOP, locale: 'en-GB', timezoneId: 'UTC', ...options,
  });
  context.setDefaultTimeout(PATIENCE_MILLISECONDS);
  const page = await context.newPage();
  page.complaints = [];
  const complain = (text) => {
    if (!allow.some((pattern) => pattern.test(text))) page.complaints.push(text);
  };
  page.on('console', (message) => {
    const { url } = message.location();
    if (['error', 'warning'].includes(message.type())) complain(`${message.text()} (${url})`);
  });
  page.on('pageerror', (error) => complain(`exception: ${error.stack ?? error}`));
  return page;
}

/** Closes a page and its session; fails when it complained of something. */
export async function closePage(page) {
  await page.context().close();
  assert.deepEqual(page.complaints, [], 'the page complains');
}

/** Where screenshots go: with the CI's artefacts, or below build; never into git. */
export const SCREENSHOTS = process.env.CI_ARTIFACTS
  ? path.join(process.env.CI_ARTIFACTS, 'screenshots', path.basename(BUILD))
  : path.join(ROOT, 'build/screenshots', path.basename(BUILD));

/** Takes a picture of the whole page, "NAME.png"; gives its file. */
export async function screenshot(page, name, options = {}) {
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  const file = path.join(SCREENSHOTS, `${name}.png`);
  await page.screenshot({ path: file, fullPage: true, ...options });
  return file;
}
