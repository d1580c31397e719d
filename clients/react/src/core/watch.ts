/**
 * The watch of one instance over a connection: asks for what is wanted, and sees to it that nothing is missed.
 *
 * When the connection comes back the watch is resumed from the cursor; a gap (a packet whose base is newer than the
 * cursor, a heartbeat that knows a later revision) is closed in the same way; after `resync`, or when other paths
 * are wanted, a fresh state replaces the old one.
 */
import { backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { Cursor, type Revision } from './cursor.js';
import { ConnectionLost, type TaskpathError, asTaskpathError } from './errors.js';
import type { ErrorInfo, InstanceStatus, ServerPacket, TaskLogs, WatchWorkflowInstance } from './packets.js';

/** What a watch tells. */
export interface Sink {
  /** A complete revision. */
  revision(revision: Revision): void;
  /** Whether what was told is kept up to date. */
  live(isLive: boolean): void;
  logs(packet: TaskLogs): void;
  /** A task has failed for good; said once, and only to who watches then. */
  failure(path: string, error: ErrorInfo): void;
  deleted(status: InstanceStatus | undefined): void;
  /** It cannot be watched. */
  refused(error: TaskpathError): void;
}

/** What is wanted of an instance. */
export interface Wanted {
  /** Patterns; undefined for all tasks. */
  readonly paths: readonly string[] | undefined;
  /** By path, the `next` from which its log is followed. */
  readonly logs: ReadonlyMap<string, number>;
}

export class InstanceWatch {
  #connection: Connection;
  #clock: Clock;
  #random: () => number;
  #sink: Sink;
  #id: string;
  #wanted: () => Wanted;
  #cursor = new Cursor();
  /** What was asked for last, and the patterns of which the state is known; as text. */
  #asked: { paths: string; logs: string } | null = null;
  #known: string | null = null;
  /** Tells the last watch packet from those before it. */
  #turn = 0;
  /** A watch packet has not been answered. */
  #pending = false;
  #over = false;
  #isRefused = false;
  #refusals = 0;
  #retryTimer: unknown;
  #stop: () => void;

  constructor(
    id: string,
    wanted: () => Wanted,
    sink: Sink,
    { connection, clock, random }: { connection: Connection; clock: Clock; random: () => number },
  ) {
    this.#id = id;
    this.#wanted = wanted;
    this.#sink = sink;
    this.#connection = connection;
    this.#clock = clock;
    this.#random = random;
    const stops = [
      connection.states.add(({ name }) => this.#connectionIs(name === 'open')),
      connection.packets.add((packet) => this.#receive(packet)),
    ];
    this.#stop = () => stops.forEach((stop) => stop());
  }

  /** The last revision that is complete; 0 before the first. */
  get revision(): number {
    return this.#cursor.revision;
  }

  /** What is wanted may have changed. */
  wantedChanged(): void {
    const { paths, logs } = this.#wanted();
    if (textOf(paths) !== this.#asked?.paths || namesOf(logs) !== this.#asked.logs) this.#ask();
  }

  /** Asks again, if it was refused. */
  retry(): void {
    if (this.#isRefused) this.#ask();
  }

  /** Wants nothing more. */
  close(): void {
    this.#stop();
    this.#clock.clearTimeout(this.#retryTimer);
    this.#turn += 1;
    if (this.#connection.isOpen && !this.#over) {
      this.#connection.request({ type: 'unwatchWorkflowInstance', id: this.#id }).catch(() => {});
    }
  }

  #connectionIs(isOpen: boolean): void {
    this.#clock.clearTimeout(this.#retryTimer);
    this.#turn += 1;
    this.#pending = false;
    this.#refusals = 0;
    if (this.#over) return;
    this.#cursor.resume();
    if (isOpen) this.#ask();
    else this.#sink.live(false);
  }

  #ask(): void {
    if (!this.#connection.isOpen || this.#over) return;
    this.#clock.clearTimeout(this.#retryTimer);
    const { paths, logs } = this.#wanted();
    const turn = ++this.#turn;
    const text = textOf(paths);
    const resume = this.#known === text && this.#cursor.revision > 0;
    if (!resume) this.#known = null;
    const packet: Omit<WatchWorkflowInstance, 'requestId'> = { type: 'watchWorkflowInstance', id: this.#id };
    if (resume) packet.since = this.#cursor.revision;
    if (paths) packet.paths = [...paths];
    if (logs.size > 0) {
      packet.logs = [...logs.keys()];
      packet.logsSince = Object.fromEntries(logs);
    }
    this.#asked = { paths: text, logs: namesOf(logs) };
    this.#pending = true;
    this.#isRefused = false;
    const answered = () => {
      // Packets of an earlier watch came before this; of two that were sent at once only the last one counts.
      if (turn !== this.#turn) return;
      this.#pending = false;
      this.#refusals = 0;
      if (resume) {
        this.#cursor.resume();
        this.#sink.live(true);
      } else {
        this.#cursor.startOver();
      }
    };
    this.#connection.request(packet, answered).catch((error: unknown) => {
      if (turn === this.#turn) this.#refused(asTaskpathError(error));
    });
  }

  #refused(error: TaskpathError): void {
    this.#pending = false;
    if (error instanceof ConnectionLost) return; // it is asked again when the connection is back
    this.#isRefused = true;
    if (error.isTemporary) {
      const delay = backoff(++this.#refusals, this.#random());
      this.#retryTimer = this.#clock.setTimeout(() => this.#ask(), delay);
    }
    this.#sink.refused(error);
  }

  #receive(packet: ServerPacket): void {
    if (this.#over) return;
    if (packet.type === 'heartbeat') {
      const sent = packet.revisions[this.#id];
      if (sent !== undefined && this.#cursor.isBehind(sent)) this.#catchUp();
      return;
    }
    if (!('id' in packet) || packet.id !== this.#id) return;
    switch (packet.type) {
      case 'workflowDescription':
      case 'setTasksStatuses':
      case 'setWorkflowStatus': {
        const step = this.#cursor.receive(packet);
        if (step === 'gap') this.#catchUp();
        else if (step) this.#complete(step);
        break;
      }
      case 'resync':
        this.#cursor.startOver();
        break;
      case 'taskLogs':
        this.#sink.logs(packet);
        break;
      case 'executionError':
        this.#sink.failure(packet.taskPath, packet.error);
        break;
      case 'instanceDeleted':
        this.#over = true;
        this.#sink.deleted(packet.status);
        break;
    }
  }

  #complete(revision: Revision): void {
    // While something else is asked for, it is not known of what this is the state.
    if (revision.fresh) this.#known = this.#pending ? null : (this.#asked?.paths ?? null);
    this.#sink.revision(revision);
  }

  #catchUp(): void {
    if (!this.#pending) this.#ask();
  }
}

function textOf(paths: readonly string[] | undefined): string {
  return paths ? JSON.stringify(paths) : '';
}

function namesOf(logs: ReadonlyMap<string, unknown>): string {
  return [...logs.keys()].sort().join('\n');
}
