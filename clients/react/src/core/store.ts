/**
 * The state of one instance, made of the revisions that its watch hands on.
 *
 * Revisions wait until the next frame and become visible together; then exactly those are told who show something
 * that has changed. What is more than a frame has time for goes on in the next ones: states are shown as they are
 * taken in, newer than the revision that is said, and the instance as a whole when all of its revision is there.
 * What is handed out is never changed.
 */
import type { Clock } from './clock.js';
import type { Revision } from './cursor.js';
import type { TaskpathError } from './errors.js';
import { Listeners } from './listeners.js';
import type { InstanceStatus, SetWorkflowStatus } from './packets.js';
import { ROOT, itemIndex, lastStep, parent } from './paths.js';
import { INACTIVE, type InstanceSnapshot, type InstanceState, type TaskSnapshot, hasEnded, sameJson, unknownInstance } from './state.js';
import { type TaskChange, TaskStates } from './states.js';

/** More revisions than this do not wait for a frame. */
const MOST_WAITING = 1_000;
/** How long a frame takes in states, ms; telling those who show them, and drawing, come on top of that. */
const SHARE = 2;
/** A frame that comes so late, ms, is one of a tab that nobody sees: it may take this part of the time that has passed. */
const LATE = 200;
const LATE_SHARE = 1 / 8;
/** The clock is looked at after so many states. */
const LOOK = 64;

/** What a frame has changed. */
export interface Change {
  readonly tasks: readonly TaskChange[];
  /** The tree was described anew. */
  readonly described: boolean;
  /** Everything is being replaced; only differences are among `tasks`. */
  readonly fresh: boolean;
  /** A revision is there as a whole with it; without, more of it follows in the next frames. */
  readonly complete: boolean;
}

type News = { -readonly [key in keyof InstanceSnapshot]?: InstanceSnapshot[key] };

export class InstanceStore {
  /** Called with what each frame has changed. */
  readonly changes = new Listeners<[Change]>();

  #clock: Clock;
  #waiting: Revision[] = [];
  /** Takes in the first of those that wait; each step is a state. */
  #taking: Iterator<void> | null = null;
  #callOff: (() => void) | null = null;

  #snapshot: InstanceSnapshot;
  #state: InstanceState | null = null;
  #revision = 0;
  #states = new TaskStates();
  /** What has come of the instance since it was told last. */
  #news: News = {};
  /** Another task may be the first that failed. */
  #mayFail = false;

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
      const statuses = this.#states.lend();
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
    return this.#states.isCollapsed(path);
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
    if (revision.fresh) {
      this.#waiting = [];
      this.#taking = null;
    }
    this.#waiting.push(revision);
    if (this.#waiting.length > MOST_WAITING) this.flush();
    else this.#nextFrame();
  }

  /** Makes visible what waits. */
  flush(): void {
    this.#callOff?.();
    this.#callOff = null;
    if (this.#waiting.length > 0) this.#show(Infinity);
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

  #nextFrame(): void {
    if (this.#callOff !== null) return;
    const asked = this.#clock.now();
    this.#callOff = this.#clock.onFrame(() => {
      this.#callOff = null;
      const now = this.#clock.now();
      const passed = now - asked;
      this.#show(now + (passed < LATE ? SHARE : passed * LATE_SHARE));
      if (this.#waiting.length > 0) this.#nextFrame();
    });
  }

  /** Takes in what waits, for as long as there is time, and tells of it. */
  #show(until: number): void {
    let left = LOOK;
    let fresh = false;
    let complete = false;
    for (let revision = this.#waiting[0]; revision !== undefined; revision = this.#waiting[0]) {
      this.#taking ??= this.#takeIn(revision);
      fresh ||= revision.fresh;
      while (left > 0 && !this.#taking.next().done) left -= 1;
      if (left > 0) {
        complete = true;
        this.#waiting.shift();
        this.#taking = null;
      } else if (this.#clock.now() >= until) {
        break;
      } else {
        left = LOOK;
      }
    }
    this.#told(fresh, complete);
  }

  /** Takes in a revision, and yields after each state. */
  *#takeIn({ packets, fresh }: Revision): Generator<undefined, void> {
    const said = fresh ? new Set<string>() : null;
    let standing: SetWorkflowStatus | null = null;
    let revision = this.#revision;
    for (const packet of packets) {
      revision = packet.revision;
      if (packet.type === 'workflowDescription') {
        this.#news.tree = (this.#news.tree ?? this.#snapshot.tree).with(packet.tasks, packet.continues ?? false);
      } else if (packet.type === 'setTasksStatuses') {
        if (packet.removed?.length) yield* this.#remove(this.#states.cut(packet.removed));
        for (const [path, state] of Object.entries(packet.statuses)) {
          this.#states.set(path, state);
          said?.add(path);
          yield;
        }
      } else {
        standing = packet;
      }
    }
    if (said) yield* this.#remove(this.#states.keep(said));
    this.#revision = revision;
    if (standing) Object.assign(this.#news, { status: standing.status, progress: standing.progress });
    Object.assign(this.#news, { isLoading: false, isDeleted: false, isLive: true, error: null });
  }

  *#remove(paths: readonly string[]): Generator<undefined, void> {
    for (const path of paths) {
      this.#states.remove(path);
      yield;
    }
  }

  #told(fresh: boolean, complete: boolean): void {
    this.#state = null;
    const tasks = this.#states.takeChanges();
    this.#mayFail ||= tasks.some(({ before, now }) => before?.status === 'failed' || now?.status === 'failed');
    const before = this.#snapshot;
    const changed = complete && this.#assign(this.#takeNews());
    this.#tell({ tasks, described: this.#snapshot.tree !== before.tree, fresh, complete }, changed);
  }

  #takeNews(): News {
    const { tree, status, progress } = this.#snapshot;
    const { failed: failedTasks, stale: staleTasks } = this.#states;
    const news: News = { ...this.#news, failedTasks, staleTasks };
    this.#news = {};
    if (news.tree && sameJson(news.tree.tasks, tree.tasks)) news.tree = tree;
    if (sameJson(news.progress, progress)) news.progress = progress;
    news.isEnded = hasEnded(news.status ?? status);
    if (this.#mayFail || (news.tree ?? tree) !== tree) {
      const path = this.#states.firstFailure(news.tree ?? tree);
      news.failure = path === null ? null : { path, error: this.#states.get(path)?.error ?? null };
      this.#mayFail = false;
    }
    return news;
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
    const counted = new Set<string>();
    const calls: Listeners[] = [];
    for (const { path, before, now } of change.tasks) {
      this.#renew(path, calls);
      const above = before === null || now === null ? parent(path) : null;
      if (above !== null && itemIndex(path) !== null) counted.add(above);
      if (this.#belowListeners.size === 0) continue;
      for (let at: string | null = path; at !== null && !touched.has(at); at = parent(at)) touched.add(at);
    }
    for (const path of change.described ? [...this.#tasks.keys()] : counted) this.#renew(path, calls);
    for (const listeners of calls) listeners.call();
    for (const [path, listeners] of [...this.#belowListeners]) {
      if (change.described || touched.has(path)) listeners.call();
    }
    if (snapshotChanged) this.#snapshotListeners.call();
    this.changes.call(change);
  }

  /** Describes a task anew that somebody has seen; adds those who listen to it, if it is another one now. */
  #renew(path: string, calls: Listeners[]): void {
    const known = this.#tasks.get(path);
    const listeners = this.#taskListeners.get(path);
    if (!known && !listeners) return;
    const now = this.#describe(path);
    if (known && sameTask(known, now)) return;
    if (listeners) {
      this.#tasks.set(path, now);
      calls.push(listeners);
    } else {
      this.#tasks.delete(path);
    }
  }

  #describe(path: string): TaskSnapshot {
    const { tree } = this.#snapshot;
    const node = tree.node(path);
    const state = this.#states.get(path);
    const isItem = path.endsWith(']');
    const isForeach = !isItem && (node?.foreach ?? false);
    return {
      ...(state ?? INACTIVE),
      path,
      name: lastStep(path),
      description: isItem ? '' : (node?.description ?? ''),
      isGroup: isForeach || path === ROOT || (node?.children.length ?? 0) > 0,
      isForeach,
      count: isForeach ? (node?.count ?? state?.rollup?.total ?? this.#states.countOf(path) ?? null) : null,
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

