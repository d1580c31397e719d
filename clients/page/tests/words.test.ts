import type { TaskSnapshot } from '@taskpath/react';
import { expect, test } from 'vitest';
import { type Counts, NO_GROUP } from '../src/instance/tally.js';
import { countsText, elapsed, endOf, looking, saysOf, spanOf, timeText } from '../src/instance/words.js';

const counts: Counts = { inactive: 0, queued: 0, running: 0, ok: 0, failed: 0, skipped: 0, cancelled: 0, stale: 0 };
const task = (more: Partial<TaskSnapshot> = {}): TaskSnapshot => ({
  path: '#.a', name: 'a', description: 'Does it', isGroup: false, isForeach: false, count: null, isKnown: true,
  status: 'inactive', stale: false, executionTime: null, duration: null, attempt: 0, ...more,
});

test('a task says what is wrong before what it does, and that before what it is for', () => {
  expect(saysOf(task(), NO_GROUP, 0).text).toBe('Does it');
  expect(saysOf(task({ status: 'running', progress: { fraction: 0.5, message: 'half' } }), NO_GROUP, 0).text).toBe('half');
  const error = { code: 'EXECUTION_FAILED', message: 'no\nmore', type: 'ValueError' } as const;
  expect(saysOf(task({ status: 'failed', error }), NO_GROUP, 0)).toEqual({ text: 'ValueError: no', tone: 'bad' });
  const retry = { try: 2, attempts: 3, nextAt: 5_000 };
  expect(saysOf(task({ status: 'queued', retry }), NO_GROUP, 0)).toEqual({ text: 'try 2 of 3, next in 5 s', tone: 'warn' });
  expect(saysOf(task({ status: 'queued', reason: 'Nobody serves it.' }), NO_GROUP, 0).text).toBe('Nobody serves it.');
});

test('a foreach says how many are done of how many there are, as described if not all are known', () => {
  expect(countsText({ ...counts, ok: 12, failed: 1, running: 8 }, 40)).toBe('12 of 40 · 1 failed · 8 running');
  const group = { ...NO_GROUP, below: { ...counts, ok: 3 } };
  expect(saysOf(task({ isGroup: true, isForeach: true, count: 3, status: 'ok' }), group, 0).text).toBe('3 of 3');
});

test('what runs is told in whole seconds, what is over exactly', () => {
  expect([elapsed(0), elapsed(999), elapsed(59_999), elapsed(61_000)]).toEqual(['0 s', '0 s', '59 s', '1 min 01 s']);
  const running = task({ status: 'running', executionTime: 1_000 });
  expect(timeText(running, spanOf(running, NO_GROUP), 4_700)).toBe('3 s');
  const over = task({ status: 'ok', executionTime: 1_000, duration: 250 });
  expect(timeText(over, spanOf(over, NO_GROUP), 9_000)).toBe('250 ms');
});

test('a group that runs again has no end yet, whenever a part of it ended before', () => {
  const group = { ...NO_GROUP, span: { start: 5, end: 50 } };
  expect(spanOf(task({ isGroup: true, status: 'running' }), group)).toEqual({ start: 5, end: null });
  expect(spanOf(task({ isGroup: true, status: 'ok' }), group)).toEqual({ start: 5, end: 50 });
});

test('what failed or was cancelled is not among what is done, as the instance counts', () => {
  expect(countsText({ ...counts, ok: 800, cancelled: 50, skipped: 1, inactive: 2_149 }, 3_000)).toBe('801 of 3,000 · 50 cancelled · 1 skipped');
});

test('an instance ended with the last of what was sent, or later: items of a collapsed foreach are not sent', () => {
  expect(endOf('done', 7, 3_108)).toBe(3_108);
  expect(endOf('cancelled', null, 3_108)).toBe(3_108);
  // As it is stored was read before it ran again.
  expect(endOf('failed', 9_000, 3_108)).toBe(9_000);
  expect(endOf('done', 7, null)).toBe(7);
  expect(endOf('working', 7, 3_108)).toBeNull();
  expect(endOf('inactive', null, null)).toBeNull();
});

test('a group of which a part is over looks as running between two of its parts', () => {
  const foreach = task({ isGroup: true, isForeach: true, count: 900, status: 'queued', executionTime: 1_000 });
  const group = { ...NO_GROUP, below: { ...counts, ok: 300, queued: 600 } };
  const looks = looking(foreach, group);
  expect(looks.status).toBe('running');
  expect(timeText(looks, spanOf(looks, group), 4_700)).toBe('3 s');
  expect(looking(foreach, { ...NO_GROUP, below: { ...counts, queued: 900 } })).toBe(foreach);
  expect(looking({ ...foreach, executionTime: null }, group).status).toBe('queued');
  expect(looking({ ...foreach, status: 'cancelled' }, group).status).toBe('cancelled');
  expect(looking(task({ status: 'queued', executionTime: 1_000 }), group).status).toBe('queued');
});
