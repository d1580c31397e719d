import type { Clock } from '../../src/core/clock.js';

/** Time that stands still until the test moves it. Frames are drawn when the test says so. */
export class ManualClock implements Clock {
  /** So much time passes whenever somebody asks what time it is, ms: for what looks at how long it takes. */
  haste = 0;
  #now = 1_700_000_000_000;
  #timers = new Map<number, { at: number; call: () => void }>();
  #frames = new Map<number, () => void>();
  #last = 0;

  now(): number {
    this.#now += this.haste;
    return this.#now;
  }

  setTimeout(call: () => void, delay: number): number {
    this.#last += 1;
    this.#timers.set(this.#last, { at: this.#now + delay, call });
    return this.#last;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  onFrame(call: () => void): () => void {
    this.#last += 1;
    const frame = this.#last;
    this.#frames.set(frame, call);
    return () => this.#frames.delete(frame);
  }

  /** Draws a frame. */
  frame(): void {
    const calls = [...this.#frames.values()];
    this.#frames.clear();
    for (const call of calls) call();
  }

  /** Lets time pass, timer by timer, with what follows from each of them. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      let next: number | null = null;
      for (const [id, { at }] of this.#timers) {
        if (at <= end && (next === null || at < this.#timers.get(next)!.at)) next = id;
      }
      if (next === null) break;
      const { at, call } = this.#timers.get(next)!;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, at);
      call();
      await settle();
    }
    this.#now = end;
  }

  /** How long until the next timer, ms; null if there is none. */
  get untilNext(): number | null {
    const times = [...this.#timers.values()].map(({ at }) => at - this.#now);
    return times.length > 0 ? Math.min(...times) : null;
  }
}

/** Lets promises that are settled have their effect. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await Promise.resolve();
}
