/**
 * A list of instances, newest first, kept up to date by the server.
 *
 * The server keeps the first page live. Further pages are read when they are asked for; what stands on them is as
 * new as that, and is read again when the connection was away.
 */
import type { Api, InstanceFilter } from './api.js';
import { backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { ConnectionLost, type TaskpathError, asTaskpathError } from './errors.js';
import { Listeners } from './listeners.js';
import type { InstanceSummary, InstancesChanged, ServerPacket } from './packets.js';

export interface ListFilter extends InstanceFilter {
  /** How long a page is; 50 if it is not said, at most 200. */
  limit?: number | undefined;
}

export interface InstanceList {
  readonly items: readonly InstanceSummary[];
  readonly isLoading: boolean;
  readonly isLive: boolean;
  /** Whether there may be more to load. */
  readonly hasMore: boolean;
  readonly isLoadingMore: boolean;
  readonly error: TaskpathError | null;
}

export const LOADING_LIST: InstanceList = Object.freeze({
  items: [],
  isLoading: true,
  isLive: false,
  hasMore: false,
  isLoadingMore: false,
  error: null,
});

const PAGE = 50;

interface Parts {
  connection: Connection;
  api: Api;
  clock: Clock;
  random: () => number;
}

export class ListStore {
  #filter: InstanceFilter;
  #page: number;
  #parts: Parts;
  #changes = new Listeners();
  #snapshot: InstanceList = LOADING_LIST;
  #byId = new Map<string, InstanceSummary>();
  /** The ids of the page that the server keeps live. */
  #watched = new Set<string>();
  /** Where the pages that were read end: null at the end of the list, undefined if none was. */
  #cursor: string | null | undefined;
  /** How many pages were read beyond the live one. */
  #pages = 0;
  /** Whether the next packet is the whole live page. */
  #whole = false;
  #turn = 0;
  #failures = 0;
  #retryTimer: unknown;
  #callOff: (() => void) | null = null;
  #stop: () => void;

  constructor({ limit = PAGE, ...filter }: ListFilter, parts: Parts) {
    this.#filter = filter;
    this.#page = limit;
    this.#parts = parts;
    const { connection } = parts;
    const stops = [
      connection.states.add(({ name }) => this.#connectionIs(name === 'open')),
      connection.packets.add((packet) => this.#receive(packet)),
      connection.hold(),
    ];
    this.#stop = () => stops.forEach((stop) => stop());
    if (connection.isOpen) this.#ask();
  }

  readonly subscribe = (call: () => void): (() => void) => this.#changes.add(call);

  readonly getSnapshot = (): InstanceList => this.#snapshot;

  /** Loads the next page. */
  readonly loadMore = async (): Promise<void> => {
    const { hasMore, isLoadingMore, isLoading } = this.#snapshot;
    if (!hasMore || isLoadingMore || isLoading) return;
    this.#show({ isLoadingMore: true, error: null });
    const turn = this.#turn;
    const before = this.#byId.size;
    try {
      // The live page has no cursor of its own: it is read once more to get one.
      do {
        const page = await this.#read(this.#cursor);
        if (turn !== this.#turn) break;
        this.#cursor = page.nextCursor;
        for (const item of page.items) if (!this.#watched.has(item.id)) this.#byId.set(item.id, item);
      } while (this.#byId.size === before && this.#cursor !== null);
      if (turn === this.#turn) this.#pages += 1;
      this.#show({ isLoadingMore: false });
    } catch (error) {
      this.#show({ isLoadingMore: false, error: asTaskpathError(error) });
    }
  };

  close(): void {
    this.#turn += 1;
    this.#callOff?.();
    const { connection, clock } = this.#parts;
    clock.clearTimeout(this.#retryTimer);
    if (connection.isOpen) connection.request({ type: 'unwatchInstances' }).catch(() => {});
    this.#stop();
  }

  #read(cursor: string | null | undefined) {
    return this.#parts.api.instances({ ...this.#filter, limit: this.#page, ...(cursor ? { cursor } : {}) });
  }

  #connectionIs(isOpen: boolean): void {
    this.#parts.clock.clearTimeout(this.#retryTimer);
    this.#turn += 1;
    this.#whole = false;
    this.#failures = 0;
    if (isOpen) this.#ask();
    else if (this.#snapshot.isLive) this.#show({ isLive: false, isLoadingMore: false });
  }

  #ask(): void {
    const turn = ++this.#turn;
    const present = Object.entries(this.#filter).filter(([, value]) => value !== undefined && value !== '');
    const packet = { type: 'watchInstances' as const, ...Object.fromEntries(present), limit: this.#page };
    const answered = () => {
      if (turn === this.#turn) this.#whole = true;
    };
    this.#parts.connection.request(packet, answered).catch((thrown: unknown) => {
      if (turn !== this.#turn || thrown instanceof ConnectionLost) return;
      const error = asTaskpathError(thrown);
      this.#show({ error, isLoading: false, isLive: false });
      if (!error.isTemporary) return;
      const { clock, random } = this.#parts;
      this.#retryTimer = clock.setTimeout(() => this.#ask(), backoff(++this.#failures, random()));
    });
  }

  #receive(packet: ServerPacket): void {
    if (packet.type === 'instanceDeleted') {
      if (this.#byId.delete(packet.id)) this.#soon();
      this.#watched.delete(packet.id);
    } else if (packet.type === 'instancesChanged') {
      this.#changed(packet);
    }
  }

  #changed({ items, removed }: InstancesChanged): void {
    if (this.#whole) {
      this.#whole = false;
      this.#failures = 0;
      this.#begin(items);
      return;
    }
    if (!this.#snapshot.isLive) return;
    for (const id of removed) this.#watched.delete(id);
    for (const item of items) {
      this.#watched.add(item.id);
      this.#byId.set(item.id, item);
    }
    // What newer ones have pushed off the live page is still there, at the head of the next one.
    const last = this.#watched.size >= this.#page ? this.#lastWatched() : null;
    for (const id of removed) {
      const item = this.#byId.get(id);
      const pushedOff = item && last && this.#pages > 0 && newestFirst(item, last) > 0;
      if (!pushedOff) this.#byId.delete(id);
    }
    this.#soon();
  }

  /** The whole live page has come; what had been read beyond it is read again. */
  #begin(items: readonly InstanceSummary[]): void {
    const pages = this.#pages;
    this.#watched = new Set(items.map(({ id }) => id));
    const last = items.length >= this.#page ? items[items.length - 1] : undefined;
    const beyond = last ? [...this.#byId.values()].filter((item) => newestFirst(item, last) > 0) : [];
    this.#byId = new Map([...items, ...(pages > 0 ? beyond : [])].map((item) => [item.id, item]));
    this.#cursor = undefined;
    this.#show({ isLoading: false, isLive: true, error: null });
    if (pages > 0) void this.#readAgain(pages);
  }

  async #readAgain(pages: number): Promise<void> {
    const turn = this.#turn;
    try {
      const found: InstanceSummary[] = [];
      let cursor: string | null | undefined;
      for (let read = 0; read <= pages && cursor !== null; read += 1) {
        const page = await this.#read(cursor);
        if (turn !== this.#turn) return;
        found.push(...page.items);
        cursor = page.nextCursor;
      }
      const live = [...this.#watched].map((id) => this.#byId.get(id)).filter((item) => item !== undefined);
      this.#byId = new Map([...found, ...live].map((item) => [item.id, item]));
      this.#cursor = cursor;
      this.#show({});
    } catch (error) {
      if (turn === this.#turn) this.#show({ error: asTaskpathError(error) });
    }
  }

  #lastWatched(): InstanceSummary | null {
    let last: InstanceSummary | null = null;
    for (const id of this.#watched) {
      const item = this.#byId.get(id);
      if (item && (!last || newestFirst(item, last) > 0)) last = item;
    }
    return last;
  }

  #soon(): void {
    this.#callOff ??= this.#parts.clock.onFrame(() => this.#show({}));
  }

  #show(changes: Partial<InstanceList>): void {
    this.#callOff?.();
    this.#callOff = null;
    const items = [...this.#byId.values()].sort(newestFirst);
    const hasMore = this.#cursor === undefined ? items.length >= this.#page : this.#cursor !== null;
    this.#snapshot = { ...this.#snapshot, items, hasMore, ...changes };
    this.#changes.call();
  }
}

function newestFirst(one: InstanceSummary, other: InstanceSummary): number {
  return other.createdAt - one.createdAt || (other.id < one.id ? -1 : other.id > one.id ? 1 : 0);
}
