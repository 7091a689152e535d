// The report: a row an attack, a column a server.

const MARK = { ok: '', FAULT: '**FAULT** ', 'not tested': '' };

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('\0', '\\0');

/** Markdown of `reports`: [{name, rows}], all with the same attacks. */
export function table(reports) {
  const lines = [
    `| attack | a correct server | ${reports.map(({ name }) => name).join(' | ')} |`,
    `|---|---|${'---|'.repeat(reports.length)}`,
  ];
  let group = '';
  reports[0].rows.forEach((row, i) => {
    if (row.group !== group) lines.push(`| **${group = row.group}** | |${' |'.repeat(reports.length)}`);
    const cells = reports.map(({ rows }) => cell(`${MARK[rows[i].verdict]}${rows[i].did}`));
    lines.push(`| ${cell(row.name)} | ${cell(row.correct)} | ${cells.join(' | ')} |`);
  });
  return lines.join('\n');
}

/** "ours: 60 as a correct server does, 0 faults, 2 not tested". */
export function summary({ name, rows }) {
  const count = (verdict) => rows.filter((row) => row.verdict === verdict).length;
  return `${name}: ${count('ok')} as a correct server does, ${count('FAULT')} faults, `
    + `${count('not tested')} not tested`;
}
