// The demo services, on their own: their command line, and vectors for texts.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openaiError, startEmbeddings } from './lib/apis.mjs';
import { freePort, run, temporaryFolder } from './lib/process.mjs';
import { CLEAN, SERVICES, secretFile, startServices } from './lib/services.mjs';

describe('a vector made here', () => {
  let services;

  before(async () => {
    services = await startServices();
  });
  after(() => services?.stop());

  const get = (text) =>
    fetch(`${services.url}/api/embed?text=${encodeURIComponent(text)}`);
  const post = (body) => fetch(`${services.url}/api/embed`, { method: 'POST', body });
  const vector = async (text) => (await (await get(text)).json()).embedding;
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

  test('a_vector_has_the_stated_dimension_and_length_one', async () => {
    const { model, dimensions, embedding } = await (await get('hello world')).json();
    assert.equal(model, 'local-ngram-256');
    assert.equal(dimensions, 256);
    assert.equal(embedding.length, 256);
    assert.ok(Math.abs(dot(embedding, embedding) - 1) < 1e-5);
  });

  test('near_texts_are_near_and_far_ones_far', async () => {
    const text = await vector('The quick brown fox jumps over the lazy dog');
    const near = await vector('A quick brown fox jumped over a lazy dog');
    const far = await vector('Stock markets fell sharply on Tuesday');
    assert.ok(dot(text, near) > 0.5);
    assert.ok(Math.abs(dot(text, far)) < 0.25);
  });

  test('case_and_punctuation_do_not_matter_and_words_of_any_script_do', async () => {
    assert.deepEqual(await vector('Hello, World!'), await vector('hello world'));
    assert.ok(dot(await vector('日本語の文章'), await vector('日本語の文')) > 0.5);
  });

  test('a_posted_text_gives_the_same_vector', async () => {
    const response = await post(JSON.stringify({ text: 'hello' }));
    assert.deepEqual((await response.json()).embedding, await vector('hello'));
  });

  test('what_is_no_text_or_too_much_of_it_is_refused', async () => {
    const cases = [
      [get(''), 400], [get(' .,!'), 400], [post('{'), 400], [post('[]'), 400],
      [post('{"text":5}'), 400], [post(JSON.stringify({ text: 'x'.repeat(9000) })), 413],
      [post('x'.repeat(100_000)), 413], [fetch(`${services.url}/api/embed?text=%ff`), 400], [fetch(`${services.url}/other`), 404],
      [fetch(`${services.url}/api/embed?text=a`, { method: 'DELETE' }), 405],
    ];
    for (const [answer, status] of cases) {
      const response = await answer;
      assert.equal(response.status, status);
      assert.equal(response.headers.get('content-type'), 'application/problem+json');
      assert.equal((await response.json()).status, status);
    }
  });

  test('sigterm_ends_it_cleanly', async () => {
    const other = await startServices();
    assert.deepEqual(await other.stop(), { code: 0, signal: null });
  });
});

describe('a vector from an API', () => {
  const KEY = 'sk-proj-abcdefghijklmnopqrstuvwxyz';
  let api;
  let services;

  before(async () => {
    api = await startEmbeddings(KEY);
    services = await startServices({
      args: ['--embeddings-url', api.url, '--embeddings-model', 'text-embedding-3-small',
        '--embeddings-key', secretFile(KEY)],
    });
  });
  after(async () => {
    await services?.stop();
    await api?.stop();
  });

  const embed = (text) => fetch(`${services.url}/api/embed?text=${encodeURIComponent(text)}`);

  test('it_is_the_api_s_with_its_model_and_dimension', async () => {
    api.next();
    assert.deepEqual(await (await embed('née 日本')).json(),
      { model: 'text-embedding-3-small', dimensions: 3, embedding: [0.25, -0.5, 1] });
    const [{ headers, body }] = api.calls;
    assert.deepEqual(body, { model: 'text-embedding-3-small', input: 'née 日本' });
    assert.equal(headers.authorization, `Bearer ${KEY}`);
  });

  test('an_overload_is_asked_again_and_then_passed_on', async () => {
    const busy = openaiError(429, 'requests', 'rate_limit_exceeded', 'Rate limit reached');
    api.next(busy);
    assert.equal((await embed('x')).status, 200);
    assert.equal(api.calls.length, 2);
    api.next({ ...busy, headers: { 'retry-after': '60' } });
    const response = await embed('x');
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '60');
  });

  test('a_refusal_and_what_is_no_vector_are_502_without_the_key', async () => {
    const vector = (embedding) => ({ status: 200, body: JSON.stringify({ data: [{ embedding }] }) });
    const steps = [
      openaiError(401, 'invalid_request_error', 'invalid_api_key', `Incorrect API key: ${KEY}`),
      vector([]), vector(['1']), vector('AAAA'), vector(Array(8193).fill(0)),
      { status: 200, body: '{"data":[]}' }, { status: 200, body: '[]' },
    ];
    for (const step of steps) {
      api.next(step);
      const response = await embed('x');
      assert.equal(response.status, 502, step.body.slice(0, 60));
      assert.ok(!(await response.text()).includes(KEY));
    }
    assert.ok(!services.log().includes(KEY));
  });

  test('an_api_without_keys_is_asked_without_one', async () => {
    const open = await startEmbeddings();
    const other = await startServices({
      args: ['--embeddings-url', open.url, '--embeddings-model', 'm'],
    });
    assert.equal((await fetch(`${other.url}/api/embed?text=x`)).status, 200);
    await other.stop();
    await open.stop();
  });
});

describe('the command line', () => {
  const services = (args, env = {}) => run(SERVICES, args, { env: { ...CLEAN, ...env }, within: 10_000 });

  /** What it says when it refuses its arguments with this exit code. */
  async function refusal(code, args, env) {
    const ended = await services(args, env);
    assert.equal(ended.code, code, ended.stderr);
    assert.equal(ended.stdout, '');
    assert.match(ended.stderr, /^x402-services: /);
    return ended.stderr;
  }

  test('help_names_every_service_and_option', async () => {
    const { code, stdout } = await services(['--help']);
    assert.equal(code, 0);
    for (const path of ['ask', 'og', 'fetch-summarize', 'embed'])
      assert.ok(stdout.includes(`/api/${path}?`), path);
    for (const option of ['listen', 'claude-key', 'claude-model', 'claude-url',
      'embeddings-url', 'embeddings-model', 'embeddings-key'])
      assert.ok(stdout.includes(`--${option} `), option);
  });

  test('wrong_usage_is_2_and_says_the_fix', async () => {
    assert.match(await refusal(2, ['--colour']), /no option --colour/);
    assert.match(await refusal(2, ['--listen']), /--listen needs a value/);
    assert.match(await refusal(2, ['x']), /nothing to do with 'x'/);
    assert.match(await refusal(2, ['--embeddings-url', 'http://127.0.0.1:1']), /--embeddings-model NAME/);
    assert.match(await refusal(2, ['--embeddings-model', 'm']), /--embeddings-url URL is missing/);
    assert.match(await refusal(2, ['--claude-url', 'https://x/?x']), /query/);
    assert.match(await refusal(2, ['--claude-url', 'api.anthropic.com']), /is not a URL/);
    assert.match(await refusal(2, ['--claude-url', 'ftp://x']), /write https/);
    assert.match(await refusal(2, ['--claude-url', 'https://me:pw@x']), /user name/);
  });

  test('a_key_is_not_sent_in_clear_to_another_machine', async () => {
    const args = ['--claude-url', 'http://api.example.com', '--claude-key', secretFile('k')];
    assert.match(await refusal(2, args), /would show the key .* write https/);
  });

  test('a_key_that_others_may_read_is_refused_with_the_fix', async () => {
    const file = secretFile('sk-secret', 0o644);
    const said = await refusal(1, ['--claude-key', file]);
    assert.match(said, /mode 0644 .* chmod 600/);
    assert.ok(!said.includes('sk-secret'));
  });

  test('what_is_no_key_is_refused', async () => {
    for (const text of ['', '\n', 'two words', 'k\nx-other: header', 'k\0', 'x'.repeat(600)])
      await refusal(1, ['--claude-key', secretFile(text)]);
    await refusal(1, ['--claude-key', temporaryFolder('no-file')]);
    assert.match(await refusal(1, [], { ANTHROPIC_API_KEY: 'two words' }), /ANTHROPIC_API_KEY/);
  });

  test('a_key_in_the_arguments_is_refused_and_not_repeated', async () => {
    const key = 'sk-ant-api03-0123456789abcdef';
    const said = await refusal(2, ['--claude-key', key]);
    assert.match(said, /takes the name of a file/);
    assert.ok(!said.includes(key));
  });

  test('a_port_that_is_taken_is_1', async () => {
    const first = await startServices();
    assert.match(await refusal(1, ['--listen', `127.0.0.1:${first.port}`]), /cannot listen/);
    assert.match(await refusal(1, ['--listen', `localhost:${await freePort()}`]), /127\.0\.0\.1:4021/);
    await first.stop();
  });
});
