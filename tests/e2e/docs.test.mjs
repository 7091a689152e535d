// What exists is documented, and what is documented exists: directives, variables, codes.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const all = (text, pattern) => [...new Set([...text.matchAll(pattern)].map((m) => m[1]))].toSorted();

const directives = read('docs/directives.md');
const protocol = read('docs/protocol.md');

test('every_directive_of_the_module_is_documented_and_no_other', () => {
  const exist = all(read('src/nginx/directives.c'), /\{\s*ngx_string\("(x402_\w+)"\)/g);
  assert.ok(exist.length > 10);
  assert.deepEqual(all(directives, /^\| `(x402_\w+)/gm), exist);
});

test('every_variable_of_the_module_is_documented_and_no_other', () => {
  const exist = all(read('src/nginx/variables.c'), /ngx_string\("(x402_\w+)"\)/g);
  assert.ok(exist.length > 3);
  assert.deepEqual(all(directives, /`\$(x402_\w+)`/g), exist);
});

test('every_code_a_caller_may_see_is_documented_with_its_status_and_no_other', () => {
  const list = read('include/x402/error.h').replace(/\\\n/g, ' ');
  const exist = [...list.matchAll(/X\(\w+,\s*"([^"]+)",\s*"([^"]*)",\s*(\d+),/g)]
    .filter(([, , , status]) => status !== '0')
    .map(([, code, v1, status]) => [code, v1 === code ? '' : v1, status]);
  const documented = [...protocol.matchAll(/^\| `([^`]+)` \| (?:`([^`]+)`)? ?\| (\d+) \|/gm)]
    .map(([, code, v1, status]) => [code, v1 ?? '', status]);
  assert.ok(exist.length > 15);
  assert.deepEqual(documented.toSorted(), exist.toSorted());
});

test('the_threat_model_names_tests_that_exist', () => {
  const here = (path) => existsSync(new URL(`../../${path}`, import.meta.url));
  const shown = [...read('docs/security.md').matchAll(/^\|.*\| ([^|]*) \|$/gm)]
    .flatMap(([, cell]) => all(cell, /`([^`]+)`/g));
  assert.ok(shown.length > 50);
  const file = (name) => (/^tests\//.test(name) ? name
    : /\.c$/.test(name) ? `tests/fuzz/${name}` : `tests/e2e/${name}.test.mjs`);
  const missing = shown.filter((name) => /^[\w/.-]+$/.test(name) && !here(file(name)));
  assert.deepEqual(missing, []);
});
