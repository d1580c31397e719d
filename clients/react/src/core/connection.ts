/**
 * The connection to a gateway: one WebSocket that comes back when it breaks.
 *
 * It is open while somebody holds it. It notices a dead connection by silence (the server sends a heartbeat at
 * least every 15 s), comes back with a growing, jittered delay, presents the token and renews it before it
 * expires, and matches answers to requests. What is watched over it is resumed by those who watch.
 */
import { backoff } from './backoff.js';
import type { Clock } from './clock.js';
import { ConnectionLost, TaskpathError, asTaskpathError, unavailable } from './errors.js';
import { Listeners } from './listeners.js';
import type { Ack, AppError, ClientPacket, ServerPacket } from './packets.js';
import type { Tokens } from './token.js';

/** Longest silence before the connection is taken for dead: two heartbeats and a little. */
const SILENCE = 35_000;
/** Longest time from opening a socket to the server's first word. */
const GREETING = 15_000;
/** A connection that lived this long starts the delays anew. */
const STEADY = 5_000;
const ANSWER = 30_000;
/** The connection stays open so long when nobody holds it any more. */
const LINGER = 10_000;
/** A token that could not be renewed is asked for again so much later. */
const RENEWAL_RETRY = 5_000;
const LONGEST_TIMER = 2 ** 31 - 1;
const UNAUTHENTICATED = 4401;
/** What may stand in a subprotocol: the characters of an HTTP token. */
const PROTOCOL = /^[\w!#$%&'*+.^`|~-]+$/;

/** As much of a WebSocket as is needed; the browser's own has it, whose events are of types of its own. */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: any) => void) | null;
  /** `data` is looked at. */
  onmessage: ((event: any) => void) | null;
  /** `code` is looked at. */
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
}

export type OpenSocket = (url: string, protocols: string[]) => Socket;

export type ConnectionName = 'idle' | 'connecting' | 'open' | 'waiting' | 'denied';

export interface ConnectionState {
  /** `waiting` for the next try; `denied`: the token was not taken. */
  readonly name: ConnectionName;
  /** ms since epoch. */
  readonly since: number;
  /** When it is tried again by itself, ms since epoch. */
  readonly retryAt?: number;
  /** Why it is not open. */
  readonly error?: TaskpathError;
}

type Without<Packet> = Packet extends unknown ? Omit<Packet, 'requestId'> : never;
/** A packet that is answered; its `requestId` is the connection's business. */
export type Request = Without<ClientPacket>;

interface Waiting {
  resolve(ack: Ack): void;
  reject(error: TaskpathError): void;
  onAck: ((ack: Ack) => void) | undefined;
  timer: unknown;
}

export interface ConnectionOptions {
  /** The address of `/ws`, asked for at each connect. */
  url: () => string;
  tokens: Tokens;
  /** How the token is presented: in the handshake, or in the first packet, where proxies do not write it down. */
  auth: 'subprotocol' | 'packet';
  open: OpenSocket;
  clock: Clock;
  /** From 0 to 1. */
  random: () => number;
}

export class Connection {
  /** Called with every packet that is not an answer. */
  readonly packets = new Listeners<[ServerPacket]>();
  /** Called when `state` has changed. */
  readonly states = new Listeners<[ConnectionState]>();

  #options: ConnectionOptions;
  #state: ConnectionState;
  #socket: Socket | null = null;
  /** Tells the socket that is being opened from those that were given up. */
  #turn = 0;
  #holders = 0;
  #requests = new Map<string, Waiting>();
  #lastRequest = 0;
  #failures = 0;
  #heard = 0;
  #token: string | null = null;
  #retryTimer: unknown;
  #silenceTimer: unknown;
  #renewalTimer: unknown;
  #lingerTimer: unknown;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#state = { name: 'idle', since: options.clock.now() };
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state.name === 'open';
  }

  /** Keeps it open until what is returned is called. */
  hold(): () => void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#lingerTimer);
    this.#holders += 1;
    if (this.#state.name === 'idle') this.#connect();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holders -= 1;
      if (this.#holders === 0) this.#lingerTimer = clock.setTimeout(() => this.#rest(), LINGER);
    };
  }

  /** Does not wait any longer; for when the machine wakes up, its network returns, or somebody signs in. */
  retryNow(): void {
    if (this.#state.name === 'waiting' || this.#state.name === 'denied') this.#connect();
    else if (this.#socket) this.#checkSilence();
  }

  /** Another token is there: it is presented at once. */
  async renewToken(): Promise<void> {
    if (this.isOpen) await this.#renew();
    else this.retryNow();
  }

  /**
   * Sends a packet that is answered by `ack` or `appError`.
   *
   * @param onAck called before any packet that follows the answer is looked at
   * @returns the ack; rejects with a TaskpathError, a ConnectionLost if it may have been carried out
   */
  request(packet: Request, onAck?: (ack: Ack) => void): Promise<Ack> {
    const socket = this.#socket;
    if (!this.isOpen || !socket) {
      return Promise.reject(unavailable('There is no connection to the server; nothing was sent.'));
    }
    const requestId = String(++this.#lastRequest);
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimeout(() => {
        this.#requests.delete(requestId);
        reject(unavailable('The server did not answer in time.'));
      }, ANSWER);
      this.#requests.set(requestId, { resolve, reject, onAck, timer });
      this.#send(socket, { ...packet, requestId } as ClientPacket);
    });
  }

  #send(socket: Socket, packet: ClientPacket): void {
    socket.send(JSON.stringify(packet));
  }

  #connect(): void {
    this.#options.clock.clearTimeout(this.#retryTimer);
    const turn = ++this.#turn;
    this.#become({ name: 'connecting' });
    void this.#options.tokens.get().then(
      (token) => turn === this.#turn && this.#open(token),
      (error: unknown) => turn === this.#turn && this.#lost(asTaskpathError(error)),
    );
  }

  #open(token: string | null): void {
    const { url, open, auth } = this.#options;
    const offered = token !== null && auth === 'subprotocol' && PROTOCOL.test(token);
    let socket: Socket;
    try {
      socket = open(url(), offered ? ['taskpath', `taskpath.token.${token}`] : ['taskpath']);
    } catch (error) {
      this.#lost(asTaskpathError(error));
      return;
    }
    this.#socket = socket;
    this.#token = token;
    this.#heard = this.#now();
    this.#watchSilence();
    if (token !== null && !offered) {
      socket.onopen = () => this.#socket === socket && this.#send(socket, { type: 'auth', token });
    }
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (this.#socket === socket && typeof data === 'string') this.#receive(data);
    };
    socket.onclose = ({ code }: { code: number }) => {
      if (this.#socket === socket) this.#closed(code);
    };
    socket.onerror = () => {}; // a close follows
  }

  #receive(text: string): void {
    this.#heard = this.#now();
    let packet: ServerPacket;
    try {
      packet = JSON.parse(text) as ServerPacket;
    } catch {
      this.#lost(unavailable('The server sent something that is not JSON.'));
      return;
    }
    if (packet.type === 'hello') this.#greeted();
    else if (packet.type === 'ack' || (packet.type === 'appError' && packet.requestId != null)) this.#answer(packet);
    else this.packets.call(packet);
  }

  #greeted(): void {
    this.#armRenewal();
    this.#become({ name: 'open' });
  }

  #answer(packet: Ack | AppError): void {
    const id = String(packet.requestId);
    const waiting = this.#requests.get(id);
    if (!waiting) return;
    this.#requests.delete(id);
    this.#options.clock.clearTimeout(waiting.timer);
    if (packet.type === 'ack') {
      waiting.onAck?.(packet);
      waiting.resolve(packet);
    } else {
      waiting.reject(new TaskpathError(packet.error));
    }
  }

  #closed(code: number): void {
    if (code !== UNAUTHENTICATED) {
      this.#lost(unavailable('The connection to the server was lost.'));
      return;
    }
    this.#options.tokens.refuse();
    const message = this.#token === null ? 'The server wants a token.' : 'The server did not accept the token.';
    this.#lost(new TaskpathError({ code: 'UNAUTHENTICATED', message }));
  }

  #lost(error: TaskpathError): void {
    const { clock, tokens, random } = this.#options;
    const steady = this.isOpen && this.#now() - this.#state.since >= STEADY;
    this.#failures = steady ? 1 : this.#failures + 1;
    this.#drop();
    const denied = error.code === 'UNAUTHENTICATED';
    if (denied && !tokens.isRenewable) {
      this.#become({ name: 'denied', error });
      return;
    }
    const delay = backoff(this.#failures, random());
    this.#retryTimer = clock.setTimeout(() => this.#connect(), delay);
    this.#become({ name: denied ? 'denied' : 'waiting', retryAt: this.#now() + delay, error });
  }

  /** Nobody holds it any more. */
  #rest(): void {
    this.#options.clock.clearTimeout(this.#retryTimer);
    this.#failures = 0;
    this.#drop();
    this.#become({ name: 'idle' });
  }

  /** Lets go of the socket, and tells those who wait for an answer that none will come. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#turn += 1;
    this.#options.clock.clearTimeout(this.#silenceTimer);
    this.#options.clock.clearTimeout(this.#renewalTimer);
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const waiting = [...this.#requests.values()];
    this.#requests.clear();
    for (const { reject, timer } of waiting) {
      this.#options.clock.clearTimeout(timer);
      reject(new ConnectionLost());
    }
  }

  #watchSilence(): void {
    this.#options.clock.clearTimeout(this.#silenceTimer);
    const left = this.#heard + this.#patience() - this.#now();
    this.#silenceTimer = this.#options.clock.setTimeout(() => this.#checkSilence(), Math.max(left, 0));
  }

  #checkSilence(): void {
    if (this.#now() - this.#heard >= this.#patience()) this.#lost(unavailable('The server has fallen silent.'));
    else this.#watchSilence();
  }

  #patience(): number {
    return this.isOpen ? SILENCE : GREETING;
  }

  #armRenewal(at: number = this.#options.tokens.renewAt): void {
    this.#options.clock.clearTimeout(this.#renewalTimer);
    if (at === Infinity) return;
    const delay = Math.min(LONGEST_TIMER, Math.max(0, at - this.#now()));
    this.#renewalTimer = this.#options.clock.setTimeout(() => {
      if (this.#now() >= at) void this.#renew();
      else this.#armRenewal(at);
    }, delay);
  }

  async #renew(): Promise<void> {
    const turn = this.#turn;
    try {
      const token = await this.#options.tokens.renew();
      if (turn !== this.#turn || !this.isOpen) return;
      if (token !== null) await this.request({ type: 'auth', token });
      this.#token = token;
      this.#armRenewal();
    } catch {
      // The server closes the connection when the old one has expired; until then it is tried again.
      if (turn === this.#turn && this.isOpen) this.#armRenewal(this.#now() + RENEWAL_RETRY);
    }
  }

  #become(state: Omit<ConnectionState, 'since'>): void {
    this.#state = { ...state, since: this.#now() };
    this.states.call(this.#state);
  }

  #now(): number {
    return this.#options.clock.now();
  }
}
