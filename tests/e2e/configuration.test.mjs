// The configuration: nginx -t changes nothing, and every mistake is found, with its line.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { before, test } from 'node:test';
import { startGateway } from './lib/gateway.mjs';
import { MISTAKES, mistaken } from './lib/mistakes.mjs';
import { temporaryFolder } from './lib/process.mjs';
import { PAYEE } from './lib/wallet.mjs';

let draft; // a gateway whose configuration is tested and never run

before(async () => {
  draft = await startGateway({ locations: '' });
  await draft.stop();
});

/** Tests a configuration; `invalid` is a character that stands for a byte not UTF-8. */
function check(options, invalid) {
  draft.configure(options);
  if (invalid) {
    const text = fs.readFileSync(draft.file, 'latin1');
    fs.writeFileSync(draft.file, text.replace(invalid, '\xff'), 'latin1');
  }
  return draft.test();
}

const standard = { payTo: PAYEE, accept: 'base-sepolia', ledger: true, http: '', server: '' };

test('makes_no_ledger', () => {
  const folder = temporaryFolder('test-only');
  const { ok, output } = check({
    ...standard, ledger: false, http: `x402_ledger ${folder}/ledger.db;`,
    locations: 'location /sold/ { x402_price 0.001; }',
  });
  assert.equal(ok, true, output);
  assert.deepEqual(fs.readdirSync(folder), []);
});

test('takes_every_directive_at_every_level_it_is_documented_for', () => {
  const selling = `
      x402_pay_to ${PAYEE}; x402_accept base base-sepolia; x402_price 0.1c; x402_settle before;
      x402_settle_timeout 5s; x402_max_unsettled 2; x402_max_unsettled_new 5c;
      x402_max_unsettled_total 100;
      x402_window 60 min=10 max=3600; x402_rate 5r/s burst=10; x402_refusal_rate off;
      x402_description "words"; x402_mime_type text/plain; x402_public_url https://shop.example;
      x402_facilitator https://x402.org/facilitator;`;
  const { ok, output } = check({
    ...standard, payTo: null, accept: null, rate: null, refusalRate: null, maxUnsettled: null,
    http: selling, server: selling,
    locations: `location /sold/ { ${selling} } location /stats { x402_price off; x402_stats; }
      location /r/ { x402_price off; x402_receipts; } location /status { x402_price off; x402_status; }
      location /metrics { x402_price off; x402_metrics; } location = /health { x402_price off; x402_health; }
      location = /ready { x402_price off; x402_ready settler=10 due=20; }`,
  });
  assert.equal(ok, true, output);
  draft.configure({ rate: 'off', refusalRate: 'off', maxUnsettled: 'off' });
});

for (const [directive, mistakes] of Object.entries(MISTAKES)) {
  test(`refuses_every_mistake_in_${directive}_and_says_where`, () => {
    const wrong = [];
    for (const mistake of mistakes) {
      const invalid = mistake.text.includes('@') && '@';
      const { ok, output } = check({ ...standard, ...mistaken(mistake) }, invalid);
      const problem = complaint(mistake, ok, output);
      if (problem) wrong.push(`${mistake.text || directive}: ${problem}`);
    }
    assert.deepEqual(wrong, []);
  });
}

/** What is wrong with nginx's answer to a mistake; nothing when it is right. */
function complaint({ text, says, missing }, ok, output) {
  if (ok) return 'accepted';
  if (!says.test(output)) return `says ${output.split('\n')[0]}`;
  const at = new RegExp(`in ${draft.file}:(\\d+)`).exec(output);
  if (missing) return at || /unknown ".*" variable/.test(output) ? null : `says no place: ${output}`;
  if (!at) return `says no place: ${output}`;
  const config = fs.readFileSync(draft.file, 'utf8');
  const first = config.slice(0, config.indexOf(text.split('@')[0])).split('\n').length;
  const last = first + text.split('\n').length - 1;
  const named = Number(at[1]);
  return named >= first && named <= last ? null : `names line ${named} for ${first}`;
}
