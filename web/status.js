// The status page: keeps the figures coming and shows them.

import { Chart } from './status-chart.js';
import {
  become, fill, h, key, several, summaryOf, viewFigures, viewGas, viewHours, viewLatency,
  viewNotices, viewPayments, viewQueue, viewRefusals, viewRoutes, viewSettlers, viewSold,
  viewTokens, viewWelcome,
} from './status-view.js';
import { at, clock, hasSold, sortTokens, STATES } from './status-words.js';

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

new Page();
