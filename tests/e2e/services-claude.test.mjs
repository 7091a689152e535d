// /api/ask, with a server that speaks the Messages API as Anthropic's does.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  claudeError, message, overloaded, rateLimited, startClaude, text,
} from './lib/apis.mjs';
import { freePort } from './lib/process.mjs';
import { secretFile, startServices } from './lib/services.mjs';

const KEY = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz';
const MODEL = 'claude-3-haiku-20240307';

const startWith = (claude, env) => startServices({
  args: ['--claude-url', claude.url, '--claude-key', secretFile(`${KEY}\n`)], env,
});

const ask = (services, question) =>
  fetch(`${services.url}/api/ask?q=${encodeURIComponent(question)}`);

/** It is a problem document of this status; gives its detail. */
async function isProblem(response, status) {
  const body = await response.json();
  assert.equal(response.status, status, body.detail);
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  assert.equal(body.status, status);
  return body.detail;
}

describe('an answer', () => {
  let claude;
  let services;

  before(async () => {
    claude = await startClaude(KEY);
    services = await startWith(claude);
  });
  after(async () => {
    await services?.stop();
    await claude?.stop();
  });

  test('a_question_is_answered_by_the_model_that_says_so', async () => {
    claude.next();
    const response = await ask(services, 'What is 2 + 2? "Née" 日本');
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(),
      { answer: 'You asked: What is 2 + 2? "Née" 日本', model: MODEL });
  });

  test('the_request_is_what_the_api_asks_for', async () => {
    claude.next();
    await ask(services, 'Why?');
    const [{ headers, body }] = claude.calls;
    assert.equal(headers['x-api-key'], KEY);
    assert.equal(headers['anthropic-version'], '2023-06-01');
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(Object.keys(body).toSorted(), ['max_tokens', 'messages', 'model', 'system']);
    assert.equal(body.model, MODEL);
    assert.deepEqual(body.messages, [{ role: 'user', content: 'Why?' }]);
    assert.ok(body.max_tokens <= 300 && body.system.length > 0);
  });

  test('a_posted_question_is_answered_too', async () => {
    claude.next();
    const response = await fetch(`${services.url}/api/ask`, {
      method: 'POST', body: JSON.stringify({ q: 'Posted?' }),
    });
    assert.equal((await response.json()).answer, 'You asked: Posted?');
  });

  test('blocks_of_text_are_joined_and_others_left_out', async () => {
    const thinking = { type: 'thinking', thinking: 'hm', signature: 'x' };
    claude.next(message(MODEL, [thinking, text('One, '), text('two.')]));
    assert.equal((await (await ask(services, 'Count')).json()).answer, 'One, two.');
  });

  test('an_answer_that_was_cut_says_so', async () => {
    claude.next(message(MODEL, [text('It is a long st')], { stop_reason: 'max_tokens' }));
    assert.deepEqual(await (await ask(services, 'Tell')).json(),
      { answer: 'It is a long st', model: MODEL, cut: true });
  });

  test('what_is_no_question_is_refused_before_anybody_is_asked', async () => {
    claude.next();
    const cases = {
      '': 400, '?q=': 400, '?q=+%0A': 400, '?q=%ff': 400, [`?q=${'x'.repeat(2001)}`]: 413,
    };
    for (const [query, status] of Object.entries(cases))
      await isProblem(await fetch(`${services.url}/api/ask${query}`), status);
    assert.equal(claude.calls.length, 0);
  });

  test('a_question_of_2000_bytes_is_asked', async () => {
    claude.next();
    assert.equal((await ask(services, 'x'.repeat(2000))).status, 200);
    assert.equal(claude.calls[0].body.messages[0].content.length, 2000);
  });
});

describe('an API in trouble', () => {
  let claude;
  let services;

  before(async () => {
    claude = await startClaude(KEY);
    services = await startWith(claude);
  });
  after(async () => {
    await services?.stop();
    await claude?.stop();
  });

  test('a_rate_limit_is_waited_out_as_long_as_it_says', async () => {
    claude.next(rateLimited(2));
    assert.equal((await ask(services, 'Again?')).status, 200);
    assert.equal(claude.calls.length, 2);
    assert.ok(claude.calls[1].at - claude.calls[0].at >= 1900);
    assert.deepEqual(claude.calls[1].body, claude.calls[0].body);
  });

  test('an_overload_is_asked_again_with_growing_pauses', async () => {
    claude.next(overloaded(), overloaded(), overloaded());
    assert.equal((await ask(services, 'Again?')).status, 200);
    const pauses = claude.calls.slice(1).map(({ at }, i) => at - claude.calls[i].at);
    assert.equal(pauses.length, 3);
    assert.ok(pauses[0] >= 350 && pauses[1] >= 700 && pauses[2] >= 1450, String(pauses));
  });

  test('a_rate_limit_that_lasts_is_passed_on_at_once', async () => {
    claude.next(rateLimited(90));
    const begun = Date.now();
    const response = await ask(services, 'Now?');
    assert.ok(Date.now() - begun < 15_000, 'it was asked again'); // for which there are 20 s
    assert.equal(response.headers.get('retry-after'), '90');
    assert.match(await isProblem(response, 503), /too much to do/);
    assert.equal(claude.calls.length, 1);
  });

  test('a_refused_key_is_502_and_neither_caller_nor_log_sees_it', async () => {
    claude.next(claudeError(401, 'authentication_error', `invalid x-api-key: ${KEY}`));
    const detail = await isProblem(await ask(services, 'Who?'), 502);
    assert.ok(!detail.includes(KEY));
    assert.match(services.log(), /\/v1\/messages: status 401/);
    assert.ok(!services.log().includes(KEY));
    assert.equal(claude.calls.length, 1);
  });

  test('an_error_is_502_and_the_log_says_what_the_api_said', async () => {
    claude.next(claudeError(404, 'not_found_error', 'model: claude-9\nx'));
    await isProblem(await ask(services, 'Who?'), 502);
    assert.match(services.log(), /status 404: model: claude-9 x\n/);
  });

  const bad = {
    garbage: { status: 200, body: '<html>not JSON' },
    an_empty_object: { status: 200, body: '{}' },
    a_message_without_text: message(MODEL, [], { stop_reason: 'refusal' }),
    content_that_is_no_list: { status: 200, body: '{"content":"x"}' },
    a_server_error: claudeError(500, 'api_error', 'Internal server error'),
    a_redirect: { status: 307, body: '', headers: { location: 'http://127.0.0.1:9/' } },
    more_than_256_KiB: message(MODEL, [text('x'.repeat(256 * 1024))]),
    a_broken_connection: (request) => request.socket.resetAndDestroy(),
  };
  for (const [name, step] of Object.entries(bad)) {
    test(`${name}_is_502`, async () => {
      claude.next(step);
      await isProblem(await ask(services, 'Well?'), 502);
      assert.equal(claude.calls.length, 1);
    });
  }

  test('an_api_that_is_not_there_is_502', async () => {
    const nobody = await startWith({ url: `http://127.0.0.1:${await freePort()}` });
    await isProblem(await ask(nobody, 'Anybody?'), 502);
    await nobody.stop();
  });
});

describe('an API that takes its time', { concurrency: true }, () => {
  let services;
  let claude;

  before(async () => {
    claude = await startClaude(KEY);
    services = await startWith(claude);
    claude.play = (request, body) =>
      (body.messages[0].content === 'overloaded' ? overloaded() : () => {});
  });
  after(async () => {
    await services?.stop();
    await claude?.stop();
  });

  test('no_answer_is_502_after_20_seconds', async () => {
    const begun = Date.now();
    await isProblem(await ask(services, 'silent'), 502);
    assert.ok(Date.now() - begun > 19_000 && Date.now() - begun < 35_000);
  });

  test('an_overload_that_lasts_is_503_within_20_seconds', async () => {
    const begun = Date.now();
    const response = await ask(services, 'overloaded');
    assert.ok(Date.now() - begun < 23_000); // one pause more, and it takes 23.6 s at least
    assert.equal(response.headers.get('retry-after'), '1');
    await isProblem(response, 503);
  });
});

test('without_a_key_it_is_503_and_says_what_to_do', async () => {
  const services = await startServices();
  assert.match(await isProblem(await ask(services, 'Who?'), 503), /--claude-key FILE/);
  assert.match(services.log(), /no key for Claude/);
  assert.equal((await services.stop()).code, 0);
});

test('the_key_may_come_from_the_environment_and_the_model_from_an_option', async () => {
  const claude = await startClaude(KEY);
  const services = await startServices({
    args: ['--claude-url', `${claude.url}/`, '--claude-model=claude-x'],
    env: { ANTHROPIC_API_KEY: KEY },
  });
  assert.equal((await (await ask(services, 'Who?')).json()).model, 'claude-x');
  assert.ok(!services.log().includes(KEY));
  await services.stop();
  await claude.stop();
});

test('a_key_stays_out_of_a_proxy_when_the_api_is_on_this_machine', async () => {
  const claude = await startClaude(KEY);
  const proxy = `http://127.0.0.1:${await freePort()}`; // nobody's
  const services = await startWith(claude, { http_proxy: proxy, all_proxy: proxy });
  assert.equal((await ask(services, 'Who?')).status, 200);
  await services.stop();
  await claude.stop();
});
