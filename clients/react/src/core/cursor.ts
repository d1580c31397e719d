/**
 * The cursor of one watched instance: which packets make a complete revision, and whether one is missing. Pure.
 *
 * Packets of one revision carry `more` except the last, and only the last moves the cursor. What is there must be
 * at least a packet's `baseRevision`; if it is older, something was missed.
 */
import type { SetTasksStatuses, SetWorkflowStatus, WorkflowDescription } from './packets.js';

export type StatePacket = WorkflowDescription | SetTasksStatuses | SetWorkflowStatus;

/** The packets of a complete revision. `fresh`: they replace everything that was known. */
export interface Revision {
  readonly packets: readonly StatePacket[];
  readonly fresh: boolean;
}

export class Cursor {
  /** The last complete revision; 0 before the first. */
  revision = 0;
  #held: StatePacket[] = [];
  #fresh = false;

  /** Whether the next complete revision replaces everything. */
  get isFresh(): boolean {
    return this.#fresh;
  }

  /** The next complete revision replaces everything. */
  startOver(): void {
    this.#held = [];
    this.#fresh = true;
  }

  /** What comes goes on from what is there; what was begun is not finished. */
  resume(): void {
    this.#held = [];
    this.#fresh = false;
  }

  /** A revision if the packet completes one; `gap` if something before it is missing; else null. */
  receive(packet: StatePacket): Revision | 'gap' | null {
    if (!this.#fresh) {
      if (this.revision === 0 || packet.revision < this.revision) return null;
      if (packet.baseRevision > this.revision) return 'gap';
    }
    // What is held of another revision was not finished; this one goes further back and has it.
    if (this.#held[0] && this.#held[0].revision !== packet.revision) this.#held = [];
    this.#held.push(packet);
    if (packet.more) return null;
    const done = { packets: this.#held, fresh: this.#fresh };
    this.#held = [];
    this.#fresh = false;
    this.revision = packet.revision;
    return done;
  }

  /** Whether the server has sent a later revision than what came. */
  isBehind(sent: number): boolean {
    return !this.#fresh && this.revision > 0 && sent > Math.max(this.revision, this.#held[0]?.revision ?? 0);
  }
}
