/**
 * The connection to a gateway: one WebSocket that comes back when it breaks. No DOM here.
 *
 * It notices a dead connection by silence (the server sends a heartbeat at least every 15 s), reconnects with
 * a growing, jittered delay, and matches answers to requests. What is watched over it is resumed by `watch.js`.
 */
import { Listeners } from './listeners.js';

/** Longest silence before the connection is taken for dead: two heartbeats and a little. */
const SILENCE = 35_000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;
/** A connection that lived this long starts the delays anew. */
const STEADY = 5_000;
const ANSWER_TIMEOUT = 30_000;
const UNAUTHENTICATED = 4401;

/** An error with one of the contract's stable codes. */
export class TaskpathError extends Error {
  constructor({ code, message, path, details }) {
    super(message);
    this.name = 'TaskpathError';
    this.code = code;
    this.path = path;
    this.details = details;
  }
}

/** How long to wait before the next try to connect, in ms. Half of it is left to chance. */
export function reconnectDelay(failures, random) {
  return Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures) * (0.5 + random / 2);
}

export class Connection {
  /** Called with every packet that is not an answer. */
  packets = new Listeners();
  /** Called when `state` has changed. */
  states = new Listeners();
  /** @type {{name: 'idle'|'connecting'|'open'|'waiting'|'denied', retryAt?: number, since: number}} */
  state;

  #options;
  #socket = null;
  #requests = new Map();
  #lastRequest = 0;
  #failures = 0;
  #lastHeard = 0;
  #retryTimer;
  #silenceTimer;

  /**
   * @param {object} options
   * @param {string} options.url the address of `/ws`
   * @param {() => string | null} [options.getToken] asked at each connect
   * @param {(url: string, protocols: string[]) => WebSocket} [options.open] how a socket is opened
   * @param {{now: () => number, setTimeout: Function, clearTimeout: Function}} [options.clock]
   * @param {() => number} [options.random] from 0 to 1
   */
  constructor({ url, getToken = () => null, open, clock, random = Math.random }) {
    this.#options = {
      url,
      getToken,
      random,
      open: open ?? ((address, protocols) => new WebSocket(address, protocols)),
      clock: clock ?? {
        now: () => Date.now(),
        setTimeout: (call, delay) => setTimeout(call, delay),
        clearTimeout: (timer) => clearTimeout(timer),
      },
    };
    this.state = { name: 'idle', since: this.#now() };
  }

  get isOpen() {
    return this.state.name === 'open';
  }

  start() {
    if (this.#socket === null) this.#connect();
  }

  stop() {
    this.#drop();
    this.#options.clock.clearTimeout(this.#retryTimer);
    this.#become('idle');
  }

  /** Does not wait any longer for the next try; for when the machine wakes up or its network returns. */
  retryNow() {
    if (this.state.name === 'waiting') this.#connect();
    else if (this.isOpen) this.#checkSilence();
  }

  /**
   * Sends a packet that is answered by `ack` or `appError`.
   *
   * @param {object} packet without `requestId`
   * @param {(ack: object) => void} [onAck] called before any packet that follows the answer is looked at
   * @returns {Promise<object>} the ack; rejects with a TaskpathError
   */
  request(packet, onAck) {
    if (!this.isOpen) {
      return Promise.reject(unavailable('There is no connection to the server; nothing was sent.'));
    }
    const requestId = String(++this.#lastRequest);
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimeout(() => {
        this.#requests.delete(requestId);
        reject(unavailable('The server did not answer in time.'));
      }, ANSWER_TIMEOUT);
      this.#requests.set(requestId, { resolve, reject, onAck, timer });
      this.#socket.send(JSON.stringify({ ...packet, requestId }));
    });
  }

  #connect() {
    this.#options.clock.clearTimeout(this.#retryTimer);
    const { url, getToken, open } = this.#options;
    const token = getToken();
    const socket = open(url, token ? ['taskpath', `taskpath.token.${token}`] : ['taskpath']);
    this.#socket = socket;
    this.#lastHeard = this.#now();
    this.#become('connecting');
    this.#watchSilence();
    socket.onmessage = (event) => this.#socket === socket && this.#receive(event.data);
    socket.onclose = (event) => this.#socket === socket && this.#lost(event.code);
    socket.onerror = () => {}; // a close follows
  }

  #receive(text) {
    this.#lastHeard = this.#now();
    const packet = JSON.parse(text);
    if (packet.type === 'hello') {
      this.#become('open');
    } else if (packet.type === 'ack' || (packet.type === 'appError' && packet.requestId != null)) {
      this.#answer(packet);
    } else {
      this.packets.call(packet);
    }
  }

  #answer(packet) {
    const request = this.#requests.get(packet.requestId);
    if (!request) return;
    this.#requests.delete(packet.requestId);
    this.#options.clock.clearTimeout(request.timer);
    if (packet.type === 'ack') {
      request.onAck?.(packet);
      request.resolve(packet);
    } else {
      request.reject(new TaskpathError(packet.error));
    }
  }

  #lost(code) {
    const steady = this.isOpen && this.#now() - this.state.since >= STEADY;
    this.#failures = steady ? 0 : this.#failures + 1;
    this.#drop();
    if (code === UNAUTHENTICATED) {
      this.#become('denied');
      return;
    }
    const delay = reconnectDelay(Math.max(0, this.#failures - 1), this.#options.random());
    this.#retryTimer = this.#options.clock.setTimeout(() => this.#connect(), delay);
    this.#become('waiting', this.#now() + delay);
  }

  /** Lets go of the socket, and tells those who wait for an answer that none will come. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#options.clock.clearTimeout(this.#silenceTimer);
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const waiting = [...this.#requests.values()];
    this.#requests.clear();
    for (const { reject, timer } of waiting) {
      this.#options.clock.clearTimeout(timer);
      reject(unavailable('The connection was lost before the server answered; look before you try again.'));
    }
  }

  #watchSilence() {
    this.#options.clock.clearTimeout(this.#silenceTimer);
    const left = this.#lastHeard + SILENCE - this.#now();
    this.#silenceTimer = this.#options.clock.setTimeout(() => this.#checkSilence(), Math.max(left, 0));
  }

  #checkSilence() {
    if (this.#now() - this.#lastHeard >= SILENCE) this.#lost();
    else this.#watchSilence();
  }

  #become(name, retryAt) {
    this.state = { name, retryAt, since: this.#now() };
    this.states.call(this.state);
  }

  #now() {
    return this.#options.clock.now();
  }
}

function unavailable(message) {
  return new TaskpathError({ code: 'UNAVAILABLE', message });
}
