// The demo services, on their own.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startServices } from './lib/services.mjs';

describe('/api/embed', () => {
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
      [post('x'.repeat(100_000)), 413], [fetch(`${services.url}/other`), 404],
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
