import type { TaskNode } from '@taskpath/react/core';
import { nearest, toggled, unknownInstance } from '@taskpath/react/core';
import { expect, test } from 'vitest';
import { itemPatterns, namedItems, opened, paged, revealed, rowsOf, wantedRows } from '../src/instance/outline.js';
import { Tally } from '../src/instance/tally.js';

const node = (path: string, children: TaskNode[] = [], more: Partial<TaskNode> = {}): TaskNode => ({ name: path.slice(path.lastIndexOf('.') + 1), description: '', path, children, ...more });
const tree = unknownInstance('i').tree.with(
  [node('#.a'), node('#.both', [node('#.both.one'), node('#.both.two')]), node('#.each', [node('#.each[*].x'), node('#.each[*].y')], { foreach: true, count: 3 })],
  false,
);
const shapeOf = (count: number) => ({ tree, countOf: (path: string) => (path === '#.each' ? count : 0) });
const shape = shapeOf(3);
const shown = (rows: ReturnType<typeof rowsOf>) => rows.map((row) => (row.kind === 'task' ? row.path : `pager ${row.first}`));

test('groups are open at first, a foreach is not', () => {
  expect(shown(rowsOf(shape, opened(tree)))).toEqual(['#.a', '#.both', '#.both.one', '#.both.two', '#.each']);
});

test('an open foreach lists all its items, and asks for them', () => {
  const outline = toggled(opened(tree), '#.each', true);
  expect(shown(rowsOf(shape, outline)).slice(4)).toEqual(['#.each', '#.each[0]', '#.each[1]', '#.each[2]']);
  expect(itemPatterns(shape, outline)).toEqual(['#.each[*]']);
  expect(rowsOf(shapeOf(10_000), outline)).toHaveLength(10_005);
});

test('what is selected is opened to, whatever it is in', () => {
  const rows = rowsOf(shape, revealed({ open: new Set(), first: new Map() }, '#.each[2].y'));
  expect(shown(rows)).toEqual(['#.a', '#.both', '#.each', '#.each[0]', '#.each[1]', '#.each[2]', '#.each[2].x', '#.each[2].y']);
  expect(rows.at(-1)).toMatchObject({ level: 3, position: 2, siblings: 2 });
});

test('a foreach of very many is shown by pages, whose items are named one by one', () => {
  const many = shapeOf(100_000);
  const outline = paged(toggled(opened(tree), '#.each', true), '#.each', 50);
  const rows = rowsOf(many, outline);
  expect(shown(rows).slice(5, 8)).toEqual(['pager 50', '#.each[50]', '#.each[51]']);
  expect(rows).toHaveLength(5 + 1 + 50);
  expect(itemPatterns(many, outline)).toEqual([]);
  expect(namedItems(rows)).toHaveLength(50);
  expect(shown(rowsOf(many, revealed(outline, '#.each[777]')))).toContain('#.each[777]');
});

test('only what failed, and what it is in', () => {
  const tally = new Tally((path) => tree.isGroup(path));
  const state = (status: 'ok' | 'failed') => ({ status, stale: false, executionTime: null, duration: null, attempt: 1 });
  const statuses = { '#.a': state('ok'), '#.both': state('failed'), '#.both.one': state('failed'), '#.both.two': state('ok'), '#.each[1]': state('failed'), '#.each[1].y': state('failed') };
  tally.take(Object.entries(statuses).map(([path, now]) => ({ path, before: null, now })));
  expect(shown(wantedRows(shape, tally, 'failed'))).toEqual(['#.both', '#.both.one', '#.each', '#.each[1]', '#.each[1].y']);
  expect(wantedRows(shape, tally, 'running')).toEqual([]);
});

test('the keyboard goes to what is above when its row has gone', () => {
  const rows = rowsOf(shape, toggled(opened(tree), '#.both', false));
  expect(nearest(rows, '#.both.two')).toBe('#.both');
  expect(nearest(rows, null)).toBe('#.a');
  expect(nearest([], '#.a')).toBeNull();
});
