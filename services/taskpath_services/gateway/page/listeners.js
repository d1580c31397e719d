/** Functions that want to hear of something. */
export class Listeners {
  #functions = new Set();

  /**
   * @param {(...args: any[]) => void} listener
   * @returns {() => void} takes the listener away again
   */
  add(listener) {
    this.#functions.add(listener);
    return () => this.#functions.delete(listener);
  }

  call(...args) {
    for (const listener of [...this.#functions]) listener(...args);
  }
}
