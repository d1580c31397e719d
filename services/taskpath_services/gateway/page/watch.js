/**
 * The watch of one instance over a connection: keeps the cursor, so that nothing is missed. No DOM here.
 *
 * Packets of one revision are handed on together. When the connection comes back the watch is resumed from the
 * cursor; a gap (a packet whose base is newer than the cursor, a heartbeat that knows a later revision) is
 * closed in the same way; after `resync`, or when other paths are watched, a fresh state replaces the old one.
 */

const STATE = new Set(['workflowDescription', 'setTasksStatuses', 'setWorkflowStatus']);

export class InstanceWatch {
  /** The last revision that is complete; 0 before the first. */
  cursor = 0;

  #connection;
  #sink;
  #paths;
  #logs;
  #logsSince = {};
  #held = [];
  /** The next complete revision replaces everything. */
  #fresh = false;
  /** Which choice of paths is wanted, and of which the state is known; 0 for none. */
  #wanted = 1;
  #known = 0;
  #subscribed = 0;
  #catchingUp = false;
  #stop;

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {string} id of the instance
   * @param {object} sink who is told
   * @param {(packets: object[], fresh: boolean) => void} sink.revision one complete revision
   * @param {(packet: object) => void} sink.logs
   * @param {(packet: object) => void} sink.failure of a task, once
   * @param {() => void} sink.deleted
   * @param {(error: Error) => void} sink.refused the instance cannot be watched
   * @param {{paths?: string[]}} [options] patterns; all tasks if there are none
   */
  constructor(connection, id, sink, { paths } = {}) {
    this.id = id;
    this.#connection = connection;
    this.#sink = sink;
    this.#paths = paths;
    const stopStates = connection.states.add((state) => this.#connectionIs(state));
    const stopPackets = connection.packets.add((packet) => this.#receive(packet));
    this.#stop = () => [stopStates, stopPackets].forEach((stop) => stop());
    if (connection.isOpen) this.#subscribe();
  }

  /** Watches the tasks that these patterns stand for instead. */
  setPaths(paths) {
    if (JSON.stringify(paths) === JSON.stringify(this.#paths)) return;
    this.#paths = paths;
    this.#wanted += 1;
    this.#subscribe();
  }

  /**
   * Follows the logs of these tasks instead.
   * @param {Record<string, unknown>} since path → the `next` from which to follow
   */
  setLogs(since) {
    if (!this.#logs?.length && Object.keys(since).length === 0) return;
    this.#logs = Object.keys(since);
    this.#logsSince = since;
    this.#subscribe();
  }

  close() {
    this.#stop();
    if (this.#connection.isOpen) {
      this.#connection.request({ type: 'unwatchWorkflowInstance', id: this.id }).catch(() => {});
    }
  }

  #connectionIs({ name }) {
    this.#held = [];
    this.#fresh = this.#catchingUp = false;
    if (name === 'open') this.#subscribe();
  }

  #subscribe() {
    if (!this.#connection.isOpen) return;
    const resume = this.#known === this.#wanted;
    const wanted = this.#wanted;
    const packet = { type: 'watchWorkflowInstance', id: this.id };
    if (resume) packet.since = this.cursor;
    if (this.#paths) packet.paths = this.#paths;
    if (this.#logs?.length) {
      packet.logs = this.#logs;
      packet.logsSince = this.#logsSince;
    }
    const started = () => {
      this.#held = [];
      this.#catchingUp = false;
      this.#fresh = !resume;
      this.#subscribed = wanted;
    };
    this.#connection.request(packet, started).catch((error) => {
      // A lost connection subscribes again when it is back; everything else is for people.
      if (this.#connection.isOpen) this.#sink.refused(error);
    });
  }

  #catchUp() {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    this.#subscribe();
  }

  #receive(packet) {
    if (packet.type === 'heartbeat') {
      const sent = packet.revisions?.[this.id] ?? 0;
      const holding = this.#held.at(-1)?.revision ?? 0;
      if (sent > Math.max(this.cursor, holding) && !this.#fresh && this.cursor > 0) this.#catchUp();
      return;
    }
    if (packet.id !== this.id) return;
    if (STATE.has(packet.type)) this.#state(packet);
    else if (packet.type === 'resync') this.#startOver();
    else if (packet.type === 'taskLogs') this.#log(packet);
    else if (packet.type === 'executionError') this.#sink.failure(packet);
    else if (packet.type === 'instanceDeleted') this.#sink.deleted();
  }

  #state(packet) {
    if (!this.#fresh) {
      if (this.cursor === 0 || packet.revision < this.cursor) return;
      if (packet.baseRevision > this.cursor) {
        this.#catchUp();
        return;
      }
    }
    if (this.#held.length && this.#held[0].revision !== packet.revision) this.#held = [];
    this.#held.push(packet);
    if (packet.more) return;
    const packets = this.#held;
    const fresh = this.#fresh;
    this.#held = [];
    this.#fresh = false;
    if (fresh) this.#known = this.#subscribed;
    this.cursor = packet.revision;
    this.#sink.revision(packets, fresh);
  }

  #startOver() {
    this.#held = [];
    this.#catchingUp = false;
    this.#fresh = true;
  }

  #log(packet) {
    if (packet.taskPath in this.#logsSince) {
      this.#logsSince = { ...this.#logsSince, [packet.taskPath]: packet.next };
    }
    this.#sink.logs(packet);
  }
}
