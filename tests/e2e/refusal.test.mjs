// What is not exactly the payment asked for is refused, with the status and the code
// that say why and where, before the upstream hears of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, isOffer, isPaid, isProblem, oneConnection } from './lib/ask.mjs';
import { startGateway } from './lib/gateway.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import { startUpstream } from './lib/upstream.mjs';
import {
  DIALECTS, DOMAIN, HEADERS, PAYEE, TYPES, authorization, newAccount, newNonce, nowSeconds,
  payment, wire, withHighS, withV,
} from './lib/wallet.mjs';

const PRICE = 1000n;
const HEADER_MAX = 6144;
const SOMEBODY = '0x00000000000000000000000000000000000a11ce';
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
const MAX_256 = 2n ** 256n - 1n;
const DAY = 86400;

let gateway;
let upstream;
let agent;

before(async () => {
  agent = oneConnection();
  upstream = await startUpstream();
  gateway = await startGateway({
    locations: `
        location /api/ {
            x402_price 0.001;
            proxy_set_header X-Value $x402_value;
            proxy_pass ${upstream.url};
        }
        location /month/ {
            x402_price 0.001;
            x402_window 600 min=500 max=1000;
            proxy_pass ${upstream.url};
        }`,
  });
});
after(async () => {
  agent?.destroy();
  await gateway?.stop();
  await upstream?.stop();
});

/** Sends a payment that must not reach the upstream; gives the answer, and what was logged. */
async function present(paid, path = '/api/x') {
  const logged = gateway.errorLog().length;
  const calls = upstream.count();
  const got = await ask(gateway, path, { payment: paid, agent });
  assert.equal(upstream.count(), calls, 'the upstream was called');
  return { got, log: gateway.errorLog().slice(logged) };
}

/** 402, with a fresh offer that says why in the words of both generations. */
async function isNotWhatIsAsked(paid, { reason, reasonV1 }, field, path) {
  const { got, log } = await present(paid, path);
  const { v2, v1 } = isOffer(got, { reason, reasonV1 });
  assert.equal(v2.accepts[0].amount, String(PRICE), 'the offer is whole');
  assert.equal(v1.accepts[0].maxAmountRequired, String(PRICE));
  assert.ok(log.includes(`x402: ${reason}, ${field},`), `${field} is not in: ${log}`);
}

/** 400, with a problem document that names the field. */
async function isMalformed(paid, code, field) {
  const { got } = await present(paid);
  isProblem(got, { status: 400, code, field });
}

const buys = async (paid, path = '/api/x') => isPaid(await ask(gateway, path, { payment: paid }), paid);

// ------------------------------------------------------------------- not what is asked

const both = (reason) => ({ reason, reasonV1: reason });
const SCHEME = { reason: 'invalid_exact_evm_scheme', reasonV1: 'unsupported_scheme' };
const NETWORK = { reason: 'invalid_exact_evm_network_mismatch', reasonV1: 'invalid_network' };
const ASSET = both('invalid_payment_requirements');
const RECIPIENT = {
  reason: 'invalid_exact_evm_recipient_mismatch',
  reasonV1: 'invalid_exact_evm_payload_recipient_mismatch',
};
const VALUE = {
  reason: 'invalid_exact_evm_payload_authorization_value_mismatch',
  reasonV1: 'invalid_exact_evm_payload_authorization_value',
};
const VALID_AFTER = both('invalid_exact_evm_payload_authorization_valid_after');
const VALID_BEFORE = both('invalid_exact_evm_payload_authorization_valid_before');
const SIGNATURE = {
  reason: 'invalid_exact_evm_signature', reasonV1: 'invalid_exact_evm_payload_signature',
};

const FIELD = {
  signature: { v2: 'payload.signature', v1: 'payload.signature', flat: 'signature' },
  value: { v2: 'payload.authorization.value', v1: 'payload.authorization.value', flat: 'amount' },
  validBefore: {
    v2: 'payload.authorization.validBefore', v1: 'payload.authorization.validBefore', flat: 'expiry',
  },
};

const zero = '0'.repeat(64);
const parts = (signature) => ({
  r: signature.slice(2, 66), s: signature.slice(66, 130), v: signature.slice(130),
});
const withParts = (changes) => (signature) => {
  const { r, s, v } = { ...parts(signature), ...changes };
  return `0x${r}${s}${v}`;
};

/** Signatures that are not the payer's over exactly this authorization. */
const badSignatures = {
  of_another_chain: { domain: { chainId: 8453 } },
  of_no_chain: { domain: { chainId: undefined } },
  of_another_contract: { domain: { verifyingContract: SOMEBODY } },
  of_no_contract: { domain: { verifyingContract: undefined } },
  of_another_token_name: { domain: { name: 'USD Coin' } },
  of_a_token_name_in_other_case: { domain: { name: 'usdc' } },
  of_no_token_name: { domain: { name: undefined } },
  of_another_token_version: { domain: { version: '1' } },
  of_no_token_version: { domain: { version: undefined } },
  of_a_domain_with_a_salt: { domain: { salt: `0x${zero}` } },
  by_somebody_else: { signer: newAccount() },
  with_a_high_s: { alter: withHighS },
  with_v_0: { alter: (signature) => withV(signature, 0) },
  with_v_1: { alter: (signature) => withV(signature, 1) },
  with_v_26: { alter: (signature) => withV(signature, 26) },
  with_v_29: { alter: (signature) => withV(signature, 29) },
  with_v_255: { alter: (signature) => withV(signature, 255) },
  with_the_other_v: {
    alter: (signature) => withV(signature, signature.endsWith('1b') ? 28 : 27),
  },
  with_r_zero: { alter: withParts({ r: zero }) },
  with_s_zero: { alter: withParts({ s: zero }) },
  with_r_and_s_zero: { alter: withParts({ r: zero, s: zero }) },
  with_r_the_order: { alter: withParts({ r: ORDER }) },
  with_s_the_order: { alter: withParts({ s: ORDER }) },
  with_all_bits_set: { alter: withParts({ r: 'f'.repeat(64), s: 'f'.repeat(64) }) },
  of_zeros: { alter: withParts({ r: zero, s: zero, v: '00' }) },
  with_another_bit: {
    alter: (signature) => signature.replace(/^(0x.)(.)/, (_, a, b) => a + (parseInt(b, 16) ^ 1).toString(16)),
  },
  with_r_and_s_swapped: {
    alter: (signature) => withParts({ r: parts(signature).s, s: parts(signature).r })(signature),
  },
};

describe('a signature', () => {
  for (const dialect of DIALECTS) {
    for (const [name, options] of Object.entries(badSignatures)) {
      test(`${name}_is_refused_in_${dialect}`, async () => {
        const paid = await payment(newAccount(), { dialect, ...options });
        await isNotWhatIsAsked(paid, SIGNATURE, FIELD.signature[dialect]);
      });
    }

    test(`for_receive_with_authorization_is_refused_in_${dialect}`, async () => {
      const payer = newAccount();
      const message = authorization(payer);
      const signature = await payer.signTypedData({
        domain: DOMAIN,
        types: { ReceiveWithAuthorization: TYPES.TransferWithAuthorization },
        primaryType: 'ReceiveWithAuthorization',
        message,
      });
      const paid = await payment(payer, { dialect, message, alter: () => signature });
      await isNotWhatIsAsked(paid, SIGNATURE, FIELD.signature[dialect]);
    });

    test(`refused_in_${dialect}_does_not_use_its_nonce_up`, async () => {
      const payer = newAccount();
      const paid = await payment(payer, { dialect });
      const forged = await payment(payer, { dialect, message: paid.message, signer: newAccount() });
      await isNotWhatIsAsked(forged, SIGNATURE, FIELD.signature[dialect]);
      await buys(paid);
    });
  }
});

/** What is changed after signing, where the offer does not object first. */
const tamperings = {
  from: (fields) => { fields.from = newAccount().address; },
  nonce: (fields) => { fields.nonce = newNonce(); },
  valid_after: (fields) => { fields.validAfter = '1'; },
  valid_before: (fields) => { fields.validBefore = String(Number(fields.validBefore) + 1); },
};
const flatTamperings = {
  from: tamperings.from,
  nonce: tamperings.nonce,
  amount: (fields) => { fields.amount = '1001'; },
  expiry: (fields) => { fields.expiry += 1; },
};

describe('a field changed after signing', () => {
  for (const dialect of DIALECTS) {
    for (const [name, change] of Object.entries(dialect === 'flat' ? flatTamperings : tamperings)) {
      test(`${name}_is_refused_in_${dialect}`, async () => {
        const edit = (payload) => { change(payload.payload?.authorization ?? payload); };
        const paid = await payment(newAccount(), { dialect, edit });
        await isNotWhatIsAsked(paid, SIGNATURE, FIELD.signature[dialect]);
      });
    }
  }
});

const asked = { amount: String(PRICE), payTo: PAYEE }; // what v2 says it accepted

describe('the amount', () => {
  const refused = {
    one_unit_too_low: PRICE - 1n, zero: 0n, one_unit_too_high: PRICE + 1n,
    of_63_bits: 2n ** 63n, of_64_bits: 2n ** 64n - 1n, of_64_bits_plus_the_price: 2n ** 64n + PRICE,
    of_256_bits: MAX_256,
  };
  for (const [name, value] of Object.entries(refused)) {
    for (const dialect of ['v2', 'v1']) {
      test(`${name}_is_refused_in_${dialect}`, async () => {
        const paid = await payment(newAccount(), { dialect, message: { value }, accepted: asked });
        await isNotWhatIsAsked(paid, VALUE, 'payload.authorization.value');
      });
    }
  }

  test('that_v2_says_it_accepted_must_be_the_price', async () => {
    for (const amount of ['999', '1001', '0', String(2n ** 64n + PRICE)]) {
      const paid = await payment(newAccount(), { accepted: { amount } });
      await isNotWhatIsAsked(paid, VALUE, 'accepted.amount');
    }
  });

  for (const [name, value] of Object.entries({
    one_unit_too_low: PRICE - 1n, zero: 0n, of_63_bits: 2n ** 63n, of_64_bits: 2n ** 64n - 1n,
    of_64_bits_plus_the_price: 2n ** 64n + PRICE, of_256_bits: MAX_256,
  })) {
    test(`${name}_is_refused_in_flat`, async () => {
      const paid = await payment(newAccount(), { dialect: 'flat', message: { value } });
      await isNotWhatIsAsked(paid, VALUE, 'amount');
    });
  }

  for (const value of [PRICE + 1n, 5000n, 10n ** 12n]) {
    test(`of_${value}_units_in_flat_is_sufficient_and_is_charged_as_signed`, async () => {
      const paid = await payment(newAccount(), { dialect: 'flat', message: { value } });
      const got = await ask(gateway, '/api/x?do=echo', { payment: paid });
      isPaid(got, paid);
      assert.equal(got.json.headers['x-value'], String(value));
    });
  }
});

describe('the payee', () => {
  for (const dialect of ['v2', 'v1']) {
    test(`who_is_somebody_else_is_refused_in_${dialect}`, async () => {
      const paid = await payment(newAccount(), {
        dialect, message: { to: SOMEBODY }, accepted: asked });
      await isNotWhatIsAsked(paid, RECIPIENT, 'payload.authorization.to');
    });
  }

  test('that_v2_says_it_accepted_must_be_the_offers', async () => {
    const paid = await payment(newAccount(), { accepted: { payTo: SOMEBODY } });
    await isNotWhatIsAsked(paid, RECIPIENT, 'accepted.payTo');
  });

  test('who_is_somebody_else_is_a_bad_signature_in_flat', async () => {
    const paid = await payment(newAccount(), { dialect: 'flat', message: { to: SOMEBODY } });
    await isNotWhatIsAsked(paid, SIGNATURE, 'signature'); // flat names no payee
  });
});

describe('the scheme, the network and the asset', () => {
  for (const scheme of ['upto', 'batch-settlement', 'EXACT', 'exact ', '']) {
    test(`scheme_"${scheme}"_is_refused`, async () => {
      await isNotWhatIsAsked(
        await payment(newAccount(), { accepted: { scheme } }), SCHEME, 'accepted.scheme');
      await isNotWhatIsAsked(
        await payment(newAccount(), { dialect: 'v1', scheme }), SCHEME, 'scheme');
    });
  }

  for (const network of [
    'eip155:8453', 'eip155:1', 'eip155:18446744073709551615',
    'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp', 'EIP155:84532',
  ]) {
    test(`v2_network_${network}_is_refused`, async () => {
      const paid = await payment(newAccount(), { accepted: { network } });
      await isNotWhatIsAsked(paid, NETWORK, 'accepted.network');
    });
  }

  for (const network of ['base', 'Base-Sepolia', 'eip155:84532', 'solana', 'x'.repeat(500)]) {
    test(`v1_network_${network.slice(0, 20)}_is_refused`, async () => {
      const paid = await payment(newAccount(), { dialect: 'v1', network });
      await isNotWhatIsAsked(paid, NETWORK, 'network');
    });
  }

  test('another_asset_is_refused', async () => {
    const paid = await payment(newAccount(), { accepted: { asset: SOMEBODY } });
    await isNotWhatIsAsked(paid, ASSET, 'accepted.asset');
  });

  test('an_asset_signed_for_but_not_offered_is_refused', async () => {
    const paid = await payment(newAccount(), {
      accepted: { asset: SOMEBODY }, domain: { verifyingContract: SOMEBODY } });
    await isNotWhatIsAsked(paid, ASSET, 'accepted.asset');
  });
});

describe('the time', () => {
  const later = (seconds) => BigInt(nowSeconds() + seconds);

  for (const dialect of ['v2', 'v1']) {
    for (const [name, validAfter] of [['a_minute', () => later(60)], ['forever', () => MAX_256]]) {
      test(`not_yet_valid_for_${name}_is_refused_in_${dialect}`, async () => {
        const paid = await payment(newAccount(), { dialect, message: { validAfter: validAfter() } });
        await isNotWhatIsAsked(paid, VALID_AFTER, 'payload.authorization.validAfter');
      });
    }

    test(`valid_since_a_moment_is_accepted_in_${dialect}`, async () => {
      await buys(await payment(newAccount(), { dialect, message: { validAfter: later(-2) } }));
    });
  }

  for (const dialect of DIALECTS) {
    const refused = {
      expired_an_hour_ago: () => later(-3600),
      expired_a_second_ago: () => later(-1),
      expiring_now: () => later(0),
      expiring_before_it_could_settle: () => later(25),
      valid_for_more_than_a_day: () => later(DAY + 60),
      valid_to_the_end_of_64_bits: () => 2n ** 64n - 1n,
      valid_to_the_end_of_64_bits_and_a_little: () => 2n ** 64n + later(300),
      valid_to_the_end_of_256_bits: () => MAX_256,
    };
    for (const [name, validBefore] of Object.entries(refused)) {
      test(`${name}_is_refused_in_${dialect}`, async () => {
        const message = { validBefore: validBefore() };
        const paid = await payment(newAccount(), { dialect, message });
        // A JavaScript number would round the largest.
        const text = JSON.stringify(paid.payload)
          .replace(/"expiry":[^,]*/, `"expiry":${message.validBefore}`);
        await isNotWhatIsAsked(wire(paid.name, text), VALID_BEFORE, FIELD.validBefore[dialect]);
      });
    }

    for (const [name, seconds] of [['just_long_enough', 40], ['almost_a_day', DAY - 60]]) {
      test(`valid_for_${name}_is_accepted_in_${dialect}`, async () => {
        await buys(await payment(newAccount(), { dialect, message: { validBefore: later(seconds) } }));
      });
    }
  }

  test('the_window_is_that_of_the_location', async () => {
    for (const seconds of [450, 1100]) {
      const paid = await payment(newAccount(), { message: { validBefore: later(seconds) } });
      await isNotWhatIsAsked(paid, VALID_BEFORE, FIELD.validBefore.v2, '/month/x');
    }
    await buys(await payment(newAccount(), { message: { validBefore: later(700) } }), '/month/x');
  });

  test('a_payment_that_was_good_is_refused_when_its_time_has_passed', async (t) => {
    const paid = await payment(newAccount());
    t.after(() => gateway.setClock(0));
    gateway.setClock(301);
    await isNotWhatIsAsked(paid, VALID_BEFORE, FIELD.validBefore.v2);
    gateway.setClock(0);
    await buys(paid);
  });
});

// --------------------------------------------------------------------------- malformed

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
          const { got } = await present(wire(name, withField(payload, path, json)));
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
      const { got } = await present({ headers: { [name]: value } });
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
      const { got } = await present({ headers: { [header]: value.slice(0, size) } });
      assert.equal(got.status, 400);
      assert.equal(got.json.code, code, `${size} characters`);
    }
    const text = JSON.stringify(payload);
    for (let size = 0; size < text.length; size += 11) {
      const { got } = await present(wire(header, text.slice(0, size)));
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
    await buys({ ...paid, ...wire(paid.name, repaired) });
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
      await buys(await withEveryCharacter(padding));
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
      await buys(await ofSize(HEADER_MAX, dialect));
    });

    test(`may_not_be_more_than_6_kib_in_${dialect}`, async () => {
      for (const size of [HEADER_MAX + 4, 2 * HEADER_MAX]) {
        await isMalformed(await ofSize(size, dialect), 'payment_header_too_large', HEADERS[dialect]);
      }
    });
  }

  test('beyond_what_nginx_reads_is_refused', async () => {
    const { got } = await present(await ofSize(20_000, 'v2'));
    assert.equal(got.status, 400);
    await buys(await payment(newAccount())); // and the worker is well
  });

  test('beyond_what_nginx_reads_is_refused_over_http2', async () => {
    const session = await openHttp2(gateway.http2Port);
    const { headers } = await ofSize(40_000, 'v2');
    const calls = upstream.count();
    await requestHttp2(session, '/api/x', { headers }).response
      .then(({ status }) => assert.ok(status >= 400), () => {}); // an answer or a reset
    assert.equal(upstream.count(), calls);
    session.close();
    await buys(await payment(newAccount()));
  });
});

describe('over HTTP/2', () => {
  test('refusals_are_the_same', async () => {
    const session = await openHttp2(gateway.http2Port);
    const calls = upstream.count();
    const tell = async ({ headers }) => requestHttp2(session, '/api/x', { headers }).response;

    const forged = await tell(await payment(newAccount(), { alter: withHighS }));
    assert.equal(forged.status, 402);
    assert.equal(JSON.parse(forged.body).error, SIGNATURE.reasonV1);
    const malformed = await tell(wire('PAYMENT-SIGNATURE', '{}'));
    assert.equal(malformed.status, 400);
    assert.equal(JSON.parse(malformed.body).field, 'x402Version');
    assert.equal(malformed.headers['content-type'], 'application/problem+json');

    assert.equal(upstream.count(), calls);
    session.close();
  });
});

describe('after a refusal', () => {
  test('the_connection_serves_the_payment_that_mends_it', async () => {
    const connection = await RawConnection.open(gateway.port);
    const send = ({ headers }) => connection.request('GET', '/api/x', { headers }).readResponse();
    const payer = newAccount();
    const good = await payment(payer);
    assert.equal((await send(wire(good.name, 'x'))).status, 400);
    assert.equal((await send(await payment(payer, { message: { value: 1n }, accepted: asked }))).status, 402);
    assert.equal((await send(good)).status, 200);
    connection.end();
  });

  test('the_offer_that_comes_along_can_be_paid', async () => {
    const payer = newAccount();
    const { got } = await present(await payment(payer, { message: { value: 1n }, accepted: asked }));
    const [accepted] = isOffer(got, VALUE).v2.accepts;
    await buys(await payment(payer, { message: { value: BigInt(accepted.amount) }, accepted }));
  });
});
