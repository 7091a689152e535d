// What is no payment at all is refused with the place where it goes wrong, however it does.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isProblem } from './lib/ask.mjs';
import { counter } from './lib/counter.mjs';
import { openHttp2, requestHttp2 } from './lib/raw.mjs';
import { DIALECTS, HEADERS, newAccount, payment, wire } from './lib/wallet.mjs';

const HEADER_MAX = 6144;

before(() => counter.open());
after(() => counter.close());

/** 400, with a problem document that names the field. */
async function isMalformed(paid, code, field) {
  const { got } = await counter.present(paid);
  isProblem(got, { status: 400, code, field });
}

/** Values no field takes, as JSON. */
const NOT_STRINGS = ['null', 'true', '1000', '[]', '["0x"]', '{}', '1.5'];
const NOT_OBJECTS = ['null', 'true', '1', '[]', '[{}]', '"{}"'];
const NOT_NUMBERS = ['""', '"-1"', '"+1"', '"1.0"', '"1e3"', '"0x3e8"', '" 1000"', '"1000 "',
  '"1_000"', '"１０００"', `"${'9'.repeat(79)}"`];
const notHex = (digits) => ['""', '"0x"', ...[
  digits - 1, digits + 1, digits - 2, digits + 2].map((count) => `"0x${'a'.repeat(count)}"`),
`"${'a'.repeat(digits)}"`, `"${'a'.repeat(digits + 2)}"`, `"0X${'a'.repeat(digits)}"`,
`"0x${'g'.repeat(digits)}"`, `"0x${'a'.repeat(digits - 1)} "`, `" 0x${'a'.repeat(digits - 1)}"`,
`"0x${'a'.repeat(digits - 2)}é"`];

const OBJECT = NOT_OBJECTS;
const ADDRESS = [...NOT_STRINGS, ...notHex(40)];
const NONCE = [...NOT_STRINGS, ...notHex(64)];
const SIGNATURE_TEXT = [...NOT_STRINGS, ...notHex(130), `"0x${'a'.repeat(1000)}"`];
const NUMBER = [...NOT_STRINGS, ...NOT_NUMBERS];

const exactFields = {
  'payload': OBJECT, 'payload.signature': SIGNATURE_TEXT, 'payload.authorization': OBJECT,
  'payload.authorization.from': ADDRESS, 'payload.authorization.to': ADDRESS,
  'payload.authorization.value': NUMBER, 'payload.authorization.validAfter': NUMBER,
  'payload.authorization.validBefore': NUMBER, 'payload.authorization.nonce': NONCE,
};

/** Every field of every dialect, and what it must not be. */
const fields = {
  v2: {
    'accepted': OBJECT, 'accepted.scheme': NOT_STRINGS, 'accepted.asset': ADDRESS,
    'accepted.network': [...NOT_STRINGS, '""', '"base-sepolia"', '"84532"', '"eip155:"',
      '"eip155:0"', '"eip155:084532"', '"eip155:84532x"', '"eip155:-1"', '"eip155: 84532"',
      '"eip155:18446744073709551616"'],
    'accepted.payTo': ADDRESS, 'accepted.amount': NUMBER, ...exactFields,
  },
  v1: { 'scheme': NOT_STRINGS, 'network': [...NOT_STRINGS, '""'], ...exactFields },
  flat: {
    'signature': SIGNATURE_TEXT, 'nonce': NONCE, 'amount': NUMBER, 'from': ADDRESS,
    'expiry': ['null', 'true', '[]', '{}', '""', '"1800000000"', '0', '-1', '-0', '1.5', '1e10',
      '1800000000.0', '9'.repeat(79)],
  },
};

/** The payload's JSON with one field set to a piece of JSON, or taken out. */
function withField(payload, path, json) {
  const draft = structuredClone(payload);
  const names = path.split('.');
  const last = names.pop();
  const parent = names.reduce((object, name) => object[name], draft);
  if (json === undefined) delete parent[last];
  else parent[last] = '@@';
  return JSON.stringify(draft).replace('"@@"', () => json);
}

describe('a malformed field', () => {
  for (const dialect of DIALECTS) {
    for (const [path, wrong] of Object.entries(fields[dialect])) {
      test(`${path}_is_named_in_${dialect}`, async () => {
        const { name, payload } = await payment(newAccount(), { dialect });
        for (const json of [undefined, ...wrong]) {
          const { got } = await counter.present(wire(name, withField(payload, path, json)));
          const told = () => isProblem(got, { status: 400, code: 'invalid_payload', field: path });
          assert.doesNotThrow(told, `${path} = ${json}: ${got.status} ${got.body}`);
        }
      });
    }
  }
});

describe('the version', () => {
  const wrong = {
    v2: [undefined, '1', '3', '20', '-2', '2.0', '2e0', '"2"', 'null', 'true', '[2]', '{}'],
    v1: ['2', '0', '10', '-1', '1.0', '"1"', 'null', 'true', '[1]', '{}'],
  };
  for (const [dialect, versions] of Object.entries(wrong)) {
    test(`must_be_the_number_of_${dialect}`, async () => {
      const { name, payload } = await payment(newAccount(), { dialect });
      for (const json of versions) {
        const paid = wire(name, withField(payload, 'x402Version', json));
        await isMalformed(paid, 'invalid_x402_version', 'x402Version');
      }
    });
  }

  test('1_does_not_belong_into_payment_signature_nor_2_into_x_payment', async () => {
    for (const [dialect, other] of [['v1', 'v2'], ['v2', 'v1']]) {
      const { payload } = await payment(newAccount(), { dialect });
      await isMalformed(wire(HEADERS[other], payload), 'invalid_x402_version', 'x402Version');
    }
  });

  test('is_not_in_a_flat_payment_so_v1_without_it_is_a_malformed_flat_one', async () => {
    const { name, payload } = await payment(newAccount(), { dialect: 'v1' });
    await isMalformed(
      wire(name, withField(payload, 'x402Version', undefined)), 'invalid_payload', 'signature');
  });
});

describe('JSON', () => {
  const { name } = wire(HEADERS.v2, '');
  const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);
  const bytes = (json, hex) => Buffer.concat([
    Buffer.from(json.slice(0, -1)), Buffer.from(',"more":"'), Buffer.from(hex, 'hex'), Buffer.from('"}')]);
  const member = (json) => (text) => text.replace(/\}$/, `,"more":${json}}`);

  /** What breaks the JSON of a good payment, and the field to be named when it is one. */
  const broken = {
    nothing: () => '',
    a_word: () => 'payment',
    an_array: (text) => `[${text}]`,
    a_string: (text) => JSON.stringify(text),
    a_number: () => '2',
    null: () => 'null',
    garbage_behind_it: (text) => `${text}x`,
    a_brace_behind_it: (text) => `${text}}`,
    a_second_document: (text) => text + text,
    a_zero_byte_behind_it: (text) => `${text}\0`,
    a_byte_order_mark: (text) => `\uFEFF${text}`,
    a_comment: (text) => `${text}/* paid */`,
    a_trailing_comma: (text) => text.replace(/\}$/, ',}'),
    single_quotes: (text) => text.replaceAll('"', "'"),
    an_unquoted_name: (text) => text.replace('"x402Version"', 'x402Version'),
    a_vertical_tab_between: (text) => text.replace(',', ',\v'),
    a_no_break_space_between: (text) => text.replace(',', ',\u00a0'),
    a_duplicate_member: (text) => text.replace('{', '{"x402Version":2,'),
    a_duplicate_of_a_member_nobody_asked_for: member('1,"more":1'),
    NaN: member('NaN'),
    a_number_with_a_leading_zero: member('01'),
    a_number_with_a_plus: member('+1'),
    a_number_without_digits_behind_its_point: member('1.'),
    a_number_without_an_exponent: member('1e'),
    a_word_cut_short: member('nul'),
    a_word_in_capitals: member('True'),
    nine_levels: member(nested(8)),
    a_thousand_levels: member(nested(1000)),
    '65_members': member(`0${Array.from({ length: 65 }, (_, i) => `,"m${i}":0`).join('')}`),
    more_than_512_values: member(`[${Array(600).fill(0).join(',')}]`),
    an_unknown_escape: member('"\\x41"'),
    an_escape_cut_short: member('"\\u12"'),
    an_escaped_zero: member('"\\u0000"'),
    half_a_surrogate_pair: member('"\\ud800"'),
    surrogates_in_the_wrong_order: member('"\\udc00\\ud800"'),
    a_raw_newline_in_a_string: member('"\n"'),
    a_raw_zero_in_a_string: member('"\0"'),
    a_byte_that_is_not_utf8: (text) => bytes(text, 'ff'),
    overlong_utf8: (text) => bytes(text, 'c0af'),
    overlong_utf8_of_three_bytes: (text) => bytes(text, 'e080af'),
    overlong_utf8_of_four_bytes: (text) => bytes(text, 'f08080af'),
    utf8_cut_short: (text) => bytes(text, 'e282'),
    a_surrogate_in_utf8: (text) => bytes(text, 'eda080'),
    utf8_beyond_unicode: (text) => bytes(text, 'f4908080'),
  };
  for (const [what, change] of Object.entries(broken)) {
    test(`with_${what}_is_refused`, async () => {
      const { payload } = await payment(newAccount());
      const value = Buffer.from(change(JSON.stringify(payload))).toString('base64');
      const { got } = await counter.present({ headers: { [name]: value } });
      // The member that is broken is named where it is one of the payment's.
      const field = what === 'a_duplicate_member' ? 'x402Version' : name;
      isProblem(got, { status: 400, code: 'invalid_json', field });
    });
  }

  for (const [path, of] of [
    ['payload', ({ payload }) => payload],
    ['payload.signature', ({ payload }) => payload.signature],
    ['payload.authorization.nonce', ({ payload }) => payload.authorization.nonce],
    ['payload.authorization.value', ({ payload }) => payload.authorization.value],
    ['accepted.payTo', ({ accepted }) => accepted.payTo],
  ]) {
    test(`with_${path}_twice_is_refused_however_the_second_is_written`, async () => {
      const { payload } = await payment(newAccount());
      const last = path.split('.').at(-1);
      const text = JSON.stringify(payload);
      const twin = `"${last}":${JSON.stringify(of(payload))}`;
      const escaped = twin.replace(last[0], `\\u00${last.charCodeAt(0).toString(16)}`);
      const at = text.lastIndexOf(twin); // the members of one object stand together
      for (const second of [twin, escaped]) {
        const doubled = `${text.slice(0, at)}${second},${text.slice(at)}`;
        await isMalformed(wire(name, doubled), 'invalid_json', path);
      }
    });
  }

  test('cut_short_anywhere_is_refused', async () => {
    const { name: header, value, payload } = await payment(newAccount());
    for (let size = value.length - 1; size > 0; size -= 7) {
      const code = size % 4 === 0 ? 'invalid_json' : 'invalid_base64';
      const { got } = await counter.present({ headers: { [header]: value.slice(0, size) } });
      assert.equal(got.status, 400);
      assert.equal(got.json.code, code, `${size} characters`);
    }
    const text = JSON.stringify(payload);
    for (let size = 0; size < text.length; size += 11) {
      const { got } = await counter.present(wire(header, text.slice(0, size)));
      assert.equal(got.status, 400);
      assert.equal(got.json.code, 'invalid_json', text.slice(0, size));
    }
  });

  test('may_have_eight_levels_members_nobody_knows_spaces_and_escapes', async () => {
    const paid = await payment(newAccount());
    const text = member(nested(7))(JSON.stringify(paid.payload))
      .replace(/\}$/, ',"smile":"\u{1F600}\\ud83d\\ude00\\n","null":null,"e":-1.5E+3}')
      .replaceAll(':', ' :\r\n\t').replace('"accepted"', '"\\u0061ccepted"');
    // Colons within strings have changed too: put those of the network back.
    const repaired = text.replace('eip155 :\r\n\t84532', 'eip155:84532');
    await counter.buys({ ...paid, ...wire(paid.name, repaired) });
  });
});

describe('base64', () => {
  /** A good payment whose base64 has +, / and the padding wanted. */
  async function withEveryCharacter(padding) {
    const paid = await payment(newAccount());
    for (let spaces = 0; spaces < 3; spaces++) {
      const text = JSON.stringify({ ...paid.payload, more: '>>>???~~~ûûûÿÿÿ' }) + ' '.repeat(spaces);
      const { name, value, headers } = wire(paid.name, text);
      const found = value.length - value.replaceAll('=', '').length;
      if (/\+/.test(value) && /\//.test(value) && found === padding) {
        return { ...paid, name, value, headers };
      }
    }
    throw new Error('no such payment');
  }

  for (const padding of [0, 1, 2]) {
    test(`with_${padding}_characters_of_padding_is_read`, async () => {
      await counter.buys(await withEveryCharacter(padding));
    });
  }

  const broken = {
    in_the_url_alphabet: (value) => value.replaceAll('+', '-').replaceAll('/', '_'),
    without_its_padding: (value) => value.replaceAll('=', ''),
    with_half_of_its_padding: (value) => value.slice(0, -1),
    with_too_much_padding: (value) => `${value}=`,
    with_four_characters_of_padding_more: (value) => `${value}====`,
    with_padding_inside: (value) => `${value.slice(0, 8)}====${value.slice(8)}`,
    with_a_space_inside: (value) => `${value.slice(0, 40)} ${value.slice(40)}`,
    with_four_spaces_inside: (value) => `${value.slice(0, 40)}    ${value.slice(40)}`,
    with_a_tab_inside: (value) => `${value.slice(0, 40)}\t${value.slice(41)}`,
    with_bits_behind_its_end: (value) => value.replace(/.==$/, (end) => `${
      String.fromCharCode(end.charCodeAt(0) + 1)}==`),
    with_a_byte_of_another_alphabet: (value) => `${value.slice(0, 40)}\u00e9${value.slice(41)}`,
    twice: (value) => `${value}${value}`, // padding in the middle
    with_a_comma_and_again: (value) => `${value}, ${value}`,
  };
  for (const [what, change] of Object.entries(broken)) {
    test(`${what}_is_refused`, async () => {
      const { name, value } = await withEveryCharacter(2);
      assert.notEqual(change(value), value);
      await isMalformed({ headers: { [name]: change(value) } }, 'invalid_base64', name);
    });
  }

  test('that_is_raw_json_instead_is_refused', async () => {
    const { name, payload } = await payment(newAccount(), { dialect: 'flat' });
    await isMalformed({ headers: { [name]: JSON.stringify(payload) } }, 'invalid_base64', name);
  });
});

describe('the size of the header', () => {
  /** A good payment whose header has exactly `size` characters. */
  async function ofSize(size, dialect) {
    const paid = await payment(newAccount(), { dialect });
    const text = JSON.stringify({ ...paid.payload, more: '' });
    const fill = 'x'.repeat(size / 4 * 3 - text.length);
    const sized = { ...paid, ...wire(paid.name, text.replace(/""\}$/, `"${fill}"}`)) };
    assert.equal(sized.value.length, size);
    return sized;
  }

  for (const dialect of DIALECTS) {
    test(`may_be_6_kib_in_${dialect}`, async () => {
      await counter.buys(await ofSize(HEADER_MAX, dialect));
    });

    test(`may_not_be_more_than_6_kib_in_${dialect}`, async () => {
      for (const size of [HEADER_MAX + 4, 2 * HEADER_MAX]) {
        await isMalformed(await ofSize(size, dialect), 'payment_header_too_large', HEADERS[dialect]);
      }
    });
  }

  test('beyond_what_nginx_reads_is_refused', async () => {
    const { got } = await counter.present(await ofSize(20_000, 'v2'));
    assert.equal(got.status, 400);
    await counter.buys(await payment(newAccount())); // and the worker is well
  });

  test('beyond_what_nginx_reads_is_refused_over_http2', async () => {
    const session = await openHttp2(counter.gateway.http2Port);
    const { headers } = await ofSize(40_000, 'v2');
    const calls = counter.upstream.count();
    await requestHttp2(session, '/api/x', { headers }).response
      .then(({ status }) => assert.ok(status >= 400), () => {}); // an answer or a reset
    assert.equal(counter.upstream.count(), calls);
    session.close();
    await counter.buys(await payment(newAccount()));
  });
});
