/** One row of the tree: a task. It writes to the page only what differs from what it shows. */
import { Bar } from './bar.js';
import { StatusMark, h, icon, write } from './dom.js';
import { face, ticks, timeText } from './face.js';
import { count as inWords } from './format.js';
import { lastStep } from './paths.js';

export class TaskRow {
  #mark = new StatusMark();
  #bar = null;
  #shown = {};
  #text = h('span.says');
  #time = h('span.time');
  #stale = h('span.chip.stale', { title: 'Something before it has changed since it ran' }, 'stale');
  #count = h('span.count');
  #middle = h('div.middle');
  #act = h('button.icon-button.act', { type: 'button', tabindex: -1 });

  constructor(path) {
    this.path = path;
    this.#stale.hidden = true;
    const name = h('span.name', {}, lastStep(path));
    this.element = h(
      'div.row',
      { role: 'treeitem', tabindex: -1, 'data-path': path },
      h('span.toggle', { 'aria-hidden': 'true' }, icon('chevron')),
      this.#mark.element,
      h('span.title', {}, name, this.#count, this.#stale),
      this.#middle,
      this.#time,
      this.#act,
    );
    this.#middle.append(this.#text);
  }

  /** @param {{level: number, group: boolean, open: boolean, selected: boolean}} place */
  place(place) {
    const { element } = this;
    if (this.#differs('level', place.level)) {
      element.setAttribute('aria-level', String(place.level));
      element.style.setProperty('--level', String(place.level));
    }
    const expanded = place.group ? String(place.open) : null;
    if (this.#differs('expanded', expanded)) {
      if (expanded === null) element.removeAttribute('aria-expanded');
      else element.setAttribute('aria-expanded', expanded);
    }
    if (this.#differs('selected', place.selected)) element.setAttribute('aria-selected', String(place.selected));
  }

  /** @returns {boolean} whether it changes by itself as time goes by */
  show(task, now) {
    const { state, count } = task;
    if (this.#differs('status', state.status)) {
      this.element.dataset.status = state.status;
      this.#mark.set(state.status);
      this.#offer(state.status);
    }
    if (this.#differs('stale', Boolean(state.stale))) this.#stale.hidden = !state.stale;
    if (this.#differs('count', count)) write(this.#count, count ? `× ${inWords(count)}` : '');
    this.tick(task, now);
    return ticks(state);
  }

  /** Shows what time changes. */
  tick(task, now) {
    const { bar, text, tone } = face(task, now);
    this.#showBar(bar);
    if (this.#differs('text', text)) {
      write(this.#text, text);
      this.#text.title = text;
    }
    if (this.#differs('tone', tone)) this.#text.dataset.tone = tone;
    const time = timeText(task, now);
    if (this.#differs('time', time)) write(this.#time, time);
  }

  #showBar(bar) {
    if (this.#differs('bar', bar !== null)) {
      this.#bar?.element.remove();
      this.#bar = bar && new Bar();
      if (this.#bar) this.#middle.prepend(this.#bar.element);
    }
    if (bar?.rollup) this.#bar.rollup(bar.rollup);
    else if (bar) this.#bar.fraction(bar.fraction);
  }

  #offer(status) {
    const cancel = status === 'running' || status === 'queued';
    if (!this.#differs('cancel', cancel)) return;
    this.#act.dataset.act = cancel ? 'cancel' : 'run';
    const label = cancel ? 'Cancel' : 'Run';
    this.#act.title = label;
    this.#act.setAttribute('aria-label', `${label} ${this.path}`);
    this.#act.replaceChildren(icon(cancel ? 'cancel' : 'run'));
  }

  #differs(key, value) {
    if (this.#shown[key] === value) return false;
    this.#shown[key] = value;
    return true;
  }
}
