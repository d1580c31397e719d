/** What a task's state says in a row: its bar, its words, its time. No DOM here. */
import { count, duration, elapsed, retryNote, rollupNote } from './format.js';

/** @typedef {ReturnType<import('./store.js').InstanceStore['task']>} Task */

/**
 * @param {Task} task
 * @param {number} now the server's time
 * @returns {{bar: null | {fraction: number} | {rollup: object}, text: string, tone: '' | 'bad' | 'warn'}}
 */
export function face({ state, about, rollup }, now) {
  const bar = barOf(state, rollup);
  if (rollup && rollup.total > 0) return { bar, text: rollupText(rollup), tone: '' };
  if (state.status === 'failed' && state.error) return { bar, text: errorLine(state.error), tone: 'bad' };
  const retry = state.status === 'queued' || state.status === 'running' ? retryNote(state.retry, now) : '';
  const said = state.status === 'running' ? (state.progress?.message ?? '') : '';
  if (retry || said) return { bar, text: [retry, said].filter(Boolean).join(' · '), tone: retry ? 'warn' : '' };
  if (state.reason) return { bar, text: state.reason, tone: 'warn' };
  return { bar, text: about, tone: '' };
}

/** The first line of an error, led by the type of the exception if there is one. */
export function errorLine(error) {
  const [line] = String(error.message ?? '').split('\n', 1);
  return error.type && !line.startsWith(error.type) ? `${error.type}: ${line}` : line;
}

/**
 * How long a task took, or runs by now; empty if it has not begun.
 *
 * @param {Task} task
 * @param {number} now the server's time
 */
export function timeText({ state: { status }, span }, now) {
  if (status === 'running') return span.start === null ? '' : elapsed(now - span.start);
  return span.duration === null || status === 'inactive' || status === 'queued' ? '' : duration(span.duration);
}

/** Whether the face changes by itself as time goes by. */
export function ticks(state) {
  return state.status === 'running' || state.retry?.nextAt != null;
}

function barOf(state, rollup) {
  if (rollup && rollup.total > 0) return { rollup };
  if (state.status === 'running' && state.progress) return { fraction: state.progress.fraction };
  return null;
}

function rollupText(rollup) {
  const finished = rollup.ok + rollup.failed + rollup.skipped + rollup.cancelled;
  return [`${count(finished)} of ${count(rollup.total)}`, rollupNote(rollup)].filter(Boolean).join(' · ');
}
