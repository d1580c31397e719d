/** The record of one task, read again whenever its state says that there is news. No DOM here. */

export class RecordReader {
  #read;
  #told;
  #news = null;
  #reading = false;
  #closed = false;

  /**
   * @param {() => Promise<object>} read
   * @param {(record: object | null, error: Error | null) => void} told
   */
  constructor(read, told) {
    this.#read = read;
    this.#told = told;
  }

  close() {
    this.#closed = true;
  }

  /** @param {import('./store.js').TaskState} state reads only if it says something that the one before did not */
  follow(state) {
    const news = [state.status, state.attempt, state.stale, state.executionTime].join();
    if (news === this.#news) return;
    this.#news = news;
    this.#again();
  }

  async #again() {
    if (this.#reading) return;
    this.#reading = true;
    let news;
    do {
      news = this.#news;
      let record = null;
      let failure = null;
      try {
        record = await this.#read();
      } catch (error) {
        failure = error;
      }
      if (this.#closed) return;
      this.#told(record, failure);
    } while (news !== this.#news);
    this.#reading = false;
  }
}
