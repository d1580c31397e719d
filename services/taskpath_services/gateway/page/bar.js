/** A progress bar: of one fraction, or of the counts of a rollup. */
import { h } from './dom.js';
import { count, percent } from './format.js';

const SEGMENTS = ['ok', 'skipped', 'failed', 'cancelled', 'running', 'queued'];

export class Bar {
  #segments = new Map();
  #shown = '';

  constructor() {
    this.element = h('div.bar', { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 });
    for (const status of SEGMENTS) {
      const segment = h('span', { 'data-status': status });
      this.#segments.set(status, segment);
      this.element.append(segment);
    }
  }

  /** @param {number} fraction from 0 to 1 */
  fraction(fraction, status = 'running') {
    this.#show({ [status]: fraction }, 1, percent(fraction), fraction);
  }

  /** @param {Record<string, number>} rollup */
  rollup(rollup) {
    const finished = rollup.ok + rollup.failed + rollup.skipped + rollup.cancelled;
    const total = rollup.total || 1;
    this.#show(rollup, total, `${count(finished)} of ${count(rollup.total)}`, finished / total);
  }

  /** @param {{total: number, done: number, failed: number, running: number, fraction: number}} progress of an instance */
  progress({ total, done, failed, running, fraction }) {
    const bad = Math.min(1 - fraction, failed / (total || 1));
    const parts = { ok: fraction, failed: bad, running: Math.min(1 - fraction - bad, running / (total || 1)) };
    this.#show(parts, 1, `${count(done)} of ${count(total)}`, fraction);
  }

  #show(parts, total, text, fraction) {
    const key = SEGMENTS.map((status) => parts[status] ?? 0).join() + total;
    if (key === this.#shown) return;
    this.#shown = key;
    for (const [status, segment] of this.#segments) {
      segment.style.width = `${((parts[status] ?? 0) / total) * 100}%`;
    }
    this.element.setAttribute('aria-valuenow', String(Math.round(fraction * 100)));
    this.element.setAttribute('aria-valuetext', text);
  }
}
