/** The instances that a filter stands for, newest first, kept up to date by the server. No DOM here. */
import { Listeners } from './listeners.js';

const PAGE = 50;
const LONGEST_PAGE = 200;

export class Listing {
  /** Called when `items`, `isLoading`, `error` or `hasMore` have changed. */
  changes = new Listeners();
  /** Newest first. @type {object[]} */
  items = [];
  isLoading = true;
  /** Why there is no list. @type {Error | null} */
  error = null;

  #connection;
  #api;
  #filter = {};
  #cursor = null;
  #byId = new Map();
  /** Tells the answers for this filter from those for the one before. */
  #turn = 0;
  #live = false;
  /** Whether the next packet is the whole first page. */
  #whole = false;
  #stop;

  /** @param {{connection: import('./connection.js').Connection, api: import('./api.js').Api}} parts */
  constructor({ connection, api }) {
    this.#connection = connection;
    this.#api = api;
    const stopPackets = connection.packets.add((packet) => this.#receive(packet));
    const stopStates = connection.states.add(({ name }) => this.#connectionIs(name));
    this.#stop = () => [stopPackets, stopStates].forEach((stop) => stop());
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  /** @param {{status?: string, workflow?: string, name?: string}} filter */
  setFilter(filter) {
    this.#filter = filter;
    return this.#load(PAGE, true);
  }

  /** Loads the next page. */
  async more() {
    if (this.#cursor === null || this.isLoading) return;
    const turn = this.#turn;
    this.isLoading = true;
    this.changes.call();
    try {
      const page = await this.#api.instances({ ...this.#filter, limit: PAGE, cursor: this.#cursor });
      if (turn !== this.#turn) return;
      this.#cursor = page.nextCursor;
      this.#merge(page.items);
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    }
    this.#loaded(turn);
  }

  close() {
    this.#turn += 1;
    this.#stop();
    if (this.#connection.isOpen) this.#connection.request({ type: 'unwatchInstances' }).catch(() => {});
  }

  async #load(limit, clear) {
    const turn = ++this.#turn;
    this.#live = false;
    this.isLoading = true;
    if (clear) this.#replace([]);
    this.changes.call();
    try {
      const page = await this.#api.instances({ ...this.#filter, limit });
      if (turn !== this.#turn) return;
      this.error = null;
      this.#cursor = page.nextCursor;
      this.#replace(page.items);
      this.#watch(turn);
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    }
    this.#loaded(turn);
  }

  #loaded(turn) {
    if (turn !== this.#turn) return;
    this.isLoading = false;
    this.changes.call();
  }

  #watch(turn) {
    if (!this.#connection.isOpen) return;
    const packet = { type: 'watchInstances', ...present(this.#filter), limit: PAGE };
    const started = () => {
      this.#live = this.#whole = turn === this.#turn;
    };
    this.#connection.request(packet, started).catch((error) => {
      if (turn === this.#turn && this.#connection.isOpen) {
        this.error = error;
        this.changes.call();
      }
    });
  }

  #connectionIs(name) {
    this.#live = false;
    // What happened meanwhile is not known: as much as was shown is asked for again.
    if (name === 'open') this.#load(Math.min(LONGEST_PAGE, Math.max(PAGE, this.items.length)), false);
  }

  #receive(packet) {
    if (packet.type === 'instanceDeleted') this.#remove([packet.id]);
    else if (packet.type === 'instancesChanged' && this.#live) {
      if (this.#whole) this.#remove(this.#missing(packet.items));
      this.#whole = false;
      this.#merge(packet.items);
      this.#remove(this.#gone(packet.removed));
    } else return;
    this.changes.call();
  }

  #merge(items) {
    const last = this.items.at(-1);
    for (const item of items) {
      // What belongs to a page that is not loaded comes with that page.
      const later = this.#cursor !== null && last && newestFirst(item, last) > 0 && !this.isLoading;
      if (later && !this.#byId.has(item.id)) continue;
      this.#byId.set(item.id, item);
    }
    this.#sort();
  }

  /** Those that went after the list was read and before the server began to watch it. */
  #missing(page) {
    const there = new Set(page.map(({ id }) => id));
    const last = page.length === PAGE ? page.at(-1) : null;
    return this.items
      .filter((item) => !there.has(item.id) && (!last || newestFirst(item, last) < 0))
      .map(({ id }) => id);
  }

  /** Those that are not just pushed off the watched page by newer ones: they are still there, on a later page. */
  #gone(removed) {
    const leaving = new Set(removed);
    const watched = new Set(this.items.filter(({ id }) => !leaving.has(id)).slice(0, PAGE));
    const last = watched.size === PAGE ? [...watched].at(-1) : null;
    return removed.filter((id) => {
      const item = this.#byId.get(id);
      return !item || !last || newestFirst(item, last) < 0;
    });
  }

  #remove(ids) {
    for (const id of ids) this.#byId.delete(id);
    this.#sort();
  }

  #replace(items) {
    this.#byId = new Map(items.map((item) => [item.id, item]));
    this.#sort();
  }

  #sort() {
    this.items = [...this.#byId.values()].sort(newestFirst);
  }
}

function newestFirst(one, other) {
  return other.createdAt - one.createdAt || (other.id < one.id ? -1 : other.id > one.id ? 1 : 0);
}

function present(filter) {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
}
