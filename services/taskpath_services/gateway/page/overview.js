/** The panel of an instance as a whole: what it was started with. */
import { button, copy, h } from './dom.js';
import { moment } from './format.js';
import { RecordReader } from './record.js';
import { valueView } from './value.js';

export class Overview {
  #reader;
  #facts = h('dl.facts.wide');
  #values = h('div');
  #stop;

  /** @param {{id: string, store: object, api: object}} parts @param {(instance: object) => void} told of the instance */
  constructor({ id, store, api }, told) {
    this.element = h('div.panel.overview', {}, h('h2', {}, 'Instance'), this.#facts, this.#values);
    // The tree comes over the WebSocket; a pattern that stands for nothing more than the root keeps this answer small.
    const read = () => api.instance(id, { minRevision: store.revision || undefined, paths: '#' });
    this.#reader = new RecordReader(read, (instance) => {
      if (!instance) return;
      told(instance);
      this.#show(instance);
    });
    this.#reader.follow({ status: null });
    const follow = (change) => (change.instance || change.everything) && this.#reader.follow({ status: store.status });
    this.#stop = store.changes.add(follow);
  }

  close() {
    this.#reader.close();
    this.#stop();
  }

  logs() {}

  #show(instance) {
    const copyId = button('Copy the id', 'copy', () => copy(instance.id, copyId), { bare: true });
    const facts = [
      ['id', h('span', {}, h('code', {}, instance.id), copyId)],
      ['workflow', instance.workflow],
      ['realm', instance.realm],
      ['created', time(instance.createdAt)],
      ['started', time(instance.startedAt)],
      ['finished', time(instance.finishedAt)],
      ['', instance.ephemeral ? 'ephemeral: it is deleted when it has ended' : null],
    ].filter(([, value]) => value);
    this.#facts.replaceChildren(...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
    const values = [['Data', instance.data], ['Base context', instance.baseContext]];
    const shown = values.filter(([, value]) => value !== undefined && value !== null && JSON.stringify(value) !== '{}');
    this.#values.replaceChildren(...shown.flatMap(([name, value]) => [h('h3', {}, name), valueView(value)]));
  }
}

function time(at) {
  return at ? moment(at) : null;
}
