/**
 * A gateway in memory that keeps the contract: instances with revisions, watches with `since`, several packets of a
 * revision, heartbeats, resyncs. The test decides what is delivered, what is lost, and when connections break.
 */
import type { Socket } from '../../src/core/connection.js';
import type {
  ClientPacket,
  InstanceStatus,
  InstanceSummary,
  ServerPacket,
  TaskNode,
  WatchInstances,
  WatchWorkflowInstance,
} from '../../src/core/packets.js';
import { parent } from '../../src/core/paths.js';
import { INACTIVE, NO_PROGRESS, type TaskState } from '../../src/core/state.js';

export class FakeInstance {
  revision = 1;
  status: InstanceStatus = 'inactive';
  progress = { ...NO_PROGRESS };
  tasks: TaskNode[] = [];
  statuses = new Map<string, { state: TaskState; revision: number }>();
  removed = new Map<string, number>();
  described = 1;
  logs = new Map<string, string[]>();

  constructor(readonly id: string) {}

  states(): Record<string, TaskState> {
    return Object.fromEntries([...this.statuses].map(([path, { state }]) => [path, state]));
  }
}

interface Watching {
  packet: WatchWorkflowInstance;
  cursor: number | null;
}

export class FakeSocket implements Socket {
  onopen: ((event: any) => void) | null = null;
  onmessage: ((event: any) => void) | null = null;
  onclose: ((event: any) => void) | null = null;
  onerror: ((event: any) => void) | null = null;
  readonly sent: ClientPacket[] = [];
  readonly watching = new Map<string, Watching>();
  listing: WatchInstances | null = null;
  isOpen = true;
  #down: ServerPacket[] = [];
  #up: ClientPacket[] = [];

  constructor(
    readonly gateway: FakeGateway,
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    if (!this.isOpen) return;
    const packet = JSON.parse(text) as ClientPacket;
    this.sent.push(packet);
    this.#up.push(packet);
    if (this.gateway.automatic) this.gateway.deliver();
  }

  close(): void {
    this.isOpen = false;
    this.gateway.sockets.delete(this);
  }

  /** What the gateway sends. */
  push(...packets: ServerPacket[]): void {
    this.#down.push(...packets);
    if (this.gateway.automatic) this.gateway.deliver();
  }

  /** Breaks the connection; what is on its way is lost. */
  break(code = 1006): void {
    this.close();
    this.#down = [];
    this.#up = [];
    this.onclose?.({ code });
  }

  get waiting(): number {
    return this.#down.length + this.#up.length;
  }

  /** Delivers up to so many packets in each direction. */
  deliver(most = Infinity): void {
    for (let count = 0; count < most && this.#up.length > 0; count += 1) this.gateway.receive(this, this.#up.shift()!);
    for (let count = 0; count < most && this.#down.length > 0; count += 1) {
      const packet = this.#down.shift()!;
      if (this.isOpen) this.onmessage?.({ data: JSON.stringify(packet) });
    }
  }
}

type Answer = (packet: ClientPacket, socket: FakeSocket) => ServerPacket[] | null;

export class FakeGateway {
  readonly sockets = new Set<FakeSocket>();
  readonly opened: FakeSocket[] = [];
  readonly instances = new Map<string, FakeInstance>();
  /** The rows of the list, newest first. */
  rows: InstanceSummary[] = [];
  /** Packets are delivered at once. */
  automatic = true;
  /** New connections are refused. */
  away = false;
  /** So many states go into one packet. */
  chunk = 3;
  /** Answers in the place of the gateway; null to let it. */
  answer: Answer = () => null;
  #delivering = false;

  readonly open = (url: string, protocols: string[]): FakeSocket => {
    const socket = new FakeSocket(this, url, protocols);
    this.opened.push(socket);
    this.sockets.add(socket);
    queueMicrotask(() => {
      if (this.away) {
        socket.break();
        return;
      }
      socket.onopen?.({});
      if (this.greets) socket.push({ type: 'hello', version: 1, session: 's' });
    });
    return socket;
  };

  greets = true;

  get socket(): FakeSocket {
    const last = this.opened[this.opened.length - 1];
    if (!last) throw new Error('No connection was opened.');
    return last;
  }

  instance(id: string): FakeInstance {
    let instance = this.instances.get(id);
    if (!instance) this.instances.set(id, (instance = new FakeInstance(id)));
    return instance;
  }

  /** Delivers what is on its way. */
  deliver(most = Infinity): void {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      let found = true;
      while (found) {
        found = false;
        for (const socket of [...this.sockets]) {
          if (socket.waiting === 0) continue;
          socket.deliver(most);
          found = most === Infinity;
        }
      }
    } finally {
      this.#delivering = false;
    }
  }

  /**
   * Changes an instance.
   *
   * @param lost whether the watchers are taken to have been told, and are not
   */
  commit(
    id: string,
    change: {
      statuses?: Record<string, TaskState>;
      removed?: string[];
      tasks?: TaskNode[];
      status?: InstanceStatus;
      progress?: Partial<FakeInstance['progress']>;
    },
    { lost = false } = {},
  ): void {
    const instance = this.instance(id);
    instance.revision += 1;
    const { revision } = instance;
    for (const path of change.removed ?? []) {
      for (const known of [...instance.statuses.keys()]) if (under(known, path)) instance.statuses.delete(known);
      instance.removed.set(path, revision);
    }
    for (const [path, state] of Object.entries(change.statuses ?? {})) {
      instance.statuses.set(path, { state, revision });
      instance.removed.delete(path);
    }
    if (change.tasks) {
      instance.tasks = change.tasks;
      instance.described = revision;
    }
    if (change.status) instance.status = change.status;
    instance.progress = { ...instance.progress, ...change.progress };
    for (const socket of this.sockets) {
      const watching = socket.watching.get(id);
      if (!watching || watching.cursor === null) continue;
      if (!lost) socket.push(...this.packets(instance, watching.packet, watching.cursor, false));
      watching.cursor = revision;
    }
  }

  /** Tells every client how far it has been brought. */
  beat(): void {
    for (const socket of this.sockets) {
      const revisions = [...socket.watching].filter(([, { cursor }]) => cursor !== null).map(([id, { cursor }]) => [id, cursor]);
      socket.push({ type: 'heartbeat', revisions: Object.fromEntries(revisions) });
    }
  }

  /** Tells every watcher everything anew. */
  resync(id: string): void {
    const instance = this.instance(id);
    for (const socket of this.sockets) {
      const watching = socket.watching.get(id);
      if (!watching || watching.cursor === null) continue;
      socket.push({ type: 'resync', id, reason: 'a test' }, ...this.packets(instance, watching.packet, null, true));
      watching.cursor = instance.revision;
    }
  }

  receive(socket: FakeSocket, packet: ClientPacket): void {
    const own = this.answer(packet, socket);
    if (own) {
      socket.push(...own);
      return;
    }
    const { requestId } = packet;
    const ack = { type: 'ack' as const, ...(requestId !== undefined && { requestId }) };
    switch (packet.type) {
      case 'watchWorkflowInstance': {
        const instance = this.instances.get(packet.id);
        if (!instance) {
          const error = { code: 'UNKNOWN_INSTANCE' as const, message: `There is no instance ${packet.id}.` };
          socket.push({ type: 'appError', error, ...(requestId !== undefined && { requestId }) });
          return;
        }
        const since = packet.since !== undefined && packet.since <= instance.revision ? packet.since : null;
        socket.watching.set(packet.id, { packet, cursor: instance.revision });
        const resync = packet.since !== undefined && since === null;
        socket.push(
          { ...ack, revision: instance.revision },
          ...(resync ? [{ type: 'resync' as const, id: packet.id, reason: 'newer' }] : []),
          ...this.packets(instance, packet, since, true),
        );
        return;
      }
      case 'unwatchWorkflowInstance':
        socket.watching.delete(packet.id);
        break;
      case 'watchInstances':
        socket.listing = packet;
        socket.push(ack, { type: 'instancesChanged', items: this.rows.slice(0, packet.limit ?? 50), removed: [] });
        return;
      case 'unwatchInstances':
        socket.listing = null;
        break;
      default:
        break;
    }
    socket.push(ack);
  }

  /** The packets that bring a watcher from `since` to where the instance is. */
  packets(instance: FakeInstance, watch: WatchWorkflowInstance, since: number | null, whole: boolean): ServerPacket[] {
    const { id, revision, status, progress } = instance;
    const base = { id, revision, baseRevision: since ?? 0 };
    const shown = (path: string) => !watch.paths || watch.paths.some((pattern) => covers(pattern, path));
    const packets: ServerPacket[] = [];
    if (whole || since === null || instance.described > since) {
      const tasks = instance.tasks;
      const half = Math.ceil(tasks.length / 2);
      packets.push({ type: 'workflowDescription', ...base, tasks: tasks.slice(0, half) });
      if (half < tasks.length) {
        packets.push({ type: 'workflowDescription', ...base, tasks: tasks.slice(half), continues: true });
      }
    }
    const changed = [...instance.statuses].filter(([path, known]) => shown(path) && known.revision > (since ?? 0));
    const removed = since === null ? [] : [...instance.removed].filter(([path, at]) => shown(path) && at > since).map(([path]) => path);
    for (let at = 0; at === 0 || at < changed.length; at += this.chunk) {
      const statuses = Object.fromEntries(changed.slice(at, at + this.chunk).map(([path, { state }]) => [path, state]));
      packets.push({ type: 'setTasksStatuses', ...base, statuses, ...(at === 0 && removed.length > 0 ? { removed } : {}) });
    }
    packets.push({ type: 'setWorkflowStatus', ...base, status, progress });
    return packets.map((packet, index) => (index < packets.length - 1 ? { ...packet, more: true } : packet)) as ServerPacket[];
  }
}

export function node(path: string, more: Partial<TaskNode> = {}): TaskNode {
  return { name: path.slice(path.lastIndexOf('.') + 1), description: '', path, children: [], ...more };
}

export function state(status: TaskState['status'], more: Partial<TaskState> = {}): TaskState {
  return { ...INACTIVE, status, ...more };
}

export function covers(pattern: string, path: string): boolean {
  const regex = new RegExp(
    `^${pattern
      .replace(/[.[\]#]/g, '\\$&')
      .replace(/\*\*/g, '\u0001')
      .replace(/\\\[\*\\\]/g, '\\[\\d+\\]')
      .replace(/\*/g, '[^.\\[]+')
      .replace(/\\\.\u0001/g, '[.\\[].+')}$`,
  );
  if (pattern === '#') return false;
  for (let at: string | null = path; at !== null; at = parent(at)) if (regex.test(at)) return true;
  return false;
}

function under(path: string, ancestor: string): boolean {
  return path === ancestor || (path.startsWith(ancestor) && '.['.includes(path[ancestor.length]!));
}
