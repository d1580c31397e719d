/**
 * The state of one instance, made of the revisions that its watch hands on.
 *
 * Revisions wait until the next frame and become visible together; then exactly those are told who show something
 * that has changed. What is handed out is never changed: states are replaced, and the map of them is copied before
 * it is written to when somebody has it.
 */
import type { Clock } from './clock.js';
import type { Revision, StatePacket } from './cursor.js';
import type { TaskpathError } from './errors.js';
import { Listeners } from './listeners.js';
import type { InstanceStatus } from './packets.js';
import { ROOT, itemIndex, lastStep, parent } from './paths.js';
import {
  INACTIVE,
  type InstanceSnapshot,
  type InstanceState,
  type TaskSnapshot,
  type TaskState,
  hasEnded,
  sameJson,
  unknownInstance,
} from './state.js';
import { TaskTree } from './tree.js';

/** More revisions than this do not wait for a frame. */
const MOST_WAITING = 1_000;

/** A task whose state has changed: what it was and is; null for not there. */
export interface TaskChange {
  readonly path: string;
  readonly before: TaskState | null;
  readonly now: TaskState | null;
}

/** What a frame has changed. */
export interface Change {
  readonly tasks: readonly TaskChange[];
  /** The tree was described anew. */
  readonly described: boolean;
  /** Everything was replaced; only differences are among `tasks`. */
  readonly fresh: boolean;
}

export class InstanceStore {
  /** Called with what each frame has changed. */
  readonly changes = new Listeners<[Change]>();

  #clock: Clock;
  #waiting: Revision[] = [];
  #callOff: (() => void) | null = null;

  #snapshot: InstanceSnapshot;
  #state: InstanceState | null = null;
  #revision = 0;
  #statuses = new Map<string, TaskState>();
  /** Somebody has `#statuses`. */
  #shared = false;
  /** How many items of a foreach are known; one inside an item is not described with its count. */
  #items = new Map<string, number>();
  #stale = 0;
  #failed = 0;
  #rollups = 0;

  #snapshotListeners = new Listeners();
  #tasks = new Map<string, TaskSnapshot>();
  #taskListeners = new Map<string, Listeners>();
  #belowListeners = new Map<string, Listeners>();

  constructor(id: string, clock: Clock) {
    this.#clock = clock;
    this.#snapshot = unknownInstance(id);
  }

  get id(): string {
    return this.#snapshot.id;
  }

  /** The last revision that is visible; 0 before the first. */
  get revision(): number {
    return this.#revision;
  }

  /** The instance as a whole. The same object as long as nothing of it has changed. */
  readonly getSnapshot = (): InstanceSnapshot => this.#snapshot;

  /** The instance with its tasks. The same object as long as nothing has changed. */
  readonly getState = (): InstanceState => {
    if (this.#state === null) {
      const statuses = this.#statuses;
      this.#shared = true;
      this.#state = {
        ...this.#snapshot,
        revision: this.#revision,
        statuses,
        task: (path) => statuses.get(path) ?? INACTIVE,
      };
    }
    return this.#state;
  };

  /** One task. The same object as long as nothing of it has changed. */
  getTask(path: string): TaskSnapshot {
    const known = this.#tasks.get(path);
    if (known) return known;
    const made = this.#describe(path);
    this.#tasks.set(path, made);
    return made;
  }

  /** Whether a task is below a foreach that is shown as a rollup. */
  isCollapsed(path: string): boolean {
    if (this.#rollups === 0) return false;
    for (let at = parent(path); at !== null; at = parent(at)) if (this.#statuses.get(at)?.rollup) return true;
    return false;
  }

  /** Calls when the instance as a whole has changed. */
  readonly subscribeSnapshot = (call: () => void): (() => void) => this.#snapshotListeners.add(call);

  /** Calls when anything has changed. */
  readonly subscribe = (call: () => void): (() => void) => {
    const stops = [this.changes.add(call), this.#snapshotListeners.add(call)];
    return () => stops.forEach((stop) => stop());
  };

  /** Calls when one task has changed. */
  subscribeTask(path: string, call: () => void): () => void {
    return listen(this.#taskListeners, path, call);
  }

  /** Calls when a task has changed, or any below it. */
  subscribeBelow(path: string, call: () => void): () => void {
    return listen(this.#belowListeners, path, call);
  }

  /** Takes a revision; it is visible from the next frame on. */
  take(revision: Revision): void {
    if (revision.fresh) this.#waiting = [];
    this.#waiting.push(revision);
    if (this.#waiting.length > MOST_WAITING) this.flush();
    else this.#callOff ??= this.#clock.onFrame(() => this.flush());
  }

  /** Makes visible what waits. */
  flush(): void {
    this.#callOff?.();
    this.#callOff = null;
    const revisions = this.#waiting;
    if (revisions.length === 0) return;
    this.#waiting = [];
    this.#apply(revisions);
  }

  /** Whether what is shown is kept up to date. */
  setLive(isLive: boolean): void {
    this.#set({ isLive });
  }

  /** It cannot be watched. */
  refuse(error: TaskpathError): void {
    this.flush();
    this.#set({ error, isLoading: false, isLive: false });
  }

  /** It was deleted; `status` if that is how it ended. */
  delete(status: InstanceStatus | undefined): void {
    this.flush();
    const last = status ?? this.#snapshot.status;
    this.#set({ isDeleted: true, isLive: false, isLoading: false, status: last, isEnded: hasEnded(last) });
  }

  /** Nobody wants to see it any more. */
  close(): void {
    this.#callOff?.();
    this.#callOff = null;
  }

  #apply(revisions: readonly Revision[]): void {
    const before = new Map<string, TaskState | null>();
    let { tree, status, progress } = this.#snapshot;
    let described = false;
    let fresh = false;
    for (const revision of revisions) {
      if (revision.fresh) {
        fresh = true;
        for (const [path, state] of this.#statuses) if (!before.has(path)) before.set(path, state);
        this.#statuses = new Map();
        this.#shared = false;
        this.#items = new Map();
        this.#stale = this.#failed = this.#rollups = 0;
      }
      for (const packet of revision.packets) {
        this.#revision = packet.revision;
        if (packet.type === 'workflowDescription') {
          tree = tree.with(packet.tasks, packet.continues ?? false);
          described = true;
        } else if (packet.type === 'setTasksStatuses') {
          this.#statusesOf(packet, before);
        } else {
          ({ status, progress } = packet);
        }
      }
    }
    if (described && sameJson(tree.tasks, this.#snapshot.tree.tasks)) {
      tree = this.#snapshot.tree;
      described = false;
    }
    const tasks = this.#differences(before);
    if (sameJson(progress, this.#snapshot.progress)) progress = this.#snapshot.progress;
    const failure =
      described || tasks.some(({ before: was, now }) => was?.status === 'failed' || now?.status === 'failed')
        ? this.#firstFailure(tree)
        : this.#snapshot.failure;
    this.#state = null;
    const changed = this.#assign({
      tree,
      status,
      progress,
      failure,
      staleTasks: this.#stale,
      failedTasks: this.#failed,
      isEnded: hasEnded(status),
      isLoading: false,
      isDeleted: false,
      isLive: true,
      error: null,
    });
    this.#tell({ tasks, described, fresh }, changed);
  }

  #statusesOf(packet: Extract<StatePacket, { type: 'setTasksStatuses' }>, before: Map<string, TaskState | null>): void {
    if (this.#shared) {
      this.#statuses = new Map(this.#statuses);
      this.#shared = false;
    }
    if (packet.removed?.length) this.#remove(new Set(packet.removed), before);
    for (const [path, state] of Object.entries(packet.statuses)) {
      const was = this.#statuses.get(path);
      if (!before.has(path)) before.set(path, was ?? null);
      if (was) this.#count(was, -1);
      else this.#meet(path);
      // Who compares what it shows by identity need not draw again what was only said again.
      const first = before.get(path);
      const now = first && sameJson(first, state) ? first : state;
      this.#count(now, 1);
      this.#statuses.set(path, now);
    }
  }

  #remove(removed: ReadonlySet<string>, before: Map<string, TaskState | null>): void {
    for (const path of removed) {
      const index = itemIndex(path);
      const foreach = parent(path);
      if (index === null || foreach === null) continue;
      this.#items.set(foreach, Math.min(this.#items.get(foreach) ?? 0, index));
    }
    for (const [path, state] of this.#statuses) {
      for (let at: string | null = path; at !== null; at = parent(at)) {
        if (!removed.has(at)) continue;
        if (!before.has(path)) before.set(path, state);
        this.#count(state, -1);
        this.#statuses.delete(path);
        break;
      }
    }
  }

  #count(state: TaskState, by: number): void {
    if (state.stale || (state.rollup?.stale ?? 0) > 0) this.#stale += by;
    if (state.status === 'failed') this.#failed += by;
    if (state.rollup) this.#rollups += by;
  }

  #meet(path: string): void {
    const index = itemIndex(path);
    const foreach = parent(path);
    if (index === null || foreach === null) return;
    this.#items.set(foreach, Math.max(this.#items.get(foreach) ?? 0, index + 1));
  }

  #differences(before: ReadonlyMap<string, TaskState | null>): TaskChange[] {
    const found: TaskChange[] = [];
    for (const [path, was] of before) {
      const now = this.#statuses.get(path) ?? null;
      if (now !== was) found.push({ path, before: was, now });
    }
    return found;
  }

  /** The innermost failed task that comes first in the tree. */
  #firstFailure(tree: TaskTree): InstanceSnapshot['failure'] {
    if (this.#failed === 0) return null;
    const within = (path: string): string | null => {
      for (const child of this.#below(tree, path)) {
        if (this.#statuses.get(child)?.status === 'failed') return within(child) ?? child;
      }
      return null;
    };
    const path = within('#');
    return path === null ? null : { path, error: this.#statuses.get(path)?.error ?? null };
  }

  *#below(tree: TaskTree, path: string): Iterable<string> {
    yield* tree.children(path);
    if (!tree.isForeach(path)) return;
    const count = this.#items.get(path) ?? 0;
    for (let index = 0; index < count; index += 1) yield `${path}[${index}]`;
  }

  #set(changes: Partial<InstanceSnapshot>): void {
    if (!this.#assign(changes)) return;
    this.#state = null;
    this.#snapshotListeners.call();
  }

  #assign(changes: Partial<InstanceSnapshot>): boolean {
    const now = { ...this.#snapshot, ...changes };
    const keys = Object.keys(changes) as (keyof InstanceSnapshot)[];
    if (keys.every((key) => now[key] === this.#snapshot[key] || sameFailure(key, now, this.#snapshot))) return false;
    this.#snapshot = now;
    return true;
  }

  #tell(change: Change, snapshotChanged: boolean): void {
    const touched = new Set<string>();
    const dirty = new Set<string>();
    for (const { path } of change.tasks) {
      dirty.add(path);
      if (itemIndex(path) !== null) dirty.add(parent(path) ?? path); // its count may have changed
      if (this.#belowListeners.size === 0) continue;
      for (let at: string | null = path; at !== null && !touched.has(at); at = parent(at)) touched.add(at);
    }
    const candidates = change.described ? new Set([...this.#tasks.keys(), ...dirty]) : dirty;
    const changed: string[] = [];
    for (const path of candidates) {
      const known = this.#tasks.get(path);
      if (!known && !this.#taskListeners.has(path)) continue;
      const now = this.#describe(path);
      if (known && sameTask(known, now)) continue;
      this.#tasks.set(path, now);
      changed.push(path);
    }
    for (const path of changed) {
      if (this.#taskListeners.has(path)) this.#taskListeners.get(path)?.call();
      else this.#tasks.delete(path);
    }
    for (const [path, listeners] of [...this.#belowListeners]) {
      if (change.described || touched.has(path)) listeners.call();
    }
    if (snapshotChanged) this.#snapshotListeners.call();
    this.changes.call(change);
  }

  #describe(path: string): TaskSnapshot {
    const { tree } = this.#snapshot;
    const node = tree.node(path);
    const state = this.#statuses.get(path);
    const isItem = path.endsWith(']');
    const isForeach = !isItem && (node?.foreach ?? false);
    return {
      ...(state ?? INACTIVE),
      path,
      name: lastStep(path),
      description: isItem ? '' : (node?.description ?? ''),
      isGroup: isForeach || path === ROOT || (node?.children.length ?? 0) > 0,
      isForeach,
      count: isForeach ? (node?.count ?? state?.rollup?.total ?? this.#items.get(path) ?? null) : null,
      isKnown: state !== undefined,
    };
  }
}

function listen(all: Map<string, Listeners>, path: string, call: () => void): () => void {
  let here = all.get(path);
  if (!here) all.set(path, (here = new Listeners()));
  const stop = here.add(call);
  return () => {
    stop();
    if (here.size === 0 && all.get(path) === here) all.delete(path);
  };
}

function sameTask(one: TaskSnapshot, other: TaskSnapshot): boolean {
  let fields = 0;
  for (const key in one) {
    if (one[key as keyof TaskSnapshot] !== other[key as keyof TaskSnapshot]) return false;
    fields += 1;
  }
  for (const _ in other) fields -= 1;
  return fields === 0;
}

function sameFailure(key: keyof InstanceSnapshot, one: InstanceSnapshot, other: InstanceSnapshot): boolean {
  return key === 'failure' && sameJson(one.failure, other.failure);
}

