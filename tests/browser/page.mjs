/** The page's modules, and stand-ins for the clock and the socket that they are handed. */
const folder = new URL('../../services/taskpath_services/gateway/page/', import.meta.url);

export const { Connection, TaskpathError, reconnectDelay } = await import(new URL('connection.js', folder));
export const { InstanceWatch } = await import(new URL('watch.js', folder));
export const { InstanceStore } = await import(new URL('store.js', folder));
export const { Listing } = await import(new URL('listing.js', folder));
export const { Outline, nearest } = await import(new URL('outline.js', folder));
export const { RecordReader } = await import(new URL('record.js', folder));
export const { Listeners } = await import(new URL('listeners.js', folder));
export const { face, ticks, timeText } = await import(new URL('face.js', folder));
export const { Api } = await import(new URL('api.js', folder));
export const paths = await import(new URL('paths.js', folder));
export const format = await import(new URL('format.js', folder));
export const { example } = await import(new URL('start.js', folder));
export const { isReference } = await import(new URL('value.js', folder));

/** A clock that the test moves. */
export class ManualClock {
  #now = 1_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;

  setTimeout = (call, delay) => {
    this.#timers.set(++this.#last, { call, at: this.#now + delay });
    return this.#last;
  };

  clearTimeout = (timer) => this.#timers.delete(timer);

  move(ms) {
    const end = this.#now + ms;
    for (;;) {
      const [id, next] = [...this.#timers].sort(([, one], [, other]) => one.at - other.at)[0] ?? [];
      if (!next || next.at > end) break;
      this.#timers.delete(id);
      this.#now = next.at;
      next.call();
    }
    this.#now = end;
  }
}

/** A socket whose other end is the test. */
export class Socket {
  sent = [];
  closed = false;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }

  say(packet) {
    this.onmessage({ data: JSON.stringify(packet) });
  }

  hello() {
    this.say({ type: 'hello', version: 1, session: 's' });
  }

  ack(more = {}) {
    this.say({ type: 'ack', requestId: this.sent.at(-1).requestId, ...more });
  }

  refuse(error) {
    this.say({ type: 'appError', requestId: this.sent.at(-1).requestId, error });
  }

  breaks(code = 1006) {
    this.onclose({ code });
  }
}

/** A connection over such sockets, by such a clock. */
export function connect({ token = null, random = 1 } = {}) {
  const sockets = [];
  const clock = new ManualClock();
  const open = (url, protocols) => {
    sockets.push(new Socket(url, protocols));
    return sockets.at(-1);
  };
  const connection = new Connection({ url: 'ws://here/ws', getToken: () => token, open, clock, random: () => random });
  return { connection, clock, sockets, socket: () => sockets.at(-1) };
}

/** Lets everything that is ready to go on do so. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
