import { describe, expect, it } from 'vitest';
import { nearest, toggled } from '../../src/core/index.js';
import { opened, paged, revealed, rowsOf } from '../../src/components/workflow/outline.js';
import { TaskTree } from '../../src/core/tree.js';
import { node, state } from '../support/gateway.js';

const tree = TaskTree.EMPTY.with(
  [node('#.a', { children: [node('#.a.x'), node('#.a.y')] }), node('#.each', { foreach: true, count: 120, children: [node('#.each[*].s')] })],
  false,
);
const tasks = { tree, statuses: new Map([['#.each[7]', state('failed')], ['#.each[90]', state('failed')]]) };
const shown = (outline = opened(tree)) => rowsOf(tasks, outline).map((row) => (row.kind === 'task' ? row.path : `pager ${row.first}+${row.shown}/${row.count}`));

describe('the outline', () => {
  it('opens groups and leaves a foreach closed', () => {
    expect(shown()).toEqual(['#.a', '#.a.x', '#.a.y', '#.each']);
  });

  it('shows a foreach by pages', () => {
    const rows = shown(paged(toggled(opened(tree), '#.each', true), '#.each', { first: 100, status: null }));
    expect(rows.slice(4, 6)).toEqual(['pager 100+20/120', '#.each[100]']);
    expect(rows).toHaveLength(4 + 1 + 20);
  });

  it('shows the items of one status', () => {
    const rows = shown(paged(toggled(opened(tree), '#.each', true), '#.each', { first: 0, status: 'failed' }));
    expect(rows.slice(4)).toEqual(['pager 0+2/2', '#.each[7]', '#.each[90]']);
  });

  it('brings a task into view', () => {
    const rows = shown(revealed(opened(tree), '#.each[73].s'));
    expect(rows).toContain('#.each[73].s');
    expect(rows).toContain('pager 50+50/120');
  });

  it('finds another row when the one with the keyboard is gone', () => {
    const rows = shown(toggled(opened(tree), '#.a', false));
    const isShown = (path: string) => rows.includes(path);
    expect(nearest('#.a.x', isShown)).toBe('#.a');
    expect(nearest(null, isShown)).toBeNull();
    expect(nearest('#.gone', isShown)).toBeNull();
  });
});
