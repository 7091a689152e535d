// The APIs that the services ask, played in the wire formats of the real ones:
// Anthropic's Messages API (https://docs.anthropic.com/en/api/messages, /en/api/errors) and
// OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings). What is
// wrong with a request is refused as there.

import http from 'node:http';
import { freePort } from './process.mjs';

const json = (status, body, headers = {}) => ({ status, body: JSON.stringify(body), headers });

/** An error of the Messages API. */
export const claudeError = (status, type, message, headers) => json(
  status, { type: 'error', error: { type, message }, request_id: 'req_011CSHoEeqs5C35K2UUqR7Fy' },
  headers);

export const rateLimited = (seconds) => claudeError(
  429, 'rate_limit_error', 'This request would exceed your rate limit.',
  seconds === undefined ? {} : { 'retry-after': String(seconds) });

export const overloaded = () => claudeError(529, 'overloaded_error', 'Overloaded');

/** A message of Claude's. */
export const message = (model, content, more = {}) => json(200, {
  id: 'msg_013Zva2CMHLNnXjNJJKqJ2EF', type: 'message', role: 'assistant', model, content,
  stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 12, output_tokens: 6 },
  ...more,
});

export const text = (words) => ({ type: 'text', text: words });

/** An error of OpenAI's. */
export const openaiError = (status, type, code, words) =>
  json(status, { error: { message: words, type, param: null, code } });

function claude(request, body, api) {
  if (request.method !== 'POST' || request.url !== '/v1/messages')
    return claudeError(404, 'not_found_error', 'Not Found');
  if (request.headers['x-api-key'] !== api.key)
    return claudeError(401, 'authentication_error', `invalid x-api-key ${api.key}`);
  if (request.headers['anthropic-version'] !== '2023-06-01')
    return claudeError(400, 'invalid_request_error', 'anthropic-version: header is required');
  if (request.headers['content-type'] !== 'application/json' || !(body.max_tokens > 0))
    return claudeError(400, 'invalid_request_error', 'max_tokens: Field required');
  return message(body.model, [text(`You asked: ${body.messages[0].content}`)]);
}

function embeddings(request, body, api) {
  if (request.url !== '/v1/embeddings')
    return openaiError(404, 'invalid_request_error', null, 'Unknown request URL');
  if (request.headers.authorization !== (api.key ? `Bearer ${api.key}` : undefined))
    return openaiError(401, 'invalid_request_error', 'invalid_api_key',
      `Incorrect API key provided: ${api.key}`);
  return json(200, {
    object: 'list', model: body.model,
    data: [{ object: 'embedding', index: 0, embedding: [0.25, -0.5, 1] }],
    usage: { prompt_tokens: 2, total_tokens: 2 },
  });
}

class Api {
  constructor(play, key) {
    Object.assign(this, { play, key, script: [], calls: [] });
  }

  /**
   * What the next requests get instead of an answer, in order: answers, or functions of
   * (request, response).
   */
  next(...steps) {
    this.script = steps;
    this.calls = [];
  }

  async answer(request, response) {
    let raw = '';
    for await (const piece of request.setEncoding('utf8')) raw += piece;
    const body = JSON.parse(raw);
    this.calls.push({ headers: request.headers, body, at: Date.now() });
    const step = this.script.shift() ?? this.play(request, body, this);
    if (typeof step === 'function') {
      step(request, response);
      return;
    }
    response.writeHead(step.status, { 'content-type': 'application/json', ...step.headers });
    response.end(step.body);
  }

  async listen() {
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.server = http.createServer((request, response) => this.answer(request, response));
    await new Promise((resolve) => { this.server.listen(this.port, '127.0.0.1', resolve); });
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

export const startClaude = (key) => new Api(claude, key).listen();
export const startEmbeddings = (key) => new Api(embeddings, key).listen();
