/**
 * One instance as everyone on the page shares it: a watch, its state, its logs, and who wants to see what of it.
 *
 * It is watched while somebody wants it. Components come and go (and a strict React lets each of them come twice),
 * so it is left a little after the last one has gone, and fewer tasks are asked for a little after they are not
 * wanted any more; more are asked for at once.
 */
import type { Api } from './api.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { patternsOf } from './interests.js';
import { Listeners } from './listeners.js';
import { LogStore } from './log.js';
import type { ErrorInfo } from './packets.js';
import { InstanceStore } from './store.js';
import { InstanceWatch } from './watch.js';

const LINGER = 2_000;

export interface Parts {
  connection: Connection;
  api: Api;
  clock: Clock;
  random: () => number;
}

interface Interest {
  readonly paths: readonly string[] | undefined;
  /** When it was given up, ms since epoch. */
  goneAt: number | null;
}

export class Instance {
  readonly store: InstanceStore;
  /** Called once when a task has failed for good while somebody watches. */
  readonly failures = new Listeners<[path: string, error: ErrorInfo]>();

  #parts: Parts;
  #over: () => void;
  #watch: InstanceWatch | null = null;
  #release: (() => void) | null = null;
  #interests = new Set<Interest>();
  #logs = new Map<string, { store: LogStore; holders: number }>();
  #lingerTimer: unknown = null;
  #asked = false;

  /**
   * @param over called when nobody has wanted it for a while; it is of no use then
   */
  constructor(id: string, parts: Parts, over: () => void) {
    this.#parts = parts;
    this.#over = over;
    this.store = new InstanceStore(id, parts.clock);
    this.store.changes.add(({ tasks, fresh, complete }) => {
      // An item comes by itself until its foreach becomes a rollup, and then only if it is named.
      if (fresh ? complete : tasks.some(({ before, now }) => Boolean(before?.rollup) !== Boolean(now?.rollup))) this.#ask();
    });
  }

  get id(): string {
    return this.store.id;
  }

  /**
   * Watches it until what is returned is called.
   *
   * @param paths patterns of the tasks that are wanted; undefined for all, the items of large foreaches excepted
   */
  watch(paths?: readonly string[]): () => void {
    const interest: Interest = { paths, goneAt: null };
    this.#interests.add(interest);
    if (this.#watch) this.#watch.retry();
    else this.#begin();
    this.#ask();
    return () => {
      if (interest.goneAt !== null) return;
      interest.goneAt = this.#parts.clock.now();
      this.#linger();
    };
  }

  /** Follows the log of a task until `release` is called. */
  followLog(path: string): { log: LogStore; release: () => void } {
    let here = this.#logs.get(path);
    if (!here) {
      const { api, clock } = this.#parts;
      here = { store: new LogStore(this.id, path, { api, clock, ready: () => this.#ask() }), holders: 0 };
      this.#logs.set(path, here);
    }
    const followed = here;
    followed.holders += 1;
    const unwatch = this.watch([path]);
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      followed.holders -= 1;
      if (followed.holders === 0) {
        followed.store.close();
        this.#logs.delete(path);
      }
      unwatch();
    };
    return { log: followed.store, release };
  }

  /** Asks again for what was refused. */
  retry(): void {
    this.#watch?.retry();
  }

  #begin(): void {
    const { connection } = this.#parts;
    this.#release = connection.hold();
    const { store } = this;
    this.#watch = new InstanceWatch(
      this.id,
      () => this.#wanted(),
      {
        revision: (revision) => store.take(revision),
        live: (isLive) => store.setLive(isLive),
        logs: (packet) => this.#logs.get(packet.taskPath)?.store.receive(packet),
        failure: (path, error) => this.failures.call(path, error),
        deleted: (status) => store.delete(status),
        refused: (error) => store.refuse(error),
      },
      this.#parts,
    );
  }

  /** Lets go of those who went a while ago, and looks again when others did. */
  #linger(): void {
    const { clock } = this.#parts;
    this.#lingerTimer ??= clock.setTimeout(() => {
      this.#lingerTimer = null;
      const now = clock.now();
      for (const interest of this.#interests) {
        if (interest.goneAt === null) continue;
        if (now - interest.goneAt >= LINGER) this.#interests.delete(interest);
        else this.#linger();
      }
      if (this.#interests.size > 0) this.#watch?.wantedChanged();
      else this.#end();
    }, LINGER);
  }

  #end(): void {
    this.#watch?.close();
    this.#watch = null;
    this.#release?.();
    this.#release = null;
    this.store.close();
    this.#over();
  }

  /** Once for all who come at the same time. */
  #ask(): void {
    if (this.#asked || !this.#watch) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      this.#watch?.wantedChanged();
    });
  }

  #wanted(): { paths: readonly string[] | undefined; logs: ReadonlyMap<string, number> } {
    const wanted = [...this.#interests].map(({ paths }) => paths);
    const logs = new Map<string, number>();
    for (const [path, { store }] of this.#logs) if (store.next !== null) logs.set(path, store.next);
    return { paths: patternsOf(wanted, (path) => this.store.isCollapsed(path)), logs };
  }
}
