/** Numbers, sizes and times as people read them. No DOM here. */

const number = new Intl.NumberFormat('en');
const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', year: 'numeric' });
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

export function count(value) {
  return number.format(value);
}

export function percent(fraction) {
  return `${Math.floor(Math.min(1, Math.max(0, fraction)) * 100)} %`;
}

/** A length of time in ms. */
export function duration(ms) {
  if (ms < 1) return '0 ms';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3_600) % 24} h`;
}

/** The length of time of something that runs: it ticks, so that it does not jump in width. */
export function elapsed(ms) {
  return ms < 1_000 ? `${(Math.floor(Math.max(ms, 0) / 100) / 10).toFixed(1)} s` : duration(ms);
}

/** A moment, as long ago. */
export function ago(time, now) {
  const seconds = Math.floor((now - time) / 1_000);
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return day.format(time);
}

/** A moment, exactly. */
export function moment(time) {
  return `${day.format(time)}, ${clock.format(time)}`;
}

/** The time of day of a moment. */
export function timeOfDay(time) {
  return clock.format(time);
}

export function bytes(size) {
  if (size < 1_024) return `${size} bytes`;
  if (size < 1_024 ** 2) return `${(size / 1_024).toFixed(1)} KiB`;
  return `${(size / 1_024 ** 2).toFixed(1)} MiB`;
}

/** `try 2 of 3, next in 3 s`; empty when there is nothing to say. */
export function retryNote(retry, now) {
  if (!retry) return '';
  const which = `try ${retry.try} of ${retry.attempts}`;
  if (retry.nextAt == null) return retry.try > 1 ? which : '';
  const left = Math.ceil((retry.nextAt - now) / 1_000);
  return left > 0 ? `${which}, next in ${left < 60 ? `${left} s` : duration(left * 1_000)}` : `${which}, next at once`;
}

/** `3 failed · 8 running · 20 queued`: what a rollup counts besides the finished ones. */
export function rollupNote(rollup) {
  return ['failed', 'running', 'queued', 'cancelled', 'skipped', 'stale']
    .filter((status) => rollup[status] > 0)
    .map((status) => `${count(rollup[status])} ${status}`)
    .join(' · ');
}

function two(value) {
  return String(value).padStart(2, '0');
}
