// The attacks, in the order of the report. Each is
// {group, name, correct, needs, run}: what a correct server does, in words; which options
// of run.mjs it takes to see it; and run(target), which gives {ok, did}.

import { cache } from './cache.mjs';
import { chain } from './chain.mjs';
import { headers } from './headers.mjs';
import { identity } from './identity.mjs';
import { limits } from './limits.mjs';
import { paths } from './paths.mjs';
import { replay } from './replay.mjs';
import { signatures } from './signatures.mjs';
import { slow } from './slow.mjs';
import { smuggling } from './smuggling.mjs';
import { substitution } from './substitution.mjs';

const groups = {
  replay, substitution, signatures, chain, limits, paths, headers, smuggling, slow, cache, identity,
};

export const attacks = Object.entries(groups).flatMap(([group, list]) =>
  list.map((attack) => ({ group, needs: [], ...attack })));

/** The option that gives a target each capability. */
export const CAPABILITIES = {
  counter: '--counter URL', testUpstream: '--test-upstream', free: '--free PATH',
  other: '--other PATH', dear: '--dear PATH', upfront: '--upfront PATH', http2: '--http2 PORT',
  proxy: '--proxy', chain: '--chain PORT', payerHeader: '--payer-header NAME', nginx: 'nginx',
};

/** One row of the report: the attack's words, and what the target did. */
export async function carryOut(attack, target) {
  const { group, name, correct } = attack;
  const lacking = attack.needs.filter((need) => !target.has(need));
  const row = { group, name, correct };
  if (lacking.length) {
    const words = lacking.map((need) => CAPABILITIES[need]).join(', ');
    return { ...row, verdict: 'not tested', did: `not tested: needs ${words}` };
  }
  try {
    const { ok, did } = await attack.run(target);
    return { ...row, verdict: ok ? 'ok' : 'FAULT', did };
  } catch (error) {
    return { ...row, verdict: 'FAULT', did: `the attack could not be carried out: ${error.message}` };
  }
}
