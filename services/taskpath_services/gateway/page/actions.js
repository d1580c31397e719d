/** What people do to an instance: run, cancel, delete; and what is offered when it is refused. */

/** What the modes of a run mean, for those who hesitate. */
export const TITLES = {
  all: 'Runs every task here, in order',
  failed: 'Runs what failed, then what it held up',
  stale: 'Runs only what is not done, or stale',
};

export class Actions {
  #connection;
  #api;
  #notices;

  /** @param {{connection: import('./connection.js').Connection, api: import('./api.js').Api, notices: object}} parts */
  constructor({ connection, api, notices }) {
    this.#connection = connection;
    this.#api = api;
    this.#notices = notices;
  }

  /** Runs the tasks at a path; `mode` is all, stale or failed. */
  async run(id, path, mode = 'all', upstream = undefined) {
    try {
      await this.#connection.request({ type: 'executeTask', id, taskPath: path, mode, ...(upstream && { upstream }) });
    } catch (error) {
      const offers =
        error.code === 'CANNOT_START_TASK'
          ? [
              ['Run what is missing first', () => this.run(id, path, mode, 'run')],
              ['Run anyway', () => this.run(id, path, mode, 'ignore')],
            ]
          : [];
      this.#notices.error(error, offers);
    }
  }

  async cancel(id, path) {
    try {
      await this.#connection.request({ type: 'cancel', id, taskPath: path });
    } catch (error) {
      this.#notices.error(error);
    }
  }

  /** @returns {Promise<boolean>} whether the instance is gone */
  async remove(id) {
    try {
      await this.#api.remove(id);
      return true;
    } catch (error) {
      if (error.code === 'UNKNOWN_INSTANCE') return true;
      this.#notices.error(error);
      return false;
    }
  }
}
