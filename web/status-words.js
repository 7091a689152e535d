// The words and numbers of the status page: pure. The document is that of
// docs/operations.md, "The status document". Amounts stay BigInt until they are shown; as
// Number they only say how long a bar is.

const NBSP = '\u00a0';
const HOUR_SECONDS = 3600;
export const DAY_SECONDS = 86_400;

const plain = new Intl.NumberFormat();
const three = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const four = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const POINT = plain.formatToParts(1.1).find(({ type }) => type === 'decimal').value;

export const formatCount = (number) => plain.format(number);

/** Token units as an amount: "1,234.50"; `least` to `digits` decimals. */
export function formatAmount(units, decimals, digits = decimals, least = 2) {
  const one = 10n ** BigInt(decimals);
  const value = BigInt(units);
  const fraction = (value % one).toString().padStart(decimals, '0').slice(0, digits);
  const shown = decimals === 0 ? '' : fraction.replace(/0+$/, '').padEnd(Math.min(least, decimals), '0');
  return plain.format(value / one) + (shown && POINT + shown);
}

/** For a headline: cents are enough from one on. Digits are cut off, never rounded up. */
export function formatHeadline(units, decimals) {
  const value = BigInt(units);
  const one = 10n ** BigInt(decimals);
  const digits = [[2, one], [4, one / 1000n]].find(([, least]) => value >= least)?.[0] ?? decimals;
  return formatAmount(value, decimals, Math.min(digits, decimals));
}

/** How many decimals a column of amounts needs: all its points stand in one line. */
export function decimalsOf(column, decimals) {
  const needed = (units) => (BigInt(units) % 10n ** BigInt(decimals)).toString().padStart(decimals, '0').replace(/0+$/, '').length;
  return Math.max(2, ...column.map(needed));
}

export const money = (units, token, least = 2) => `${formatAmount(units, token.decimals, token.decimals, least)}${NBSP}${token.symbol}`;

/** [number, unit] of a duration in microseconds. */
export function durationParts(microseconds) {
  if (microseconds === null || microseconds === undefined) return ['–', ''];
  if (microseconds < 999.5) return [three.format(microseconds), 'µs'];
  if (microseconds < 999_500) return [three.format(microseconds / 1e3), 'ms'];
  if (microseconds < 59_950_000) return [three.format(microseconds / 1e6), 's'];
  return [formatAge(Math.round(microseconds / 1e6)), ''];
}

export const formatDuration = (microseconds) => durationParts(microseconds).filter(Boolean).join(NBSP);

/** Whole seconds: "4 s", "3 min", "2 h 5 min", "3 d 1 h". */
export function formatAge(seconds) {
  const parts = (big, bigUnit, small, smallUnit) =>
    [`${big}${NBSP}${bigUnit}`, ...(small ? [`${small}${NBSP}${smallUnit}`] : [])].join(' ');
  if (seconds < 60) return parts(Math.max(0, seconds), 's');
  if (seconds < HOUR_SECONDS) return parts(Math.floor(seconds / 60), 'min');
  const hours = Math.floor(seconds / HOUR_SECONDS);
  if (hours < 24) return parts(hours, 'h', Math.floor((seconds % HOUR_SECONDS) / 60), 'min');
  return parts(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** What a chain's gas is paid in. */
const NATIVE = { 137: 'POL', 80002: 'POL', 43114: 'AVAX', 43113: 'AVAX', 143: 'MON' };
const native = (network) => NATIVE[network.split(':')[1]] ?? 'ETH';

/** Wei as whole coins, to four digits. */
export const formatWei = (wei, network) => `${four.format(Number(BigInt(wei)) / 1e18)}${NBSP}${native(network)}`;

/** A column of wei: three digits of the least of them, as many decimals for all. */
export function formatWeis(column, network) {
  const coins = column.map((wei) => (wei === null ? null : Number(BigInt(wei)) / 1e18));
  const least = Math.min(...coins.filter((coin) => coin > 0), 1);
  const digits = Math.min(18, Math.max(2, 2 - Math.floor(Math.log10(least))));
  const format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return coins.map((coin) => (coin === null ? '–' : coin === 0 ? '0' : `${format.format(coin)}${NBSP}${native(network)}`));
}

export const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
export const moment = new Intl.DateTimeFormat(undefined,
  { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
export const minute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
export const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric' });
export const weekdayShort = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
export const utcDay = new Intl.DateTimeFormat(undefined,
  { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' });
export const at = (seconds) => new Date(seconds * 1000);

export const count = (number, one, many = `${one}s`) => `${formatCount(number)} ${number === 1 ? one : many}`;

/** Calls were served without payment: there is something to predict. */
export const isPredicted = (token) => token.shadow.count > 0;

/** Real money first, then what earned most. */
export function sortTokens(tokens) {
  const weight = (token) => BigInt(token.revenue) + BigInt(token.shadow.value);
  return [...tokens].sort((a, b) => Number(a.test) - Number(b.test)
    || (weight(a) < weight(b) ? 1 : weight(a) > weight(b) ? -1 : 0));
}

/**
 * What was earned and predicted by currency: [{symbol, decimals, test, revenue, shadow}].
 * Test money is a currency of its own, whatever it is called.
 */
export function currencies(tokens) {
  const sums = new Map();
  for (const { symbol, decimals, test, revenue, shadow } of sortTokens(tokens)) {
    const name = JSON.stringify([test, symbol, decimals]);
    if (!sums.has(name)) sums.set(name, { symbol, decimals, test, revenue: 0n, shadow: 0n, shadowCalls: 0 });
    const sum = sums.get(name);
    sum.revenue += BigInt(revenue);
    sum.shadow += BigInt(shadow.value);
    sum.shadowCalls += shadow.count;
  }
  return [...sums.values()];
}

/** The hours in steps of `size`: [{from, to, calls, revenue, shadow}], Unix seconds. */
export function bucketsOf({ first, calls, revenue, shadow }, size = 1) {
  const sum = (list, from) => list.slice(from, from + size).reduce((all, one) => all + BigInt(one), 0n);
  const buckets = [];
  for (let i = 0; i < calls.length; i += size) {
    buckets.push({
      from: (first + i) * HOUR_SECONDS,
      to: (first + Math.min(i + size, calls.length)) * HOUR_SECONDS,
      calls: Number(sum(calls, i)), revenue: sum(revenue, i), shadow: sum(shadow, i),
    });
  }
  return buckets;
}

/** The next of 1, 2, 4, 10, 20, 40… : the end of an axis, half of which is even, too. */
export function niceMaximum(value) {
  if (value <= 2) return 2;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].find((step) => step * power >= value) * power;
}

/** Where a duration is on a scale from 10 µs to 100 s, of 100. */
export function logPosition(microseconds) {
  const position = (Math.log10(Math.max(1, microseconds)) - 1) / 7;
  return Math.round(Math.min(1, Math.max(0, position)) * 1000) / 10;
}

/** A word of the shell that stands for itself. */
export const shellWord = (text) =>
  (/^[\w:/.,@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const PAY_MAX_DEFAULT = 0.1; // dollars, of `x402 pay`

export function payCommand(sale, url) {
  const max = Number(sale.price) > PAY_MAX_DEFAULT ? ` --max ${sale.price}` : '';
  return `x402 pay ${shellWord(url)} --key wallet.key${max}`;
}

export const fetchSnippet = (url) => `import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { privateKeyToAccount } from 'viem/accounts';

const payer = privateKeyToAccount(process.env.PAYER_KEY);
const pay = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network: 'eip155:*', client: new ExactEvmScheme(payer) }],
});
const answer = await pay(${JSON.stringify(url)});
console.log(await answer.text());
`;

/** A link of the document, when it is one that may be followed. */
export function safeLink(link) {
  if (typeof link !== 'string') return null;
  return /^https?:\/\//.test(link) || /^\/(?![/\\])/.test(link) ? link : null;
}

export const shortHex = (hex) => `${hex.slice(0, 6)}…${hex.slice(-4)}`;

export const MONEY = {
  held: ['Held', 'quiet'], due: ['Due', 'wait'], submitted: ['On its way', 'wait'],
  settled: ['Settled', 'good'], final: ['Final', 'good'], failed: ['Failed', 'bad'],
  released: ['Not charged', 'quiet'],
};
export const DELIVERY = {
  pending: 'In progress', delivered: 'Delivered', void: 'Not delivered',
  abandoned: 'Abandoned', owed: 'Owed',
};

/** Whether anything was ever sold, or would have been. */
export const hasSold = (report) => report.tokens.some(({ calls, shadow, totals }) =>
  calls > 0 || shadow.count > 0 || (totals?.admitted?.count ?? 0) > 0);

/** What the connection is called. */
export const STATES = {
  connecting: 'Connecting', live: 'Live', polling: 'Every 5 seconds',
  reconnecting: 'Reconnecting', unreadable: 'Cannot be read',
};
