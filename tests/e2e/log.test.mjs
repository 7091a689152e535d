// The access log in JSON: every line can be read, and one id leads from it to the
// payment's receipt.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ask, isPaid } from './lib/ask.mjs';
import { ROOT, waitFor } from './lib/process.mjs';
import { openFolder, serveArguments, startServe } from './lib/serve.mjs';
import { startUpstream } from './lib/upstream.mjs';
import { decode, newAccount, payment } from './lib/wallet.mjs';
import { delivered, x402Output } from './lib/x402.mjs';
import { startGateway } from './lib/gateway.mjs';
import { RawConnection } from './lib/raw.mjs';

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

let upstream;
let gateway;
let file;
before(async () => {
  upstream = await startUpstream();
  const folder = openFolder('log');
  file = path.join(folder, 'access.json');
  gateway = await startServe(upstream, { folder, args: ['--access-log', file, '--workers', 1] });
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

const lines = () => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

/** The line of a call, once it is there. */
const lineOf = (where) => waitFor(() => lines().find(({ uri }) => uri === where), `a line of ${where}`);

test('a_paid_call_is_one_line_with_payer_value_result_and_timings', async () => {
  const payer = newAccount();
  const paid = await payment(payer);
  isPaid(await ask(gateway, '/bought', { payment: paid }), paid);
  const line = await lineOf('/bought');
  assert.deepEqual(
    [line.status, line.method, line.result, line.reason, line.price, line.value, line.network],
    [200, 'GET', 'delivered', '', '0.001', '1000', 'eip155:84532']);
  assert.equal(line.payer.toLowerCase(), payer.address.toLowerCase());
  assert.match(line.id, /^[0-9a-f]{32}$/);
  for (const name of ['verify_seconds', 'admit_seconds', 'call_seconds']) {
    assert.match(line[name], /^\d+\.\d{6}$/, name);
    assert.ok(Number(line[name]) > 0, name);
  }
  assert.ok(Number(line.call_seconds) >= Number(line.verify_seconds) + Number(line.admit_seconds));
});

test('its_receipt_is_the_one_the_caller_got_and_leads_to_the_payment', async () => {
  const payer = newAccount();
  const paid = await payment(payer);
  const got = await ask(gateway, '/receipt', { payment: paid });
  const { receipt } = await lineOf('/receipt');
  assert.match(receipt, /^[\w-]{22}$/);
  assert.ok(got.headers['payment-response'] && JSON.stringify(decode(got.headers['payment-response'])).includes(receipt));
  const page = await ask(gateway, `/x402/receipts/${receipt}`);
  assert.equal(page.status, 200);
  assert.equal(page.json.payer.toLowerCase(), payer.address.toLowerCase());
  await delivered(gateway, payer.address, 1);
});

test('a_refused_call_says_why', async () => {
  await ask(gateway, '/unpaid');
  const unpaid = await lineOf('/unpaid');
  assert.deepEqual([unpaid.status, unpaid.result, unpaid.reason, unpaid.price, unpaid.call_seconds],
    [402, 'payment_required', '', '0.001', '']);
  await ask(gateway, '/cheap', { payment: await payment(newAccount(), { message: { value: '1' } }) });
  const cheap = await lineOf('/cheap');
  assert.deepEqual([cheap.status, cheap.reason],
    [402, 'invalid_exact_evm_payload_authorization_value_mismatch']);
});

test('a_used_payment_is_named_so', async () => {
  const paid = await payment(newAccount());
  await ask(gateway, '/first', { payment: paid });
  await ask(gateway, '/second', { payment: paid });
  const line = await lineOf('/second');
  assert.deepEqual([line.status, line.reason, line.receipt], [400, 'nonce_already_used', '']);
});

test('a_forged_payment_is_named_so_and_names_no_payer', async () => {
  await ask(gateway, '/forged', { payment: await payment(newAccount(), { signer: newAccount() }) });
  const line = await lineOf('/forged');
  assert.deepEqual([line.status, line.reason], [402, 'invalid_exact_evm_signature']);
  assert.deepEqual([line.payer, line.value, line.network, line.receipt, line.admit_seconds], ['', '', '', '', '']);
  assert.ok(Number(line.verify_seconds) > 0);
});

test('a_call_that_fails_is_void', async () => {
  await ask(gateway, '/fails?do=status&n=503', { payment: await payment(newAccount()) });
  const line = await lineOf('/fails?do=status&n=503');
  assert.deepEqual([line.status, line.result, line.upstream_status], [503, 'void', '503']);
});

test('traceparent_reaches_the_upstream_and_the_log_unchanged', async () => {
  const got = await ask(gateway, '/traced?do=echo', {
    payment: await payment(newAccount()), headers: { traceparent: TRACE, tracestate: 'a=1,b=2' },
  });
  assert.equal(got.json.headers.traceparent, TRACE);
  assert.equal(got.json.headers.tracestate, 'a=1,b=2');
  assert.equal((await lineOf('/traced?do=echo')).traceparent, TRACE);
});

test('what_a_caller_writes_stays_inside_its_string', async () => {
  await ask(gateway, '/quote"?x="},{"a\\', { headers: { 'user-agent': 'a"b\\c\td' } });
  const line = await waitFor(() => lines().find(({ agent }) => agent.startsWith('a"')), 'the line');
  assert.equal(line.agent, 'a"b\\c\td');
});

test('a_request_that_cannot_be_read_is_a_line_of_json_too', async () => {
  const before = lines().length;
  const connection = await RawConnection.open(gateway.port);
  connection.write('GARBAGE\r\n\r\n');
  await waitFor(() => lines().length > before, 'its line');
  connection.socket.destroy();
});

test('the_file_for_others_has_the_same_format', async () => {
  const text = await x402Output(serveArguments(upstream, {
    port: 4020, data: gateway.data, args: ['--print-config'],
  }));
  const written = text.split('\n').map((line) => line.trim());
  const packaged = fs.readFileSync(path.join(ROOT, 'packaging/nginx/x402-log.conf'), 'utf8')
    .split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#'));
  assert.ok(packaged.length > 5);
  for (const line of packaged) assert.ok(written.includes(line), line);
});

test('a_receipt_has_its_name_also_where_none_is_shown', async () => {
  const plain = await startGateway({
    price: '0.001', http: 'log_format receipt "$x402_receipt";',
    server: ({ folder }) => `access_log ${folder}/access.log receipt;`,
    locations: `location / { proxy_pass ${upstream.url}; }`,
  });
  await ask(plain, '/', { payment: await payment(newAccount()) });
  await waitFor(() => /^[\w-]{22}$/m.test(plain.accessLog()), 'the receipt');
  await plain.stop();
});
