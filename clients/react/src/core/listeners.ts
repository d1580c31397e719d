/** Who wants to hear of something. A call reaches those who were there when it began. */
export class Listeners<Told extends unknown[] = []> {
  #calls = new Set<(...told: Told) => void>();

  get size(): number {
    return this.#calls.size;
  }

  /** Returns what ends it; safe to call twice. */
  add(call: (...told: Told) => void): () => void {
    // The same function may come twice, and each of them goes by itself.
    const own = (...told: Told) => call(...told);
    this.#calls.add(own);
    return () => {
      this.#calls.delete(own);
    };
  }

  call(...told: Told): void {
    for (const call of [...this.#calls]) if (this.#calls.has(call)) call(...told);
  }
}
