/** The page of all instances: filters, the live list, and the way to start a workflow. */
import { Bar } from './bar.js';
import { StatusMark, button, conflated, h, write } from './dom.js';
import { ago, count, moment } from './format.js';
import { Listing } from './listing.js';

const STATUSES = ['', 'working', 'failed', 'done', 'inactive', 'cancelled'];
/** How long to wait for the next letter of a name, in ms. */
const TYPING = 200;

export class InstancesPage {
  title = 'Instances';

  #parts;
  #listing;
  #rows = new Map();
  #list = h('ul.instances');
  #more = button('More', 'chevron', () => this.#listing.more());
  #empty = h('div.empty');
  #filter;
  #workflow;
  #statuses = new Map();
  #timer;
  #typing;

  /** @param {{connection: object, api: object, start: object, notices: object}} parts @param {URLSearchParams} search */
  constructor(parts, search) {
    this.#parts = parts;
    this.#filter = {
      status: STATUSES.includes(search.get('status')) ? search.get('status') : '',
      workflow: search.get('workflow') ?? '',
      name: search.get('name') ?? '',
    };
    this.element = h(
      'section.list-page',
      {},
      h('div.list-head', {}, h('h1', {}, 'Instances'), button('Start a workflow', 'plus', () => parts.start.open(), { kind: 'primary' })),
      this.#filters(),
      this.#list,
      this.#empty,
      h('div.more', {}, this.#more),
    );
    this.#listing = new Listing(parts);
    const draw = conflated(() => this.#draw());
    this.#listing.changes.add(draw);
    this.#listing.setFilter({ ...this.#filter });
    this.#timer = setInterval(draw, 5_000);
    this.#fillWorkflows();
    parts.list = `/${this.search}`;
  }

  /** The filter, as it stands in the address. */
  get search() {
    const search = new URLSearchParams(Object.entries(this.#filter).filter(([, value]) => value)).toString();
    return search && `?${search}`;
  }

  close() {
    clearInterval(this.#timer);
    clearTimeout(this.#typing);
    this.#listing.close();
  }

  #filters() {
    const choices = STATUSES.map((status) => {
      const choice = h('button.filter', { type: 'button', onclick: () => this.#choose({ status }) }, status || 'all');
      this.#statuses.set(status, choice);
      return choice;
    });
    this.#workflow = h('select', {
      'aria-label': 'Workflow',
      onchange: () => this.#choose({ workflow: this.#workflow.value }),
    });
    this.#setWorkflows([]);
    const name = h('input', {
      type: 'search',
      placeholder: 'Name begins with…',
      'aria-label': 'Name begins with',
      value: this.#filter.name,
      oninput: () => {
        clearTimeout(this.#typing);
        this.#typing = setTimeout(() => this.#choose({ name: name.value }), TYPING);
      },
    });
    this.#press();
    return h(
      'div.list-filters',
      { role: 'search' },
      h('div.filters', { role: 'group', 'aria-label': 'Status' }, ...choices),
      this.#workflow,
      name,
    );
  }

  async #fillWorkflows() {
    try {
      const { items } = await this.#parts.api.workflows();
      this.#setWorkflows(items.map((workflow) => workflow.name));
    } catch {
      // The list says what is wrong; a filter that offers less is no further harm.
    }
  }

  #setWorkflows(names) {
    const chosen = this.#filter.workflow;
    const known = [...new Set([...names, ...(chosen ? [chosen] : [])])].sort();
    this.#workflow.replaceChildren(
      h('option', { value: '' }, 'every workflow'),
      ...known.map((name) => h('option', { value: name, selected: name === chosen }, name)),
    );
  }

  #choose(change) {
    Object.assign(this.#filter, change);
    this.#parts.list = `/${this.search}`;
    history.replaceState(null, '', this.#parts.list);
    this.#press();
    this.#listing.setFilter({ ...this.#filter });
  }

  #press() {
    for (const [status, choice] of this.#statuses) {
      choice.setAttribute('aria-pressed', String(status === this.#filter.status));
    }
  }

  #draw() {
    const { items, isLoading, error, hasMore } = this.#listing;
    const rows = new Map();
    const now = this.#parts.api.now();
    for (const item of items) {
      const row = this.#rows.get(item.id) ?? new InstanceRow(item.id);
      row.show(item, now);
      rows.set(item.id, row);
    }
    this.#rows = rows;
    const elements = [...rows.values()].map((row) => row.element);
    if (elements.some((element, index) => this.#list.children[index] !== element) || elements.length !== this.#list.children.length) {
      this.#keepFocus(() => this.#list.replaceChildren(...elements));
    }
    this.#more.parentElement.hidden = !hasMore || items.length === 0;
    this.#list.setAttribute('aria-busy', String(isLoading));
    this.#showEmpty(items.length === 0 && !isLoading, error);
  }

  #keepFocus(change) {
    const focused = document.activeElement;
    change();
    if (this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }

  #showEmpty(empty, error) {
    this.#empty.hidden = !empty && !error;
    if (this.#empty.hidden) return;
    const filtered = Object.values(this.#filter).some(Boolean);
    write(this.#empty, error ? error.message : filtered ? 'No instance is like that.' : 'Nothing here yet: start a workflow.');
  }
}

class InstanceRow {
  #mark = new StatusMark();
  #bar = new Bar();
  #name = h('span.name');
  #workflow = h('span.workflow');
  #counts = h('span.counts');
  #time = h('time.when');

  constructor(id) {
    this.element = h(
      'li',
      {},
      h(
        'a.instance-row',
        { href: `/i/${encodeURIComponent(id)}` },
        this.#mark.element,
        h('span.what', {}, this.#name, this.#workflow),
        h('span.how-far', {}, this.#bar.element, this.#counts),
        this.#time,
      ),
    );
    this.id = id;
  }

  show(item, now) {
    this.#mark.set(item.status);
    this.element.dataset.status = item.status;
    write(this.#name, item.name || item.workflow);
    write(this.#workflow, item.name ? item.workflow : item.id);
    this.#bar.progress(item.progress);
    write(this.#counts, countsText(item.progress));
    write(this.#time, ago(item.createdAt, now));
    this.#time.title = moment(item.createdAt);
  }
}

function countsText({ total, done, failed }) {
  if (!total) return '';
  return `${count(done)} of ${count(total)}${failed ? ` · ${count(failed)} failed` : ''}`;
}
