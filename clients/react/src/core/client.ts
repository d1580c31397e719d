/**
 * A client of one gateway: everything on a page shares it, its connection, its instances and its lists.
 *
 * Nothing is opened before something is watched or done, and nothing stays open when nothing is any more.
 */
import { Api } from './api.js';
import { type Clock, systemClock } from './clock.js';
import {
  type Accepted,
  type CancelOptions,
  type CommandOptions,
  Commands,
  type ExecuteOptions,
  randomKey,
} from './commands.js';
import { Connection, type ConnectionState, type OpenSocket, type Socket } from './connection.js';
import { Instance } from './instance.js';
import { type ListFilter, ListStore } from './listing.js';
import type { CreateInstanceBody, InstanceDocument, TaskDocument } from './packets.js';
import { type OpenedList, SharedList } from './sharedList.js';
import { type GetToken, type Token, Tokens } from './token.js';
import { onWake } from './wake.js';

export interface TaskpathOptions {
  /** The gateway's address, like `https://jobs.example.com`; where the page came from if it is not said. */
  url?: string | undefined;
  /** A token that lasts as long as the page. */
  token?: Token;
  /** Asked for a token at the first need and before the last one expires. */
  getToken?: GetToken | undefined;
  /**
   * How the token is presented on the WebSocket: in the handshake, as a subprotocol, so that the server can refuse at
   * once (the default); or in the first packet. It is never in the address.
   */
  auth?: 'subprotocol' | 'packet' | undefined;
  /** How sockets are opened, HTTP is spoken, time passes and chance falls; for tests and other places than browsers. */
  openSocket?: OpenSocket | undefined;
  fetch?: typeof fetch | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

export class Taskpath {
  /** What is asked for over HTTP. */
  readonly api: Api;
  /** The connection that everything shares. */
  readonly connection: Connection;

  #options: TaskpathOptions;
  #clock: Clock;
  #random: () => number;
  #tokens: Tokens;
  #commands: Commands;
  #instances = new Map<string, Instance>();
  #lists = new Map<string, SharedList>();
  /** Connections for further lists: a connection has one. */
  #spare: Connection[] = [];

  constructor(options: TaskpathOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#tokens = new Tokens(options, this.#clock);
    const base = () => baseOf(options.url);
    this.api = new Api({ base, tokens: this.#tokens, clock: this.#clock, fetch: options.fetch });
    this.connection = this.#connect();
    this.#commands = new Commands({
      connection: this.connection,
      api: this.api,
      clock: this.#clock,
      newKey: randomKey,
    });
  }

  /** Presents another token from now on. */
  setToken(options: { token?: Token; getToken?: GetToken | undefined }): void {
    this.#tokens.set(options);
    for (const connection of [this.connection, ...this.#spare]) void connection.renewToken();
  }

  /** An instance, shared by all who ask for it while one of them watches it. */
  instance(id: string): Instance {
    let instance = this.#instances.get(id);
    if (!instance) {
      const { api, connection } = this;
      const parts = { api, connection, clock: this.#clock, random: this.#random };
      const made: Instance = new Instance(id, parts, () => {
        if (this.#instances.get(id) === made) this.#instances.delete(id);
      });
      this.#instances.set(id, (instance = made));
    }
    return instance;
  }

  /** A live list, shared by all who ask for the same. */
  list(filter: ListFilter = {}): SharedList {
    const key = JSON.stringify(Object.entries(filter).filter(([, value]) => value !== undefined && value !== '').sort());
    let list = this.#lists.get(key);
    if (!list) {
      list = new SharedList(this.#clock, () => this.#openList(filter));
      this.#lists.set(key, list);
    }
    return list;
  }

  /** Creates an instance. The same key and body give the same instance. */
  create(body: CreateInstanceBody, { idempotencyKey = randomKey() }: CommandOptions = {}): Promise<InstanceDocument> {
    return this.api.create(body, idempotencyKey);
  }

  /** Runs an instance, or a part of it. */
  execute(id: string, options?: ExecuteOptions): Promise<Accepted> {
    return this.#commands.execute(id, options);
  }

  /** Cancels what runs of an instance, or of a part of it. */
  cancel(id: string, options?: CancelOptions): Promise<Accepted> {
    return this.#commands.cancel(id, options);
  }

  /** Replaces what a task's `update_context` left. */
  setContextUpdaters(id: string, path: string, updaters: readonly unknown[], options?: CommandOptions): Promise<Accepted> {
    return this.#commands.setContextUpdaters(id, path, updaters, options);
  }

  /** The record of a task: result, argument, context, attempts; as new as everything that this client knows. */
  task(id: string, path: string, { signal }: { signal?: AbortSignal } = {}): Promise<TaskDocument> {
    const seen = this.#instances.get(id)?.store.revision ?? 0;
    const minRevision = Math.max(seen, this.#commands.revisionOf(id));
    return this.api.task(id, path, { ...(minRevision && { minRevision }), ...(signal && { signal }) });
  }

  /** How the connection is. */
  readonly getConnection = (): ConnectionState => this.connection.state;

  readonly subscribeConnection = (call: () => void): (() => void) => this.connection.states.add(call);

  /** Does not wait any longer for the next try to connect. */
  retryNow(): void {
    for (const connection of [this.connection, ...this.#spare]) connection.retryNow();
  }

  #connect(): Connection {
    const { url, auth = 'subprotocol', openSocket = openWebSocket } = this.#options;
    const connection = new Connection({
      url: () => `${baseOf(url).replace(/^http/, 'ws')}/ws`,
      tokens: this.#tokens,
      auth,
      open: openSocket,
      clock: this.#clock,
      random: this.#random,
    });
    let sleep: (() => void) | null = null;
    connection.states.add(({ name }) => {
      if (name === 'idle') {
        sleep?.();
        sleep = null;
      } else {
        sleep ??= onWake(() => connection.retryNow());
      }
    });
    return connection;
  }

  /** A list on the first connection that has none yet. */
  #openList(filter: ListFilter): OpenedList {
    const taken = new Set([...this.#lists.values()].map((list) => list.connection));
    let connection = [this.connection, ...this.#spare].find((candidate) => !taken.has(candidate));
    if (!connection) this.#spare.push((connection = this.#connect()));
    const parts = { api: this.api, connection, clock: this.#clock, random: this.#random };
    return { store: new ListStore(filter, parts), connection };
  }
}

function openWebSocket(url: string, protocols: string[]): Socket {
  return new WebSocket(url, protocols);
}

/** The gateway's address, without a slash at its end. */
function baseOf(url: string | undefined): string {
  if (url) return new URL(url, globalThis.location?.href).href.replace(/\/+$/, '');
  if (typeof location === 'undefined') throw new TypeError('Where there is no page, the address of the gateway is needed.');
  return location.origin;
}
