// What is not exactly the payment asked for is refused, with the status and the code
// that say why and where, before the upstream hears of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, isOffer, isPaid } from './lib/ask.mjs';
import { counter } from './lib/counter.mjs';
import { RawConnection, openHttp2, requestHttp2 } from './lib/raw.mjs';
import {
  DIALECTS, DOMAIN, PAYEE, TYPES, authorization, newAccount, newNonce, nowSeconds, payment, wire,
  withHighS, withV,
} from './lib/wallet.mjs';

const PRICE = 1000n;
const SOMEBODY = '0x00000000000000000000000000000000000a11ce';
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
const MAX_256 = 2n ** 256n - 1n;
const DAY = 86400;

before(() => counter.open());
after(() => counter.close());

/** 402, with a fresh offer that says why in the words of both generations. */
async function isNotWhatIsAsked(paid, { reason, reasonV1 }, field, path) {
  const { got, log } = await counter.present(paid, path);
  const { v2, v1 } = isOffer(got, { reason, reasonV1 });
  assert.equal(v2.accepts[0].amount, String(PRICE), 'the offer is whole');
  assert.equal(v1.accepts[0].maxAmountRequired, String(PRICE));
  assert.ok(log.includes(`x402: ${reason}, ${field},`), `${field} is not in: ${log}`);
}

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
      await counter.buys(paid);
    });

    test(`of_a_payer_that_comes_again_is_refused_like_a_strangers_in_${dialect}`, async () => {
      const payer = newAccount();
      const comesAgain = async (times) => {
        for (let i = 0; i < times; i++) await counter.buys(await payment(payer, { dialect }));
      };
      await comesAgain(8); // its key is known after three, to each worker
      for (const options of [...Object.values(badSignatures), { signer: newAccount() }]) {
        const paid = await payment(payer, { dialect, ...options });
        await isNotWhatIsAsked(paid, SIGNATURE, FIELD.signature[dialect]);
      }
      await comesAgain(2);
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
      const got = await ask(counter.gateway, '/api/x?do=echo', { payment: paid });
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
      await counter.buys(await payment(newAccount(), { dialect, message: { validAfter: later(-2) } }));
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
        await counter.buys(await payment(newAccount(), { dialect, message: { validBefore: later(seconds) } }));
      });
    }
  }

  test('the_window_is_that_of_the_location', async () => {
    for (const seconds of [450, 1100]) {
      const paid = await payment(newAccount(), { message: { validBefore: later(seconds) } });
      await isNotWhatIsAsked(paid, VALID_BEFORE, FIELD.validBefore.v2, '/month/x');
    }
    await counter.buys(await payment(newAccount(), { message: { validBefore: later(700) } }), '/month/x');
  });

  test('a_payment_that_was_good_is_refused_when_its_time_has_passed', async (t) => {
    const paid = await payment(newAccount());
    t.after(() => counter.gateway.setClock(0));
    counter.gateway.setClock(301);
    await isNotWhatIsAsked(paid, VALID_BEFORE, FIELD.validBefore.v2);
    counter.gateway.setClock(0);
    await counter.buys(paid);
  });
});

describe('over HTTP/2', () => {
  test('refusals_are_the_same', async () => {
    const session = await openHttp2(counter.gateway.http2Port);
    const calls = counter.upstream.count();
    const tell = async ({ headers }) => requestHttp2(session, '/api/x', { headers }).response;

    const forged = await tell(await payment(newAccount(), { alter: withHighS }));
    assert.equal(forged.status, 402);
    assert.equal(JSON.parse(forged.body).error, SIGNATURE.reasonV1);
    const malformed = await tell(wire('PAYMENT-SIGNATURE', '{}'));
    assert.equal(malformed.status, 400);
    assert.equal(JSON.parse(malformed.body).field, 'x402Version');
    assert.equal(malformed.headers['content-type'], 'application/problem+json');

    assert.equal(counter.upstream.count(), calls);
    session.close();
  });
});

describe('after a refusal', () => {
  test('the_connection_serves_the_payment_that_mends_it', async () => {
    const connection = await RawConnection.open(counter.gateway.port);
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
    const { got } = await counter.present(await payment(payer, { message: { value: 1n }, accepted: asked }));
    const [accepted] = isOffer(got, VALUE).v2.accepts;
    await counter.buys(await payment(payer, { message: { value: BigInt(accepted.amount) }, accepted }));
  });
});
