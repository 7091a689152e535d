// The status page. The first half is pure: the document (docs/operations.md, "The status
// document") to words, numbers and trees of elements. The second half has the state: the
// connection, the chart under the reader's hand, the copied command.
//
// All text of the document becomes text nodes. Amounts stay BigInt until they are shown;
// as Number they only say how long a bar is.

const NBSP = '\u00a0';
const HOUR_SECONDS = 3600;
const DAY_SECONDS = 86_400;

// ------------------------------------------------------------------------- numbers, words

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

const money = (units, token, least = 2) => `${formatAmount(units, token.decimals, token.decimals, least)}${NBSP}${token.symbol}`;

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

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const moment = new Intl.DateTimeFormat(undefined,
  { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const minute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric' });
const weekdayShort = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const utcDay = new Intl.DateTimeFormat(undefined,
  { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' });
const at = (seconds) => new Date(seconds * 1000);

const count = (number, one, many = `${one}s`) => `${formatCount(number)} ${number === 1 ? one : many}`;

/** Calls were served without payment: there is something to predict. */
const isPredicted = (token) => token.shadow.count > 0;

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
  return /^https?:\/\//.test(link) || /^\/(?!\/)/.test(link) ? link : null;
}

const shortHex = (hex) => `${hex.slice(0, 6)}…${hex.slice(-4)}`;

const MONEY = {
  held: ['Held', 'quiet'], due: ['Due', 'wait'], submitted: ['On its way', 'wait'],
  settled: ['Settled', 'good'], final: ['Final', 'good'], failed: ['Failed', 'bad'],
  released: ['Not charged', 'quiet'],
};
const DELIVERY = {
  pending: 'In progress', delivered: 'Delivered', void: 'Not delivered',
  abandoned: 'Abandoned', owed: 'Owed',
};

/** Whether anything was ever sold, or would have been. */
export const hasSold = (report) => report.tokens.some(({ calls, shadow, totals }) =>
  calls > 0 || shadow.count > 0 || (totals?.admitted?.count ?? 0) > 0);

/** What the connection is called. */
const STATES = {
  connecting: 'Connecting', live: 'Live', polling: 'Every 5 seconds',
  reconnecting: 'Reconnecting', unreadable: 'Cannot be read',
};

// ---------------------------------------------------------------------------- elements

const SVG = 'http://www.w3.org/2000/svg';

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
const h = (name, attributes, ...children) => make(document.createElement(name), attributes, children);
const s = (name, attributes, ...children) => make(document.createElementNS(SVG, name), attributes, children);

/** Makes an element's content that of a new one, touching only what differs: what has the
 *  focus, is selected or was opened by the reader stays so. */
function become(old, next) {
  const before = [...old.childNodes];
  const after = [...next.childNodes];
  after.forEach((child, i) => {
    const known = before[i];
    if (!known) old.append(child);
    else if (known.nodeName !== child.nodeName) known.replaceWith(child);
    else if (child.nodeType === Node.TEXT_NODE) {
      if (known.data !== child.data) known.data = child.data;
    } else {
      sameAttributes(known, child);
      become(known, child);
    }
  });
  before.slice(after.length).forEach((child) => child.remove());
}

function sameAttributes(old, next) {
  for (const { name } of [...old.attributes]) {
    if (name !== 'open' && !next.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

/** Fills a part of the page. */
function fill(id, ...children) {
  const place = document.getElementById(id);
  place.hidden = false;
  become(place, h('div', {}, ...children));
}

const title = (id, text, ...more) => h('div', { class: 'head' }, h('h2', { id: `${id}-title` }, text), ...more);
const tag = (kind, text) => h('span', { class: `tag ${kind}` }, text);
const testTag = (token) => token.test && tag('test', 'test money');
const code = (text) => h('code', {}, text);
const bar = (share, kind = '') => s('svg', { class: `bar ${kind}`, 'aria-hidden': 'true', focusable: 'false' },
  s('rect', { class: 'rail', width: '100%', height: '100%', rx: 3 }),
  share > 0 && s('rect', { width: `${Math.max(1, Math.round(share * 1000) / 10)}%`, height: '100%', rx: 3 }));

/**
 * A table that becomes a list of cards on a phone; the roles keep it a table there.
 * Columns are [name, class]; of a row the first cell is its heading.
 */
function table(caption, columns, rows) {
  const cell = (content, i) => {
    const [label, kind] = columns[i];
    const shared = { class: kind, 'data-label': label };
    return i === 0
      ? h('th', { ...shared, scope: 'row', role: 'rowheader' }, content)
      : h('td', { ...shared, role: 'cell' }, h('span', {}, content));
  };
  return h('table', { role: 'table' },
    h('caption', { class: 'unseen' }, caption),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' },
      columns.map(([label, kind]) => h('th', { scope: 'col', role: 'columnheader', class: kind }, label)))),
    h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row' }, row.map(cell)))));
}

const key = ({ network, asset }) => `${network}/${asset}`;

/** The token of a route or payment; something is shown of one that is not listed. */
const tokenOf = (report, { network, asset }) =>
  report.tokens.find((token) => token.network === network && token.asset === asset)
  ?? { network, asset, name: network, symbol: 'units', decimals: 0, test: false };

const several = (report) => report.tokens.length > 1;

// ------------------------------------------------------------------------ the figures

const value = (number, unit) => h('dd', { class: 'value' },
  h('span', { class: 'number' }, number), unit && h('span', { class: 'unit' }, unit));
const note = (...text) => h('dd', { class: 'note' }, ...text);

function moneyFigure(report, predicted) {
  const sums = currencies(report.tokens).filter((sum) => (predicted ? sum.shadow > 0n : true));
  const lines = sums.map((sum) => [
    value(formatHeadline(predicted ? sum.shadow : sum.revenue, sum.decimals), sum.symbol),
    sum.test && h('dd', { class: 'mark' }, tag('test', 'test money')),
  ]);
  return lines.length ? lines : value('0', '');
}

function viewFigures(report) {
  const { calls, callers, p50 } = report.week;
  const predicted = report.tokens.filter(isPredicted);
  const shadowCalls = predicted.reduce((sum, token) => sum + token.shadow.count, 0);
  const [number, unit] = durationParts(p50);
  return h('dl', {},
    predicted.length > 0 && h('div', { class: 'predicted' },
      h('dt', {}, 'Predicted revenue'), moneyFigure(report, true),
      note(`last 7 days, of ${count(shadowCalls, 'free call')}: not earned`)),
    h('div', {}, h('dt', {}, 'Paid calls'), value(formatCount(calls)), note('last 7 days')),
    h('div', {}, h('dt', {}, 'Latency, p50'), value(number, unit), note('last 7 days, verification included')),
    h('div', {}, h('dt', {}, 'Revenue'), moneyFigure(report, false), note('last 7 days')),
    h('div', {}, h('dt', {}, 'Distinct callers'), value(formatCount(callers)),
      note(several(report) ? 'since the ledger began, by token' : 'since the ledger began')));
}

function viewNotices(report) {
  const test = report.tokens.filter((token) => token.test);
  const chains = [...new Set(test.map((token) => token.name))].join(', ');
  return [
    !report.enforced && h('p', { class: 'notice' }, h('strong', {}, 'Shadow mode. '),
      'Calls are served without payment where x402_enforce is off. What they would have earned is predicted, not earned.'),
    test.length > 0 && h('p', { class: 'notice test' }, h('strong', {}, 'Test money. '),
      test.length === report.tokens.length ? `All amounts here are of ${chains} and worth nothing.`
        : `Amounts of ${chains} are worth nothing, and are added to no other.`),
  ];
}

// --------------------------------------------------------------------------- the parts

function viewTokens(report) {
  const shadow = report.tokens.some(isPredicted);
  const columns = [['Token'], ['Calls', 'num'], ['Revenue', 'num'], ...(shadow ? [['Predicted', 'num']] : []),
    ['Not charged', 'num'], ['Callers', 'num']];
  return [title('tokens', 'By token', h('p', { class: 'aside' }, 'last 7 days')), table('Calls and revenue of the last 7 days by token', columns,
    sortTokens(report.tokens).map((token) => [
      h('span', { class: 'name' }, `${token.symbol} on ${token.name} `, testTag(token)),
      formatCount(token.calls), money(token.revenue, token), ...(shadow ? [money(token.shadow.value, token)] : []),
      formatCount(token.failed.count), formatCount(token.callers),
    ]))];
}

function viewRoutes(report) {
  const shadow = report.routes.some((route) => route.shadow.count > 0);
  const columns = [['Route'], ['Calls', 'num'], ['', 'share'],
    ['Revenue', 'num'], ...(shadow ? [['Predicted', 'num']] : []), ['Asked', 'num'], ['Refused', 'num'],
    ['Not charged', 'num']];
  const sold = (route) => route.calls + route.shadow.count;
  const most = Math.max(1, ...report.routes.map(sold));
  const rows = report.routes.map((route) => {
    const token = tokenOf(report, route);
    return [
      [code(route.route), several(report) && h('small', {}, `${token.symbol} on ${token.name}${token.test ? ', test money' : ''}`)],
      formatCount(sold(route)), bar(sold(route) / most), money(route.revenue, token),
      ...(shadow ? [money(route.shadow.value, token)] : []),
      formatCount(route.offered), formatCount(route.refused), formatCount(route.failed),
    ];
  });
  return [title('routes', 'By route', h('p', { class: 'aside' }, 'last 7 days')),
    rows.length ? table('What each route sold in the last 7 days', columns, rows)
      : h('p', { class: 'none' }, 'No route was called in 7 days.')];
}

function viewRefusals(report) {
  const most = Math.max(1, ...report.refusals.map((refusal) => refusal.count));
  return [title('refusals', 'Refused, by reason', h('p', { class: 'aside' }, 'last 7 days')),
    report.refusals.length === 0 ? h('p', { class: 'none' }, 'Nothing was refused.')
      : h('ul', { class: 'bars' }, report.refusals.map(({ code: reason, title: words, count: times }) => h('li', {},
        h('span', { class: 'what' }, words || reason, h('small', {}, code(reason))),
        h('span', { class: 'count' }, formatCount(times)), bar(times / most, 'refused'))))];
}

const MEASURES = [
  ['call', 'Whole call', 'request read to answer sent, verification included'],
  ['verify', 'Verification', 'decoding, matching, the signature'],
  ['admit', 'Admission', 'verified to decided, the ledger included'],
  ['commit', 'Ledger commit', 'one transaction of a worker'],
  ['settle', 'Settlement', 'admitted to settled on the chain'],
];

/** Median to the 99th, on a scale of tens. */
const spread = ({ p50, p90, p99 }) => {
  const [a, b, c] = [p50, p90, p99].map(logPosition);
  return s('svg', { class: 'spread', 'aria-hidden': 'true', focusable: 'false' },
    s('line', { class: 'rail', x1: '0%', x2: '100%', y1: '50%', y2: '50%' }),
    s('line', { class: 'far', x1: `${a}%`, x2: `${c}%`, y1: '50%', y2: '50%' }),
    s('line', { class: 'near', x1: `${a}%`, x2: `${b}%`, y1: '50%', y2: '50%' }),
    s('circle', { cx: `${a}%`, cy: '50%', r: 5 }));
};

const scale = () => h('span', { class: 'scale', 'aria-hidden': 'true' },
  [10, 1e3, 1e5, 1e7].map((tick) => h('span', {}, formatDuration(tick))));

function viewLatency(report) {
  const columns = [['Of'], ['p50', 'num'], ['p90', 'num'], ['p99', 'num'], ['Measured', 'num'], ['', 'range']];
  const rows = MEASURES.filter(([name]) => report.measures[name]).map(([name, words, what]) => {
    const measure = report.measures[name];
    return [h('span', { class: 'name' }, words, h('small', {}, what)),
      formatDuration(measure.p50), formatDuration(measure.p90), formatDuration(measure.p99),
      formatCount(measure.count), measure.count > 0 ? spread(measure) : ''];
  });
  return [title('latency', 'Latency', h('p', { class: 'aside' }, 'last 7 days')), scale(),
    table('Latency of the last 7 days: half, nine of ten and 99 of 100 took no longer than this', columns, rows)];
}

function viewQueue(report) {
  const settle = report.measures.settle ?? {};
  const one = (token) => [
    several(report) && h('h3', {}, `${token.symbol} on ${token.name} `, testTag(token)),
    h('dl', { class: 'facts' },
      h('div', {}, h('dt', {}, 'In the queue'), h('dd', {}, formatCount(token.queue.count)),
        h('dd', { class: 'note' }, money(token.queue.value, token))),
      h('div', {}, h('dt', {}, 'Oldest due'),
        h('dd', {}, token.queue.oldestSeconds > 0 || token.queue.count > 0 ? formatAge(token.queue.oldestSeconds) : '–'),
        h('dd', { class: 'note' }, 'waiting')),
      h('div', {}, h('dt', {}, 'Not yet settled'), h('dd', {}, formatCount(token.unsettled.count)),
        h('dd', { class: 'note' }, money(token.unsettled.value, token)))),
  ];
  return [title('queue', 'Settlement queue', h('p', { class: 'aside' }, 'now')),
    sortTokens(report.tokens).map(one),
    h('p', { class: 'foot' }, settle.count > 0
      ? `Lag, admitted to settled: ${formatDuration(settle.p50)} for half, ${formatDuration(settle.p99)} for 99 of 100.`
      : 'Nothing has settled in 7 days.')];
}

const SILENT_SECONDS = 60;

function viewSettlers(report) {
  const state = ({ heardSeconds, troubled, trouble }) => {
    if (trouble || troubled) return tag('bad', 'in trouble');
    return heardSeconds > SILENT_SECONDS ? tag('wait', 'silent') : tag('good', 'working');
  };
  const one = (settler) => {
    const facts = [`heard from ${formatAge(settler.heardSeconds)} ago`,
      `${count(settler.inFlight, settler.remote ? 'request' : 'transaction')} under way`,
      ...(settler.latestBlock ? [`block ${formatCount(settler.latestBlock)}`] : []),
      ...(settler.latestBlock && settler.safeBlock
        ? [`the safe block ${formatCount(settler.latestBlock - settler.safeBlock)} behind`] : []),
      ...(settler.gasWei !== undefined ? [`${formatWei(settler.gasWei, settler.network)} for gas`] : [])];
    return h('li', {},
      h('p', { class: 'what' }, settler.name, settler.remote ? ' through a facilitator ' : ' ', state(settler)),
      settler.address && h('p', { class: 'small' }, code(settler.address)),
      h('p', { class: 'small' }, facts.join(' · ')),
      settler.trouble && h('p', { class: 'trouble' }, settler.trouble));
  };
  return [title('settlers', 'Settlers', h('p', { class: 'aside' }, 'now')),
    report.settlers.length ? h('ul', { class: 'list' }, report.settlers.map(one))
      : h('p', { class: 'none' }, 'No settler was heard from in a week. Payments stay due until one runs: ', code('x402 settle'), '.')];
}

function viewGas(report) {
  const columns = [['Day'], ['Settled', 'num'], ['Revenue settled', 'num'], ['', 'share'], ['Failed', 'num'],
    ['Gas', 'num'], ['Gas a payment', 'num']];
  const one = (token) => {
    const { days, network } = token;
    const worth = days.map(({ settled }) => settled.value);
    const most = worth.reduce((top, value) => (BigInt(value) > top ? BigInt(value) : top), 1n);
    const digits = decimalsOf(worth, token.decimals);
    const gas = formatWeis(days.map(({ feeWei }) => feeWei), network);
    const each = formatWeis(days.map(({ settled, feeWei }) =>
      (settled.count > 0 ? BigInt(feeWei) / BigInt(settled.count) : null)), network);
    return [
      several(report) && h('h3', {}, `${token.symbol} on ${token.name} `, testTag(token)),
      table(`Gas spent and revenue settled by day, ${token.symbol} on ${token.name}`, columns, days.map((day, i) => [
        utcDay.format(at(day.day * DAY_SECONDS)), formatCount(day.settled.count), money(worth[i], token, digits),
        bar(Number(BigInt(worth[i])) / Number(most), 'earned'), formatCount(day.failed.count), gas[i], each[i],
      ])),
    ];
  };
  const settling = sortTokens(report.tokens).filter(({ days }) =>
    days.some(({ settled, failed, feeWei }) => settled.count > 0 || failed.count > 0 || BigInt(feeWei) > 0n));
  return [title('gas', 'Gas against revenue', h('p', { class: 'aside' }, 'by day, UTC')),
    settling.length ? settling.map(one) : h('p', { class: 'none' }, 'Nothing has settled in 7 days.')];
}

function viewPayments(report) {
  const links = (payment) => [['Receipt', payment.receipt], ['Transaction', payment.explorer]]
    .filter(([, link]) => safeLink(link))
    .map(([words, link]) => h('a', { href: link, rel: 'noreferrer', 'aria-label': `${words} of payment ${payment.id}` }, words));
  const columns = [['Time'], ['Route'], ['Amount', 'num'], ...(report.private ? [['Payer']] : []), ['Call'], ['Money'],
    ...(report.private ? [['See', 'links']] : [])];
  const rows = report.payments.map((payment) => {
    const token = tokenOf(report, payment);
    const [words, kind] = MONEY[payment.money] ?? [payment.money, 'quiet'];
    return [
      h('time', { datetime: at(payment.time).toISOString() }, moment.format(at(payment.time))),
      code(payment.route), [money(payment.value, token), several(report) && [' ', testTag(token)]],
      ...(report.private ? [h('code', { title: payment.payer }, shortHex(payment.payer ?? ''))] : []),
      DELIVERY[payment.delivery] ?? payment.delivery,
      [tag(kind, words), payment.reason && h('small', {}, payment.reason)],
      ...(report.private ? [links(payment)] : []),
    ];
  });
  return [title('payments', 'Recent payments', h('p', { class: 'aside' }, 'the newest 20')),
    rows.length ? table('The newest payments and what became of them', columns, rows)
      : h('p', { class: 'none' }, 'No payment was taken yet.')];
}

// ------------------------------------------------------------------- what is sold here

function command(text, label) {
  return h('div', { class: 'command' },
    h('pre', { tabindex: '0', role: 'region', 'aria-label': label }, code(text)),
    h('button', { type: 'button', class: 'copy', 'aria-label': `Copy: ${label}` }, 'Copy'));
}

const urlOf = (sale) => sale.url || window.location.origin + sale.path;

function viewSale(sale) {
  const url = urlOf(sale);
  return h('li', {},
    h('div', { class: 'offer' },
      h('div', {}, h('h3', {}, code(sale.path)), sale.description && h('p', {}, sale.description),
        h('p', { class: 'small' }, sale.networks.map((name) => [tag('quiet', name), ' ']),
          !sale.enforced && tag('wait', 'free now: shadow mode'))),
      h('p', { class: 'price' }, sale.price ? [`$${sale.price}`, h('small', {}, ' a call')] : h('small', {}, 'the price depends on the call'))),
    sale.buyable ? [
      command(payCommand(sale, url), `command that buys ${sale.path}`),
      h('details', {}, h('summary', {}, 'In JavaScript, with @x402/fetch'),
        command(fetchSnippet(url), `JavaScript that buys ${sale.path}`)),
    ] : h('p', { class: 'small' }, 'A pattern of addresses: call one that it matches.'));
}

function viewSold(report) {
  return [title('sold', 'What is sold here', h('p', { class: 'aside' }, count(report.sold.length, 'route'))),
    report.sold.length ? h('ul', { class: 'sales' }, report.sold.map(viewSale))
      : h('p', { class: 'none' }, 'Nothing is for sale on this server. Give a location a price: ', code('x402_price 0.001;'))];
}

function viewWelcome(report) {
  const asked = report.routes.reduce((sum, route) => sum + route.offered, 0);
  const sale = report.sold.find(({ buyable }) => buyable);
  const test = sale?.networks.some((name) => /sepolia|amoy|fuji/.test(name));
  return [
    title('welcome', asked > 0 ? `Asked for money ${count(asked, 'time')}, not paid yet` : 'Nothing sold yet'),
    h('p', {}, 'The first paid call shows here as soon as it is answered. Buy one yourself:'),
    h('ol', { class: 'steps' },
      h('li', {}, h('p', {}, 'Make a wallet.'), command('x402 wallet new wallet.key', 'command that makes a wallet')),
      h('li', {}, h('p', {}, 'Send it some USDC', sale ? ` on ${sale.networks.join(' or ')}` : '', '. ',
        test && ['Test money is free at ', h('a', { href: 'https://faucet.circle.com/', rel: 'noreferrer' }, 'faucet.circle.com'), '.'])),
      h('li', {}, h('p', {}, sale ? 'Buy a call.' : 'Put something on sale, then buy it.'),
        sale ? command(payCommand(sale, urlOf(sale)), 'command that buys the first call')
          : command('location /api/ {\n    x402_price 0.001;\n    proxy_pass http://127.0.0.1:8080;\n}', 'configuration that sells a location'))),
  ];
}

// --------------------------------------------------------------------------- the chart

const PANEL = { top: 24, height: 112, gap: 40, bottom: 28, left: 56, right: 4 };
const NARROW_PIXELS = 640; // below, four hours a bar

/** Two charts over the same hours, and the hour that is read out. */
class Chart {
  constructor(onChoice) {
    this.root = document.getElementById('chart');
    this.plot = document.getElementById('plot');
    this.cursor = null;
    document.getElementById('choice').addEventListener('change', ({ target }) => onChoice(target.value));
    new ResizeObserver(() => this.draw()).observe(this.root);
    this.root.addEventListener('pointermove', (event) => this.point(event));
    this.root.addEventListener('pointerdown', (event) => this.point(event));
    this.root.addEventListener('pointerleave', () => this.read(null));
    this.root.addEventListener('focus', () => {
      if (this.root.matches(':focus-visible')) this.read(this.cursor ?? this.buckets.length - 1);
    });
    this.root.addEventListener('blur', () => this.read(null));
    this.root.addEventListener('keydown', (event) => this.press(event));
  }

  show(token) {
    this.token = token;
    this.draw();
  }

  /** What is drawn: calls, when any were paid, and what they and the free ones are worth. */
  panels() {
    const { symbol, test, decimals, calls } = this.token;
    const predicted = isPredicted(this.token);
    const what = [calls > 0 || !predicted ? 'Revenue' : null, predicted ? 'predicted, not earned' : null].filter(Boolean).join(' and, above it, ');
    const worth = {
      name: `${what[0].toUpperCase()}${what.slice(1)}, ${symbol}${test ? ' (test money)' : ''}`,
      series: [['revenue', ({ revenue }) => Number(revenue)], ['shadow', ({ shadow }) => Number(shadow)]],
      format: (units) => formatAmount(BigInt(Math.round(units)), decimals),
    };
    const paid = { name: 'Paid calls', series: [['calls', (bucket) => bucket.calls]], format: formatCount };
    return calls > 0 || !predicted ? [paid, worth] : [worth];
  }

  draw() {
    const width = this.root.clientWidth;
    if (!this.token || width === 0) return;
    const panels = this.panels();
    this.buckets = bucketsOf(this.token.hours, width < NARROW_PIXELS ? 4 : 1);
    this.width = width - PANEL.left - PANEL.right;
    this.step = this.width / this.buckets.length;
    this.bottom = PANEL.top + panels.length * (PANEL.height + PANEL.gap) - PANEL.gap;
    this.plot.setAttribute('height', this.bottom + PANEL.bottom);
    become(this.plot, s('svg', {}, s('g', {}, this.days(width)),
      panels.map((panel, i) => this.panel(panel, PANEL.top + i * (PANEL.height + PANEL.gap))),
      s('rect', { class: 'cursor', y: PANEL.top - 8, height: this.bottom - PANEL.top + 8, rx: 3, visibility: 'hidden' })));
    this.root.setAttribute('aria-valuemax', this.buckets.length - 1);
    this.read(this.cursor);
  }

  /** One chart: its name, three lines with their numbers, and bars, one kind on the other. */
  panel({ name, series, format }, top) {
    const sum = (bucket) => series.reduce((all, [, valueOf]) => all + valueOf(bucket), 0);
    const most = niceMaximum(Math.max(0, ...this.buckets.map(sum)));
    const y = (number) => top + PANEL.height * (1 - number / most);
    const lines = [0, most / 2, most].map((tick) => [
      s('line', { class: 'grid', x1: PANEL.left, x2: PANEL.left + this.width, y1: y(tick), y2: y(tick) }),
      s('text', { class: 'tick', x: PANEL.left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, format(tick)),
    ]);
    return s('g', {}, s('text', { class: 'name', x: 0, y: top - 12 }, name), lines,
      this.buckets.map((bucket, i) => this.bars(bucket, i, series, y)));
  }

  bars(bucket, index, series, y) {
    const gap = this.step > 4 ? 1.5 : 0.5;
    let below = 0;
    return series.map(([kind, valueOf]) => {
      const number = valueOf(bucket);
      if (number === 0) return null;
      const tall = Math.max(1.5, y(below) - y(below + number)); // one call is seen, too
      const from = y(below) - tall;
      below += number;
      return s('rect', {
        class: kind, x: (PANEL.left + index * this.step + gap / 2).toFixed(2), y: from.toFixed(2),
        width: (this.step - gap).toFixed(2), height: tall.toFixed(2), rx: Math.min(2, this.step / 4).toFixed(2),
      });
    });
  }

  /** A line and a name at each midnight of the reader. */
  days(width) {
    const names = width < NARROW_PIXELS ? weekdayShort : weekday;
    const first = this.buckets[0].from;
    const last = this.buckets.at(-1).to;
    const marks = [];
    const day = at(first);
    day.setHours(24, 0, 0, 0);
    for (; day / 1000 < last; day.setDate(day.getDate() + 1)) {
      const x = PANEL.left + (this.width * (day / 1000 - first)) / (last - first);
      marks.push(s('line', { class: 'day', x1: x, x2: x, y1: PANEL.top, y2: this.bottom }));
      if (x < width - 24) marks.push(s('text', { class: 'tick', x: x + 4, y: this.bottom + 20 }, names.format(day)));
    }
    return marks;
  }

  words({ from, to, calls, revenue, shadow }) {
    return [`${moment.format(at(from))} to ${minute.format(at(to))}`, count(calls, 'paid call'), money(revenue, this.token),
      ...(isPredicted(this.token) ? [`${money(shadow, this.token)} predicted`] : [])];
  }

  /** Reads a bar out; null: none. */
  read(index) {
    if (!this.buckets) return;
    this.cursor = index === null ? null : Math.min(Math.max(index, 0), this.buckets.length - 1);
    const shown = this.cursor ?? this.buckets.length - 1;
    const words = this.words(this.buckets[shown]);
    this.root.setAttribute('aria-valuenow', shown);
    this.root.setAttribute('aria-valuetext', words.join(', '));
    const reading = document.getElementById('reading');
    become(reading, h('div', {}, this.cursor === null ? h('span', { class: 'hint' }, 'Point at a bar, or use the arrow keys')
      : words.map((word) => h('span', {}, word))));
    const cursor = this.plot.querySelector('.cursor');
    cursor.setAttribute('visibility', this.cursor === null ? 'hidden' : 'visible');
    cursor.setAttribute('x', PANEL.left + shown * this.step);
    cursor.setAttribute('width', this.step);
  }

  point({ clientX }) {
    const x = clientX - this.root.getBoundingClientRect().left - PANEL.left;
    this.read(x < 0 || x >= this.width ? null : Math.floor(x / this.step));
  }

  press(event) {
    const day = Math.round(this.buckets.length / 7);
    const now = this.cursor ?? this.buckets.length - 1;
    const next = {
      ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1,
      PageDown: now - day, PageUp: now + day, Home: 0, End: this.buckets.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.read(next);
  }
}

function viewHours(token) {
  const predicted = isPredicted(token);
  const buckets = bucketsOf(token.hours).filter(({ calls, revenue, shadow }) => calls > 0 || revenue > 0n || shadow > 0n);
  const rows = buckets.reverse().map(({ from, to, calls, revenue, shadow }) => [
    `${moment.format(at(from))} to ${minute.format(at(to))}`, formatCount(calls), money(revenue, token),
    ...(predicted ? [money(shadow, token)] : []),
  ]);
  const columns = [['Hour'], ['Paid calls', 'num'], ['Revenue', 'num'], ...(predicted ? [['Predicted', 'num']] : [])];
  return rows.length ? table(`Calls and revenue by the hour, ${token.symbol} on ${token.name}; hours without either are left out`, columns, rows)
    : h('p', { class: 'none' }, 'Nothing in 7 days.');
}

function summaryOf(token) {
  const busiest = bucketsOf(token.hours).reduce((most, bucket) => (bucket.calls > most.calls ? bucket : most));
  const parts = [`${count(token.calls, 'paid call')}, ${money(token.revenue, token)}${token.test ? ' of test money' : ''} on ${token.name} in 7 days.`];
  if (busiest.calls > 0) parts.push(`The busiest hour: ${moment.format(at(busiest.from))}, ${formatCount(busiest.calls)}.`);
  if (isPredicted(token)) parts.push(`Predicted, not earned: ${money(token.shadow.value, token)} of ${count(token.shadow.count, 'free call')}.`);
  return parts.join(' ');
}

// ---------------------------------------------------------------------- the connection

const POLL_MILLISECONDS = 5_000;
const SILENCE_MILLISECONDS = 30_000; // longer than the gateway's 15 s between its signs of life
const ANSWER_MILLISECONDS = 10_000;

/** Keeps the document coming: pushed when it can be, asked for otherwise. */
class Feed {
  constructor(base, onReport, onState) {
    Object.assign(this, { base, onReport, onState, heard: 0, asking: false });
    this.open();
    setInterval(() => this.look(), POLL_MILLISECONDS);
    window.addEventListener('online', () => this.look());
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.look(); });
  }

  open() {
    this.source?.close();
    this.source = new EventSource(`${this.base}/events`);
    this.source.addEventListener('stats', ({ data }) => this.take(JSON.parse(data), 'live'));
    this.source.addEventListener('error', () => this.ask());
  }

  take(report, state) {
    this.heard = Date.now();
    this.onReport(report);
    this.onState(state);
  }

  /** Now and then: is what is shown still so? */
  look() {
    if (this.source.readyState === EventSource.CLOSED) this.open();
    const isOpen = this.source.readyState === EventSource.OPEN;
    if (!isOpen || Date.now() - this.heard > SILENCE_MILLISECONDS) this.ask();
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    try {
      const answer = await fetch(`${this.base}/stats`, { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MILLISECONDS) });
      if (answer.ok) {
        this.take(await answer.json(), this.source.readyState === EventSource.OPEN ? 'live' : 'polling');
      } else {
        this.onState('unreadable', await reasonOf(answer));
      }
    } catch {
      this.onState('reconnecting');
    } finally {
      this.asking = false;
    }
  }
}

async function reasonOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return problem.detail || problem.title || `the gateway answers ${answer.status}`;
}

// ---------------------------------------------------------------------------- the page

const calm = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;

class Page {
  constructor() {
    this.report = null;
    this.chosen = null;
    this.problem = null;
    document.getElementById('title').textContent = window.location.host;
    document.addEventListener('click', (event) => this.copy(event.target.closest('.copy')));
    this.chart = new Chart((chosen) => {
      this.chosen = chosen;
      this.showTime();
    });
    // Not relative: an address with a password in it could not be fetched.
    this.feed = new Feed(window.location.origin + document.body.dataset.base,
      (report) => this.show(report), (state, reason) => this.showState(state, reason));
  }

  show(report) {
    if (this.report && report.time < this.report.time) return; // an answer overtaken
    const isFirst = this.report === null;
    this.report = report;
    this.showFigures(isFirst);
    this.showTime();
    this.showParts(report);
    fill('sold', ...viewSold(report));
    document.getElementById('buy').hidden = report.sold.length === 0;
    fill('view', report.private ? 'The private view: payers, receipts and transactions are shown.'
      : 'The public view: no payers, receipts or transactions are shown.');
    fill('as-of', `Figures of ${clock.format(at(report.time))}`);
  }

  showFigures(isFirst) {
    const figures = document.getElementById('figures');
    const before = [...figures.children].map((figure) => figure.textContent);
    become(figures, viewFigures(this.report));
    if (isFirst || calm()) return;
    [...figures.children].forEach((figure, i) => {
      if (figure.textContent !== before[i]) figure.animate({ opacity: [0.4, 1] }, { duration: 600, easing: 'ease-out' });
    });
  }

  showParts(report) {
    const sold = hasSold(report);
    if (!sold) fill('welcome', ...viewWelcome(report));
    document.getElementById('welcome').hidden = sold;
    document.getElementById('more').hidden = !sold;
    if (!sold) return;
    if (several(report)) fill('tokens', ...viewTokens(report));
    document.getElementById('tokens').hidden = !several(report);
    const views = {
      routes: viewRoutes, refusals: viewRefusals, latency: viewLatency, queue: viewQueue,
      settlers: viewSettlers, gas: viewGas, payments: viewPayments,
    };
    for (const [id, view] of Object.entries(views)) fill(id, ...view(report));
  }

  /** The chart and its table, of the money chosen. */
  showTime() {
    const tokens = sortTokens(this.report.tokens);
    document.getElementById('time').hidden = !hasSold(this.report);
    if (!hasSold(this.report)) return;
    const token = tokens.find((one) => key(one) === this.chosen) ?? tokens[0];
    const choice = document.getElementById('choice');
    choice.hidden = tokens.length < 2;
    become(choice, h('fieldset', {}, h('legend', { class: 'unseen' }, 'Money shown'), tokens.map((one) => h('label', {},
      h('input', { type: 'radio', name: 'money', value: key(one), checked: key(one) === key(token) }),
      h('span', {}, `${one.symbol} on ${one.name}`)))));
    fill('summary', summaryOf(token));
    fill('hours', viewHours(token));
    this.chart.show(token);
  }

  showState(state, reason) {
    const pill = document.getElementById('state');
    if (pill.dataset.state !== state) {
      pill.dataset.state = state;
      pill.textContent = STATES[state];
    }
    const since = this.report ? ` Shown are the figures of ${clock.format(at(this.report.time))}.` : '';
    const told = {
      unreadable: `The figures cannot be read: ${reason}.${since}`,
      reconnecting: `The gateway cannot be reached.${since} Trying again.`,
    }[state];
    fill('notices', told && h('p', { class: 'notice bad' }, told), this.report && viewNotices(this.report));
  }

  async copy(button) {
    if (!button) return;
    const text = button.parentElement.querySelector('code').textContent;
    const done = await copyText(text);
    button.textContent = done ? 'Copied' : 'Select it';
    document.getElementById('said').textContent = done ? 'Copied' : 'It could not be copied: it is selected';
    setTimeout(() => {
      button.textContent = 'Copy';
      document.getElementById('said').textContent = '';
    }, 2_000);
    if (!done) window.getSelection().selectAllChildren(button.parentElement.querySelector('code'));
  }
}

/** Pages without TLS have no clipboard, but the old command. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h('textarea', { readonly: true, class: 'unseen' });
    area.value = text;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus();
    return done;
  }
}

if (typeof document !== 'undefined') new Page();
