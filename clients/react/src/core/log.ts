/**
 * The log of one task: the end of what there is, then every line that comes.
 *
 * It keeps a bounded number of lines; how many older ones are not there is counted.
 */
import type { Api } from './api.js';
import type { Clock } from './clock.js';
import { TaskpathError, asTaskpathError } from './errors.js';
import { Listeners } from './listeners.js';
import type { TaskLogLine, TaskLogs } from './packets.js';

const PAGE = 1_000;
/** A position beyond the end of any log: what is read there is nothing, and tells where the end is. */
const BEYOND = 2 ** 31;
const RETRY = 2_000;

export const MOST_LINES = 2_000;

export interface TaskLog {
  readonly lines: readonly TaskLogLine[];
  /** How many lines before them are not shown. */
  readonly left: number;
  readonly isLoading: boolean;
  readonly error: TaskpathError | null;
}

const LOADING: TaskLog = Object.freeze({ lines: [], left: 0, isLoading: true, error: null });

export class LogStore {
  /** Where the next line stands; null until what there is has been read. */
  next: number | null = null;

  #changes = new Listeners();
  #snapshot: TaskLog = LOADING;
  #waiting: TaskLogLine[] = [];
  #dropped = 0;
  #callOff: (() => void) | null = null;
  #closed = false;
  #retryTimer: unknown;

  constructor(
    private readonly id: string,
    private readonly path: string,
    private readonly parts: { api: Api; clock: Clock; ready: () => void },
  ) {
    void this.#load();
  }

  readonly subscribe = (call: () => void): (() => void) => this.#changes.add(call);

  readonly getSnapshot = (): TaskLog => this.#snapshot;

  /** Lines that have come. */
  receive({ lines, dropped = 0, next }: TaskLogs): void {
    if (this.next === null || next < this.next) return;
    this.next = next;
    this.#add(lines, dropped);
  }

  close(): void {
    this.#closed = true;
    this.#callOff?.();
    this.parts.clock.clearTimeout(this.#retryTimer);
  }

  async #load(): Promise<void> {
    const { api, clock, ready } = this.parts;
    try {
      let after = Math.max(0, (await api.logs(this.id, this.path, { after: BEYOND, limit: 1 })).next - MOST_LINES);
      this.#dropped = after;
      for (;;) {
        const page = await api.logs(this.id, this.path, { after, limit: PAGE });
        if (this.#closed) return;
        this.#add(page.lines, 0);
        after = page.next;
        if (page.lines.length < PAGE) break;
      }
      this.next = after;
      this.#show({ isLoading: false, error: null });
      ready();
    } catch (thrown) {
      if (this.#closed) return;
      const error = asTaskpathError(thrown);
      this.#waiting = [];
      this.#show({ ...LOADING, isLoading: error.isTemporary, error });
      if (error.isTemporary) this.#retryTimer = clock.setTimeout(() => void this.#load(), RETRY);
    }
  }

  #add(lines: readonly TaskLogLine[], dropped: number): void {
    this.#waiting.push(...lines);
    this.#dropped += dropped;
    if (lines.length + dropped > 0) this.#callOff ??= this.parts.clock.onFrame(() => this.#show({}));
  }

  #show(changes: Partial<TaskLog>): void {
    this.#callOff?.();
    this.#callOff = null;
    let lines: readonly TaskLogLine[] = changes.lines ?? this.#snapshot.lines;
    if (this.#waiting.length > 0) lines = [...lines, ...this.#waiting];
    let left = (changes.left ?? this.#snapshot.left) + this.#dropped;
    if (lines.length > MOST_LINES) {
      left += lines.length - MOST_LINES;
      lines = lines.slice(-MOST_LINES);
    }
    this.#waiting = [];
    this.#dropped = 0;
    this.#snapshot = { ...this.#snapshot, ...changes, lines, left };
    this.#changes.call();
  }
}
