import type { TaskNode } from '@taskpath/react/core';
import { nearest, toggled, unknownInstance } from '@taskpath/react/core';
import { expect, test } from 'vitest';
import { itemPatterns, namedItems, opened, paged, revealed, rowsOf, wantedRows } from '../src/instance/outline.js';
import { Rows } from '../src/instance/rows.js';
import { Tally } from '../src/instance/tally.js';

const node = (path: string, children: TaskNode[] = [], more: Partial<TaskNode> = {}): TaskNode => ({ name: path.slice(path.lastIndexOf('.') + 1), description: '', path, children, ...more });
const tree = unknownInstance('i').tree.with(
  [node('#.a'), node('#.both', [node('#.both.one'), node('#.both.two')]), node('#.each', [node('#.each[*].x'), node('#.each[*].y')], { foreach: true, count: 3 })],
  false,
);
const shapeOf = (count: number) => ({ tree, countOf: (path: string) => (path === '#.each' ? count : 0) });
const shape = shapeOf(3);
const listed = (rows: Rows) => rows.slice(0, rows.length);
const shown = (rows: Rows) => listed(rows).map((row) => (row.kind === 'task' ? row.path : `pager ${row.first}`));

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
  expect(rows.at(rows.length - 1)).toMatchObject({ level: 3, position: 2, siblings: 2 });
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
  const tally = new Tally(() => tree);
  const state = (status: 'ok' | 'failed') => ({ status, stale: false, executionTime: null, duration: null, attempt: 1 });
  const statuses = { '#.a': state('ok'), '#.both': state('failed'), '#.both.one': state('failed'), '#.both.two': state('ok'), '#.each[1]': state('failed'), '#.each[1].y': state('failed') };
  tally.take(Object.entries(statuses).map(([path, now]) => ({ path, before: null, now })));
  expect(shown(wantedRows(shape, tally, 'failed'))).toEqual(['#.both', '#.both.one', '#.each', '#.each[1]', '#.each[1].y']);
  expect(shown(wantedRows(shape, tally, 'running'))).toEqual([]);
});

test('the keyboard goes to what is above when its row has gone', () => {
  const rows = rowsOf(shape, toggled(opened(tree), '#.both', false));
  const isShown = (path: string) => rows.indexOf(path) >= 0;
  expect(nearest('#.both.two', isShown)).toBe('#.both');
  expect(nearest('#.a', isShown)).toBe('#.a');
  expect(nearest('#.gone', isShown)).toBeNull();
});

test('each row is where it says, whichever items are open and however many there are', () => {
  const open = ['#.each', '#.each[7]', '#.each[9999]', '#.each[0]', '#.each[8]'].reduce((outline, path) => toggled(outline, path, true), opened(tree));
  const rows = rowsOf(shapeOf(10_000), open);
  expect(rows).toHaveLength(5 + 10_000 + 4 * 2);
  const all = listed(rows);
  all.forEach((row, index) => {
    if (rows.indexOf(row.path) !== index) expect(`${row.path} ${rows.indexOf(row.path)}`).toBe(`${row.path} ${index}`);
  });
  expect(all.slice(5, 9)).toMatchObject([
    { path: '#.each[0]', isOpen: true, position: 1, siblings: 10_000, level: 2 },
    { path: '#.each[0].x', isOpen: false, position: 1, siblings: 2, level: 3 },
    { path: '#.each[0].y' },
    { path: '#.each[1]', isOpen: false, isGroup: true, position: 2 },
  ]);
  expect(shown(rows).slice(-3)).toEqual(['#.each[9999]', '#.each[9999].x', '#.each[9999].y']);
  expect(rows.at(rows.length)).toBeUndefined();
  expect(rows.indexOf('#.each[10000]')).toBe(-1);
  expect(rows.indexOf('#.each[1].x')).toBe(-1);
});

test('the items of a status are found among many, each at its place', () => {
  const leaves = unknownInstance('i').tree.with([node('#.each', [], { foreach: true, count: 10_000 })], false);
  const tally = new Tally(() => leaves);
  const state = (status: 'ok' | 'failed') => ({ status, stale: false, executionTime: null, duration: null, attempt: 1 });
  tally.take([{ path: '#.each', now: state('failed') }]);
  // As they come, and not in their order.
  tally.take(Array.from({ length: 10_000 }, (_, at) => 9_999 - at).map((at) => ({ path: `#.each[${at}]`, now: state(at % 100 === 7 ? 'failed' : 'ok') })));
  const rows = wantedRows({ tree: leaves, countOf: () => 10_000 }, tally, 'failed');
  expect(shown(rows).slice(0, 3)).toEqual(['#.each', '#.each[7]', '#.each[107]']);
  expect(rows).toHaveLength(101);
  expect(rows.indexOf('#.each[107]')).toBe(2);
  expect(rows.indexOf('#.each[108]')).toBe(-1);
  expect(rows.at(2)).toMatchObject({ position: 108, siblings: 10_000 });
});
