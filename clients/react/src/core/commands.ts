/**
 * What a page has done: execute, cancel, set the updaters of a context.
 *
 * Each command carries an idempotency key, so one whose answer was lost with the connection is sent again when it is
 * back, and is still carried out once. One that cannot be sent for half a minute fails.
 */
import type { Api } from './api.js';
import type { Clock } from './clock.js';
import type { Connection, Request } from './connection.js';
import { ConnectionLost, unavailable } from './errors.js';
import type { Ack, Mode, Upstream } from './packets.js';
import { ROOT } from './paths.js';

const PATIENCE = 30_000;
/** The server closes the connection on a frame of 1 MiB; what may become as long goes by HTTP. */
const MOST_CHARACTERS = 256 * 1024;

export interface CommandOptions {
  /** The same key is carried out once; one is made if there is none. */
  idempotencyKey?: string;
}

export interface ExecuteOptions extends CommandOptions {
  /** What to run: a path or a pattern; everything if it is not said. */
  path?: string;
  mode?: Mode;
  /** What to do about tasks before the path that are not fresh. */
  upstream?: Upstream;
  /** Replaces the argument of the first task that runs. */
  argument?: unknown;
}

export interface CancelOptions extends CommandOptions {
  path?: string;
}

/** At which revision it shows. */
export interface Accepted {
  revision: number;
}

interface Parts {
  connection: Connection;
  api: Api;
  clock: Clock;
  newKey: () => string;
}

export class Commands {
  #parts: Parts;
  /** By instance, the revision of the last command: what is read afterwards has to have it. */
  #revisions = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async execute(id: string, options: ExecuteOptions = {}): Promise<Accepted> {
    const { path = ROOT, idempotencyKey = this.#parts.newKey(), ...rest } = options;
    const command = defined(rest);
    const packet = { type: 'executeTask' as const, id, taskPath: path, ...command, idempotencyKey };
    if (isLong(packet)) return this.#keep(id, await this.#parts.api.execute(id, { path, ...command }, idempotencyKey));
    return this.#send(id, packet);
  }

  async cancel(id: string, options: CancelOptions = {}): Promise<Accepted> {
    const { path = ROOT, idempotencyKey = this.#parts.newKey() } = options;
    return this.#send(id, { type: 'cancel', id, taskPath: path, idempotencyKey });
  }

  async setContextUpdaters(
    id: string,
    path: string,
    updaters: readonly unknown[],
    options: CommandOptions = {},
  ): Promise<Accepted> {
    const { idempotencyKey = this.#parts.newKey() } = options;
    const packet = { type: 'setContextUpdaters' as const, id, taskPath: path, updaters, idempotencyKey };
    if (!isLong(packet)) return this.#send(id, packet);
    return this.#keep(id, await this.#parts.api.setContextUpdaters(id, path, updaters, idempotencyKey));
  }

  /** The revision of the last command for an instance, 0 if there was none. */
  revisionOf(id: string): number {
    return this.#revisions.get(id) ?? 0;
  }

  async #send(id: string, packet: Request): Promise<Accepted> {
    const { connection, clock } = this.#parts;
    const deadline = clock.now() + PATIENCE;
    const release = connection.hold();
    try {
      for (;;) {
        await this.#opened(deadline);
        try {
          const { revision = 0 }: Ack = await connection.request(packet);
          return this.#keep(id, { revision });
        } catch (error) {
          if (!(error instanceof ConnectionLost) || clock.now() >= deadline) throw error;
        }
      }
    } finally {
      release();
    }
  }

  #keep(id: string, accepted: Accepted): Accepted {
    this.#revisions.delete(id);
    this.#revisions.set(id, accepted.revision);
    const oldest = this.#revisions.keys().next().value;
    if (this.#revisions.size > 1_000 && oldest !== undefined) this.#revisions.delete(oldest);
    return accepted;
  }

  #opened(deadline: number): Promise<void> {
    const { connection, clock } = this.#parts;
    if (connection.isOpen) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const end = (outcome: () => void) => {
        stop();
        clock.clearTimeout(timer);
        outcome();
      };
      const away = () => connection.state.error ?? unavailable('There is no connection to the server.');
      const timer = clock.setTimeout(() => end(() => reject(away())), Math.max(0, deadline - clock.now()));
      const stop = connection.states.add(({ name, error }) => {
        if (name === 'open') end(resolve);
        else if (name === 'denied') end(() => reject(error ?? away()));
      });
    });
  }
}

function isLong(packet: unknown): boolean {
  return JSON.stringify(packet).length > MOST_CHARACTERS;
}

function defined<Fields extends object>(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Fields;
}

/** A key for one command. */
export function randomKey(): string {
  // randomUUID is there only where the page came over HTTPS, or from this machine.
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

