// The chart of the status page: bars by the hour, drawn anew for the width there is, and the
// hour that its reader points at.

import { become, h, s } from './status-view.js';
import {
  at, bucketsOf, count, formatAmount, formatCount, isPredicted, minute, moment, money,
  niceMaximum, weekday, weekdayShort,
} from './status-words.js';

const PANEL = { top: 24, height: 112, gap: 40, bottom: 28, left: 56, right: 4 };
const NARROW_PIXELS = 640; // below, four hours a bar

/** Two charts over the same hours, and the hour that is read out. */
export class Chart {
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
