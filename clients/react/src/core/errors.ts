import type { ErrorBody, ErrorCode, Json } from './packets.js';

/** An error with one of the contract's stable codes, and a sentence for a person. */
export class TaskpathError extends Error {
  override readonly name = 'TaskpathError';
  readonly code: ErrorCode;
  /** The task that it is about. */
  readonly path: string | undefined;
  /** Further facts, for programs. */
  readonly details: Record<string, Json> | undefined;

  constructor({ code, message, path, details }: ErrorBody) {
    super(message);
    this.code = code;
    this.path = path;
    this.details = details;
  }

  /** Whether the same call may succeed a little later. */
  get isTemporary(): boolean {
    return this.code === 'UNAVAILABLE' || this.code === 'NO_EXECUTOR' || this.code === 'TOO_MANY_REQUESTS';
  }
}

/** The connection was lost before the answer came: what was asked may or may not have been done. */
export class ConnectionLost extends TaskpathError {
  constructor() {
    super({ code: 'UNAVAILABLE', message: 'The connection was lost before the server answered.' });
  }
}

export function unavailable(message: string): TaskpathError {
  return new TaskpathError({ code: 'UNAVAILABLE', message });
}

/** What was thrown, as an error with a code. */
export function asTaskpathError(thrown: unknown): TaskpathError {
  if (thrown instanceof TaskpathError) return thrown;
  return unavailable(thrown instanceof Error ? thrown.message : String(thrown));
}
