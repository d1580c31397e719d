/** Numbers and times as people read them. */
import type { ErrorInfo, RollupView, TaskSnapshot } from '../core/index.js';

const number = new Intl.NumberFormat('en');

export function count(value: number): string {
  return number.format(value);
}

export function percent(fraction: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, fraction)) * 100)} %`;
}

/** A length of time in ms. */
export function duration(ms: number): string {
  if (ms < 1) return '0 ms';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3_600) % 24} h`;
}

/** How long something may still take, as roughly as it is known. */
export function remaining(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  if (seconds <= 5) return 'a few seconds left';
  if (seconds < 60) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  if (seconds < 3_600) return `about ${Math.ceil(seconds / 60)} min left`;
  if (seconds < 86_400) return `about ${Math.ceil(seconds / 3_600)} h left`;
  return `about ${Math.ceil(seconds / 86_400)} d left`;
}

/** What is to be said of how long it still takes; null if nothing is known, or there is nothing left. */
export function timeLeft(ms: number | null, isLate: boolean): string | null {
  if (isLate) return 'taking longer than usual';
  return ms === null ? null : remaining(ms);
}

/** The time of day of a moment. */
export function timeOfDay(time: number): string {
  return new Date(time).toLocaleTimeString('en-GB');
}

/** A moment, exactly. */
export function moment(time: number): string {
  return `${new Date(time).toLocaleDateString('en-GB')}, ${timeOfDay(time)}`;
}

export function bytes(size: number): string {
  if (size < 1_024) return `${size} bytes`;
  if (size < 1_024 ** 2) return `${(size / 1_024).toFixed(1)} KiB`;
  return `${(size / 1_024 ** 2).toFixed(1)} MiB`;
}

/** The first line of an error, led by the type of the exception if there is one. */
export function errorLine(error: Pick<ErrorInfo, 'message' | 'type'>): string {
  const [line = ''] = error.message.split('\n', 1);
  return error.type && !line.startsWith(error.type) ? `${error.type}: ${line}` : line;
}

/** `try 2 of 3, next in 3 s`; empty when there is nothing to say. */
export function retryNote(retry: TaskSnapshot['retry'], now: number): string {
  if (!retry) return '';
  const which = `try ${retry.try} of ${retry.attempts}`;
  if (retry.nextAt === undefined) return retry.try > 1 ? which : '';
  const left = Math.ceil((retry.nextAt - now) / 1_000);
  return left > 0 ? `${which}, next in ${left < 60 ? `${left} s` : duration(left * 1_000)}` : `${which}, next at once`;
}

const NOTED = ['failed', 'running', 'queued', 'cancelled', 'skipped', 'stale'] as const;

/** `12 of 40 · 1 failed · 8 running`: what a rollup counts; of how many, how many are done. */
export function rollupText(rollup: RollupView): string {
  const notes = NOTED.filter((status) => rollup[status] > 0).map((status) => `${count(rollup[status])} ${status}`);
  return [`${count(rollup.ok + rollup.skipped)} of ${count(rollup.total)}`, ...notes].join(' · ');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
