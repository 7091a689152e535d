// What goes to the terminal: tables on its output, progress beside it.

/** One line that is written over; none to a file. */
export function progress(text = '') {
  if (process.stderr.isTTY) process.stderr.write(`\r${text.padEnd(78)}${text ? '' : '\r'}`);
}

/** Rows of cells under their heads, as Markdown. Columns of `words` begin at the left. */
export function table(heads, rows, words = [0]) {
  progress();
  const widths = heads.map((head, i) => Math.max(3, head.length, ...rows.map((row) => row[i].length)));
  const line = (cells) => `| ${cells.map((cell, i) => (words.includes(i)
    ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = widths.map((width, i) => (words.includes(i) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  console.log(`\n${[heads, rule, ...rows].map(line).join('\n')}`);
}

export const digits = (number, places = 0) => number.toLocaleString('en',
  { minimumFractionDigits: places, maximumFractionDigits: places });

/** A figure's median and its spread: 21.3 (20.1..22.8). */
export const spread = ({ median, min, max }, places = 1) => (
  `${digits(median, places)} (${digits(min, places)}..${digits(max, places)})`);
