/** The page of one instance: its head, its tree, and the panel of what is selected. */
import { Actions, TITLES } from './actions.js';
import { Bar } from './bar.js';
import { StatusMark, button, conflated, h, icon, write } from './dom.js';
import { count, elapsed, duration, percent } from './format.js';
import { Outline } from './outline.js';
import { Overview } from './overview.js';
import { ROOT, item, toFragment } from './paths.js';
import { InstanceStore } from './store.js';
import { TaskPanel } from './task.js';
import { Tree } from './tree.js';
import { InstanceWatch } from './watch.js';

const TICK = 250;
/** Where the panel of a task covers the tree. */
const NARROW = matchMedia('(max-width: 60rem)');

export class InstancePage {
  title = 'Instance';

  #parts;
  #id;
  #store = new InstanceStore();
  #outline = new Outline(this.#store);
  #watch;
  #tree;
  #actions;
  #panel = null;
  #selected = null;
  #instance = null;
  #opened = false;
  #closed = false;
  #failures = 0;
  #mark = new StatusMark();
  #name = h('h1', {}, '…');
  #workflow = h('span.workflow');
  #bar = new Bar();
  #counts = h('p.counts');
  #buttons = {};
  #aside = h('aside.details', { 'aria-label': 'Details' });
  #body = h('div.columns');
  #drawHead = conflated(() => this.#head());
  #timer;

  /** @param {{connection: object, api: object, notices: object, navigate: (to: string) => void}} parts */
  constructor(parts, id, path) {
    this.#parts = parts;
    this.#id = id;
    this.#actions = new Actions(parts);
    this.#tree = new Tree(this.#store, this.#outline, {
      select: (selected) => this.#go(selected),
      run: (at) => this.#actions.run(id, at),
      cancel: (at) => this.#actions.cancel(id, at),
      filter: (at, status) => this.#filter(at, status),
      opened: () => this.#watch.setPaths(this.#outline.patterns()),
      now: () => parts.api.now(),
    });
    this.#body.append(this.#tree.element, this.#aside);
    this.#aside.addEventListener('keydown', (event) => event.key === 'Escape' && this.#selected && this.#go(null));
    this.element = h('section.instance-page', {}, this.#makeHead(), this.#body);
    this.#store.changes.add(() => this.#changed());
    this.#watch = new InstanceWatch(parts.connection, id, {
      revision: (packets, fresh) => this.#store.apply(packets, fresh),
      logs: (packet) => this.#panel?.logs(packet),
      failure: (packet) => this.#failed(packet),
      deleted: () => this.#gone('This instance was deleted.'),
      refused: (error) => this.#gone(error.message),
    });
    this.select(path);
    this.#timer = setInterval(() => this.#store.status === 'working' && this.#head(), TICK);
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#watch.close();
    this.#tree.close();
    this.#panel?.close();
  }

  /** Shows another task of the same instance; the instance as a whole for null. */
  select(path) {
    if (this.#panel && path === this.#selected) return;
    this.#selected = path;
    this.#panel?.close();
    if (path) {
      const { api } = this.#parts;
      const close = () => this.#go(null);
      this.#panel = new TaskPanel({ id: this.#id, path, store: this.#store, watch: this.#watch, api, actions: this.#actions, onclose: close });
      this.#reveal();
    } else {
      this.#watch.setLogs({});
      this.#panel = new Overview({ id: this.#id, store: this.#store, api: this.#parts.api }, (instance) => this.#told(instance));
    }
    this.#aside.replaceChildren(this.#panel.element);
    this.element.classList.toggle('with-task', path !== null);
    this.#tree.select(path);
  }

  #reveal() {
    if (!this.#store.isDescribed || !this.#selected) return;
    this.#outline.reveal(this.#selected);
    this.#watch.setPaths(this.#outline.patterns());
    this.#tree.draw();
    this.#tree.reveal();
  }

  #go(path) {
    const before = this.#selected;
    const address = `/i/${encodeURIComponent(this.#id)}${path ? toFragment(path) : ''}`;
    this.#parts.navigate(address, { replace: path !== null && before !== null });
    if (path === null) this.#tree.focus(before);
    else if (NARROW.matches) this.#panel.focus();
  }

  #makeHead() {
    const id = this.#id;
    const run = (mode) => () => this.#actions.run(id, ROOT, mode);
    this.#buttons = {
      cancel: button('Cancel', 'cancel', () => this.#actions.cancel(id, ROOT)),
      failed: button('Re-run failed', 'rerun', run('failed'), { kind: 'primary', title: TITLES.failed }),
      stale: button('Re-run stale', 'rerun', run('stale'), { title: TITLES.stale }),
      run: button('Run', 'run', run('all'), { title: TITLES.all }),
      remove: button('Delete the instance', 'delete', () => this.#confirmRemove(), { bare: true }),
    };
    for (const one of Object.values(this.#buttons)) one.hidden = true;
    return h(
      'header.instance-head',
      {},
      h('a.back', { href: this.#parts.list }, icon('back'), 'Instances'),
      h('div.instance-title', {}, this.#mark.element, this.#name, this.#workflow, h('div.actions', {}, ...Object.values(this.#buttons))),
      h('div.how-far', {}, this.#bar.element, this.#counts),
    );
  }

  #changed() {
    this.#drawHead();
    if (this.#opened || !this.#store.isDescribed) {
      // A list that was read only now may make an opened foreach too large to come by itself.
      if (this.#opened) this.#watch.setPaths(this.#outline.patterns());
      return;
    }
    this.#opened = true;
    this.#outline.openGroups();
    if (this.#selected) this.#reveal();
    if (!this.#instance) this.#readName();
  }

  async #readName() {
    try {
      this.#told(await this.#parts.api.instance(this.#id, { paths: ROOT }));
    } catch {
      write(this.#name, this.#id);
    }
  }

  #told(instance) {
    this.#instance = instance;
    write(this.#name, instance.name || instance.workflow);
    write(this.#workflow, instance.name ? instance.workflow : '');
    this.#head();
  }

  #head() {
    const { status, progress } = this.#store;
    if (!status || this.#closed) return;
    const { total, done, failed, running, fraction } = progress;
    this.#mark.set(status);
    this.element.dataset.status = status;
    this.#bar.progress(progress);
    const facts = [status, `${count(done)} of ${count(total)}`];
    if (failed) facts.push(`${count(failed)} failed`);
    if (running) facts.push(`${count(running)} running`);
    const time = this.#time(status);
    if (time) facts.push(time);
    write(this.#counts, facts.join(' · '));
    const busy = status === 'working';
    const show = {
      cancel: busy,
      failed: !busy && this.#store.hasFailed,
      stale: !busy && (this.#store.hasStale || (status !== 'inactive' && status !== 'done')),
      run: !busy,
      remove: true,
    };
    for (const [name, one] of Object.entries(this.#buttons)) one.hidden = !show[name];
    this.#buttons.run.classList.toggle('primary', status === 'inactive');
    const name = this.#name.textContent;
    document.title = `${busy ? `${percent(fraction)} · ` : ''}${name} · Taskpath`;
  }

  #time(status) {
    const { startedAt, finishedAt } = this.#instance ?? {};
    if (!startedAt) return '';
    if (status === 'working') return elapsed(this.#parts.api.now() - startedAt);
    return finishedAt ? duration(finishedAt - startedAt) : '';
  }

  /** The items of one status: known if all are watched, asked for otherwise. */
  async #filter(path, status) {
    let found;
    if (status && !this.#outline.watchesWhole(path)) {
      try {
        const { statuses } = await this.#parts.api.instance(this.#id, { paths: `${path}[*]` });
        const numbers = Array.from({ length: this.#store.count(path) }, (_, index) => index);
        found = numbers.filter((index) => statuses[item(path, index)]?.status === status);
      } catch (error) {
        this.#parts.notices.error(error);
        return;
      }
    }
    this.#outline.filter(path, status, found);
    this.#watch.setPaths(this.#outline.patterns());
    this.#tree.draw();
  }

  #failed({ taskPath, error }) {
    this.#failures += 1;
    const text = this.#failures === 1 ? `${taskPath} failed: ${error.message}` : `${count(this.#failures)} tasks failed, ${taskPath} last: ${error.message}`;
    this.#parts.notices.show(text, { tone: 'bad', key: `failure ${this.#id}`, offers: [['Show it', () => this.#go(taskPath)]] });
  }

  #gone(message) {
    this.#body.replaceChildren(h('div.empty', {}, message));
    for (const one of Object.values(this.#buttons)) one.hidden = true;
  }

  #confirmRemove() {
    const name = this.#name.textContent;
    const dialog = h('dialog.dialog', { 'aria-label': 'Delete the instance' });
    const remove = async () => {
      if (!(await this.#actions.remove(this.#id))) return;
      dialog.close();
      this.#parts.navigate('/');
    };
    dialog.append(
      h('h2', {}, `Delete ${name}?`),
      h('p', {}, 'Its results and logs go with it, and what runs is cancelled.'),
      h('div.dialog-buttons', {}, h('button.button', { type: 'button', onclick: () => dialog.close() }, 'Keep it'), button('Delete', 'delete', remove, { kind: 'danger' })),
    );
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }
}
