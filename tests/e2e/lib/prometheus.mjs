// The Prometheus text format, version 0.0.4, read strictly.

import assert from 'node:assert/strict';

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SUFFIXES = { histogram: ['_bucket', '_sum', '_count'] };

/** {"a": "b"} of `a="b",c="d"`; throws when it is anything else. */
function labelsOf(text) {
  const labels = {};
  let rest = text;
  while (rest !== '') {
    const found = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)/.exec(rest);
    assert.ok(found, `not labels: ${rest}`);
    assert.ok(!(found[1] in labels), `label ${found[1]} twice`);
    labels[found[1]] = found[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    rest = rest.slice(found[0].length);
  }
  return labels;
}

function sampleOf(line) {
  const found = /^([^{\s]+)(?:\{(.*)\})? (\S+)$/.exec(line);
  assert.ok(found && NAME.test(found[1]), `not a sample: ${line}`);
  const value = Number(found[3]);
  assert.ok(!Number.isNaN(value), `not a number: ${line}`);
  return { name: found[1], labels: labelsOf(found[2] ?? ''), value };
}

function checkBuckets(family) {
  const groups = new Map();
  for (const one of family.samples) {
    const { le, ...others } = one.labels;
    const key = JSON.stringify(others);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  for (const samples of groups.values()) {
    const buckets = samples.filter(({ name }) => name.endsWith('_bucket'));
    const bounds = buckets.map(({ labels }) => (labels.le === '+Inf' ? Infinity : Number(labels.le)));
    assert.deepEqual(bounds, [...new Set(bounds)].toSorted((a, b) => a - b), `${family.name}: bounds`);
    assert.equal(bounds.at(-1), Infinity, `${family.name}: no +Inf`);
    buckets.reduce((before, { value }) => {
      assert.ok(value >= before, `${family.name}: a bucket below the one before`);
      return value;
    }, 0);
    const of = (suffix) => samples.find(({ name }) => name === family.name + suffix)?.value;
    assert.equal(of('_count'), buckets.at(-1).value, `${family.name}: count`);
    assert.ok(of('_sum') >= 0, `${family.name}: sum`);
  }
}

function checkFamily(family) {
  assert.ok(family.help && !/\.\s/.test(family.help), `${family.name}: help`);
  assert.equal(family.name.endsWith('_total'), family.type === 'counter', `${family.name}: _total is for counters`);
  const names = (SUFFIXES[family.type] ?? ['']).map((suffix) => family.name + suffix);
  const seen = new Set();
  for (const { name, labels, value } of family.samples) {
    assert.ok(names.includes(name), `${name} is not of ${family.name}`);
    if (family.type === 'counter') assert.ok(value >= 0);
    const key = `${name}${JSON.stringify(Object.entries(labels).toSorted())}`;
    assert.ok(!seen.has(key), `${key} twice`);
    seen.add(key);
  }
  if (family.type === 'histogram') checkBuckets(family);
}

/** Map of name to {name, help, type, samples}. Throws for what a scrape would refuse, or promtool dislike. */
export function parseMetrics(text) {
  const families = new Map();
  let family;
  assert.ok(text.endsWith('\n'), 'the last line has no end');
  for (const line of text.slice(0, -1).split('\n')) {
    const head = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (head?.[1] === 'HELP') {
      assert.ok(NAME.test(head[2]) && !families.has(head[2]), `${head[2]} twice`);
      family = { name: head[2], help: head[3], samples: [] };
      families.set(head[2], family);
    } else if (head) {
      assert.ok(family?.name === head[2] && !family.type && ['counter', 'gauge', 'histogram'].includes(head[3]), line);
      family.type = head[3];
    } else {
      assert.ok(family?.type, `a sample without a type: ${line}`);
      family.samples.push(sampleOf(line));
    }
  }
  families.forEach(checkFamily);
  return families;
}

/** The value of the one sample with (at least) these labels. */
export function sample(families, name, labels = {}) {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  const found = (family?.samples ?? []).filter((one) => one.name === name
    && Object.entries(labels).every(([key, value]) => one.labels[key] === value));
  assert.equal(found.length, 1, `${found.length} samples of ${name} ${JSON.stringify(labels)}`);
  return found[0].value;
}
