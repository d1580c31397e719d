/** The panel of one task: what it is, what it left, what it says. */
import { TITLES } from './actions.js';
import { Bar } from './bar.js';
import { StatusMark, button, conflated, copy, h, write } from './dom.js';
import { errorLine, face, timeText } from './face.js';
import { duration, moment, timeOfDay } from './format.js';
import { LogView } from './log.js';
import { lastStep } from './paths.js';
import { RecordReader } from './record.js';
import { valueView } from './value.js';

const TICK = 250;

export class TaskPanel {
  #parts;
  #path;
  #mark = new StatusMark();
  #bar = null;
  #name = h('h2', { tabindex: -1 });
  #says = h('p.says');
  #facts = h('dl.facts');
  #buttons = {};
  #error = h('section.error');
  #result = h('section');
  #argument = h('details');
  #context = h('details');
  #attempts = h('details');
  #log;
  #reader;
  #timer;
  #stop;

  /** @param {{id: string, path: string, store: object, watch: object, api: object, actions: object, onclose: () => void}} parts */
  constructor(parts) {
    this.#parts = parts;
    const { id, path, store, watch, api } = parts;
    this.#path = path;
    write(this.#name, lastStep(path));
    this.#log = new LogView({ api, watch, id, path });
    this.element = h('div.panel', {}, this.#head(), this.#error, this.#result, h('section', {}, h('h3', {}, 'Log'), this.#log.element));
    this.element.append(this.#argument, this.#context, this.#attempts);
    for (const section of [this.#error, this.#result, this.#argument, this.#context, this.#attempts]) section.hidden = true;
    const read = () => api.task(id, path, store.revision);
    this.#reader = new RecordReader(read, (record, error) => this.#showRecord(record, error));
    const draw = conflated(() => this.#draw());
    this.#stop = store.changes.add((change) => (change.everything || change.described || change.paths.has(path)) && draw());
    this.#timer = setInterval(() => store.state(path).status === 'running' || store.state(path).retry ? this.#draw() : null, TICK);
    this.#draw();
  }

  close() {
    clearInterval(this.#timer);
    this.#stop();
    this.#reader.close();
    this.#log.close();
  }

  focus() {
    this.#name.focus();
  }

  /** @param {object} packet `taskLogs` */
  logs(packet) {
    this.#log.receive(packet);
  }

  #head() {
    const { id, actions, onclose } = this.#parts;
    const path = this.#path;
    const run = (mode) => () => actions.run(id, path, mode);
    this.#buttons = {
      run: button('Run', 'run', run('all'), { title: TITLES.all }),
      failed: button('Re-run failed', 'rerun', run('failed'), { title: TITLES.failed }),
      stale: button('Re-run stale', 'rerun', run('stale'), { title: TITLES.stale }),
      cancel: button('Cancel', 'cancel', () => actions.cancel(id, path)),
    };
    const copyPath = button('Copy the path', 'copy', () => copy(path, copyPath), { bare: true });
    return h(
      'header.panel-head',
      {},
      h('div.panel-title', {}, this.#mark.element, this.#name, button('Close', 'close', onclose, { bare: true, kind: 'close' })),
      h('p.path', {}, h('code', {}, path), copyPath),
      this.#says,
      this.#facts,
      h('div.actions', {}, ...Object.values(this.#buttons)),
    );
  }

  #draw() {
    const { store, api } = this.#parts;
    const path = this.#path;
    const task = store.task(path);
    const { state, about, rollup } = task;
    const group = store.isGroup(path);
    const { text, tone, bar } = face(task, api.now());
    this.#mark.set(state.status);
    write(this.#says, tone === 'bad' ? about : text);
    this.#says.dataset.tone = tone === 'bad' ? '' : tone;
    this.#showBar(bar);
    this.#showFacts(task);
    const busy = state.status === 'running' || state.status === 'queued';
    this.#buttons.run.hidden = busy;
    this.#buttons.cancel.hidden = !busy;
    this.#buttons.failed.hidden = busy || !group || !(state.status === 'failed' || rollup?.failed > 0);
    this.#buttons.stale.hidden = busy || !(state.stale || rollup?.stale > 0);
    this.#reader.follow(state);
  }

  #showBar(bar) {
    if (!bar) {
      this.#bar?.element.remove();
      this.#bar = null;
      return;
    }
    if (!this.#bar) {
      this.#bar = new Bar();
      this.#says.before(this.#bar.element);
    }
    if (bar.rollup) this.#bar.rollup(bar.rollup);
    else this.#bar.fraction(bar.fraction);
  }

  #showFacts(task) {
    const { state, span } = task;
    const facts = [['status', state.stale ? `${state.status}, stale` : state.status]];
    if (state.attempt) facts.push(['attempt', String(state.attempt)]);
    const time = timeText(task, this.#parts.api.now());
    if (time) facts.push([state.status === 'running' ? 'runs for' : 'took', time]);
    if (span.start) facts.push(['started', timeOfDay(span.start), moment(span.start)]);
    if (this.#facts.children.length !== facts.length) {
      this.#facts.replaceChildren(...facts.map(() => h('div', {}, h('dt'), h('dd'))));
    }
    facts.forEach(([name, text, title], index) => {
      const [term, value] = this.#facts.children[index].children;
      write(term, name);
      write(value, text);
      value.title = title ?? '';
    });
  }

  #showRecord(record, failure) {
    if (failure) {
      this.#section(this.#error, failure.code === 'CANNOT_FIND_TASK' ? null : [h('p', {}, failure.message)]);
      return;
    }
    const { id, api } = this.#parts;
    this.#section(this.#error, record.error && errorNodes(record.error));
    const body = record.body === undefined || record.status === 'inactive' ? null : record.body;
    const has = record.body !== undefined && (record.body !== null || record.status === 'ok');
    this.#section(this.#result, has ? [h('h3', {}, 'Result'), valueView(body, api.resultAddress(id, this.#path))] : null);
    this.#details(this.#argument, 'Argument', record.argument !== undefined && record.argument !== null ? () => [valueView(record.argument)] : null);
    this.#details(this.#context, 'Context', contextOf(record));
    const attempts = record.attempts ?? [];
    this.#details(this.#attempts, attempts.length === 1 ? '1 attempt' : `${attempts.length} attempts`, attempts.length ? () => [attemptsTable(attempts)] : null);
  }

  #section(section, nodes) {
    section.hidden = !nodes;
    section.replaceChildren(...(nodes ?? []));
  }

  /** A part that is made when it is opened. */
  #details(details, title, make) {
    details.hidden = !make;
    if (!make) return;
    const summary = details.firstElementChild ?? h('summary');
    write(summary, title);
    const fill = () => details.replaceChildren(summary, ...make());
    if (!details.firstElementChild) details.append(summary);
    details.ontoggle = () => details.open && fill();
    if (details.open) fill();
  }
}

function contextOf(record) {
  const parts = [];
  if (record.context !== undefined && record.context !== null) parts.push(record.context);
  const updaters = record.contextUpdaters;
  if (!parts.length && !updaters?.length) return null;
  return () => [
    ...parts.map((context) => valueView(context)),
    ...(updaters?.length ? [h('h4', {}, 'What the task changed'), valueView(updaters)] : []),
  ];
}

function errorNodes(error) {
  const nodes = [h('p.what', {}, errorLine(error))];
  const rest = String(error.message ?? '').split('\n').slice(1).join('\n');
  if (rest.trim()) nodes.push(h('pre', { tabindex: 0 }, rest));
  if (error.traceback) nodes.push(h('pre.traceback', { tabindex: 0 }, error.traceback.trimEnd()));
  if (error.code && error.code !== 'EXECUTION_FAILED') nodes.push(h('p.code', {}, error.code));
  return nodes;
}

function attemptsTable(attempts) {
  const rows = [...attempts].reverse().map((attempt) => {
    const mark = new StatusMark();
    mark.set(attempt.status === 'lost' ? 'cancelled' : attempt.status);
    return h(
      'tr',
      {},
      h('td', {}, String(attempt.attempt)),
      h('td', {}, h('span.with-mark', {}, mark.element, attempt.status)),
      h('td', { title: attempt.executionTime ? moment(attempt.executionTime) : '' }, attempt.executionTime ? timeOfDay(attempt.executionTime) : ''),
      h('td', {}, attempt.duration == null ? '' : duration(attempt.duration)),
      h('td.error-line', { title: attempt.executor ?? '' }, attempt.error ? errorLine(attempt.error) : ''),
    );
  });
  const head = ['', 'status', 'started', 'took', ''].map((name) => h('th', { scope: 'col' }, name));
  return h('table.attempts', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows));
}
