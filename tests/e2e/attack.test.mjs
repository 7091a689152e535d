// The attacks of tests/attack on our gateway, on a chain: each comes to what it does on a
// correct server. And that the attacks can tell: the reference stack does not pass them all.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { attacks, carryOut } from '../attack/attacks.mjs';
import { stands } from '../attack/stands.mjs';
import { Target } from '../attack/target.mjs';
import { payments } from './lib/x402.mjs';

const wordsOf = (name) => name.replace(/[^a-z0-9]+/gi, '_').replace(/^_|_$/g, '').toLowerCase();

const attackNamed = (name) => attacks.find((each) => each.name === name);

async function targetOf(stand, options = stand.options) {
  const target = new Target(stand.url, options);
  await target.learn();
  return target;
}

describe('the gateway does as a correct server does with', () => {
  let stand;
  let target;
  before(async () => {
    stand = await stands.gateway();
    target = await targetOf(stand);
  });
  after(() => stand?.close());

  for (const attack of attacks) {
    test(`${wordsOf(attack.group)}_${wordsOf(attack.name)}`, async () => {
      const { verdict, did } = await carryOut(attack, target);
      assert.equal(verdict, 'ok', did);
    });
  }

  test('the_books_balance_after_all_of_it', async () => {
    await stand.settler.stop();
    const sold = await payments(stand.shop.gateway, '--limit', '100000');
    assert.ok(sold.length > 500, `${sold.length} sold`);
    await stand.shop.checkBooks();
  });
});

describe('the attacks', () => {
  let stand;
  before(async () => { stand = await stands.reference(); });
  after(() => stand?.close());

  test('see_a_payment_that_buys_more_than_one_execution', async () => {
    const attack = attackNamed('a payment again while its slow call is served');
    const { verdict, did } = await carryOut(attack, await targetOf(stand));
    assert.equal(verdict, 'FAULT', did);
  });

  test('see_a_receipt_that_an_upstream_forged', async () => {
    const attack = attackNamed('an upstream that forges a receipt or an offer');
    const { verdict, did } = await carryOut(attack, await targetOf(stand));
    assert.equal(verdict, 'FAULT', did);
  });

  test('pass_the_reference_stack_where_it_is_right', async () => {
    const { verdict, did } = await carryOut(attackNamed('another payee'), await targetOf(stand));
    assert.equal(verdict, 'ok', did);
  });

  test('say_what_they_need_where_they_cannot_tell', async () => {
    const attack = attackNamed('a payment again while its slow call is served');
    const { verdict, did } = await carryOut(attack, await targetOf(stand, {}));
    assert.equal(verdict, 'not tested');
    assert.equal(did, 'not tested: needs --test-upstream, --counter URL');
  });

  test('are_not_carried_to_another_machine', () => {
    for (const url of ['http://192.0.2.1/api/x', 'http://api.example/x', 'http://127.0.0.1.example/x']) {
      assert.throws(() => new Target(url), /stay on it/);
    }
  });
});
