/** A live list that is there while somebody wants it, and a little longer. */
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { type InstanceList, LOADING_LIST, type ListStore } from './listing.js';
import { Listeners } from './listeners.js';

const LINGER = 2_000;

export interface OpenedList {
  readonly store: ListStore;
  readonly connection: Connection;
}

export class SharedList {
  #clock: Clock;
  #open: () => OpenedList;
  #opened: OpenedList | null = null;
  #holders = 0;
  #lingerTimer: unknown;
  #changes = new Listeners();
  #unsubscribe = () => {};

  constructor(clock: Clock, open: () => OpenedList) {
    this.#clock = clock;
    this.#open = open;
  }

  /** The connection that it has taken, if it is open. */
  get connection(): Connection | null {
    return this.#opened?.connection ?? null;
  }

  readonly getSnapshot = (): InstanceList => this.#opened?.store.getSnapshot() ?? LOADING_LIST;

  /** Keeps the list, and calls when it has changed. */
  readonly subscribe = (call: () => void): (() => void) => {
    const stop = this.#changes.add(call);
    this.#clock.clearTimeout(this.#lingerTimer);
    this.#holders += 1;
    if (!this.#opened) {
      this.#opened = this.#open();
      this.#unsubscribe = this.#opened.store.subscribe(() => this.#changes.call());
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      stop();
      this.#holders -= 1;
      if (this.#holders === 0) this.#lingerTimer = this.#clock.setTimeout(() => this.#close(), LINGER);
    };
  };

  /** Loads the next page. */
  readonly loadMore = async (): Promise<void> => {
    await this.#opened?.store.loadMore();
  };

  #close(): void {
    this.#unsubscribe();
    this.#opened?.store.close();
    this.#opened = null;
  }
}
