import { describe, expect, it } from 'vitest';
import { Workflow } from '../../src/index.js';
import { world } from '../support/client.js';
import { node, state } from '../support/gateway.js';
import { button, click, press, render } from '../support/render.js';

function album() {
  const here = world();
  here.gateway.chunk = 1_000;
  const each = Array.from({ length: 120 }, (_, index) => [`#.resize[${index}]`, state(index === 7 ? 'failed' : 'ok', { executionTime: 1_700_000_000_000 + (index % 2) * 1_500, duration: 500 })] as const);
  here.gateway.commit('i', {
    tasks: [
      node('#.find', { description: 'Find the photos' }),
      node('#.resize', { foreach: true, count: 120 }),
      node('#.publish', { children: [node('#.publish.cdn'), node('#.publish.mail')] }),
    ],
    statuses: {
      '#.find': state('ok', { attempt: 1, executionTime: 1_700_000_000_000, duration: 1_500 }),
      '#.resize': state('failed', { executionTime: 1_700_000_000_000, duration: 3 }),
      ...Object.fromEntries(each),
    },
    status: 'failed',
    progress: { total: 123, done: 120, failed: 1, running: 0, fraction: 0.5 },
  });
  const record = { path: '#.find', revision: 2, status: 'ok', stale: false, attempt: 1, executionTime: 1, duration: 1_500, contextUpdaters: [{ $set: 1 }], attempts: [{ attempt: 1, status: 'ok', executionTime: 1, duration: 1_500 }], body: { photos: 3 }, argument: { album: 'x' }, context: { photos: [1] } };
  here.answers.set('GET /api/v1/instances/i/tasks/#.find', () => ({ body: record }));
  here.answers.set('GET /api/v1/instances/i/tasks/#.find/logs', () => ({ body: { lines: [{ time: 1, level: 'info', text: 'looking', attempt: 1 }], next: 1 } }));
  return here;
}

const rows = (container: Element) => [...container.querySelectorAll<HTMLElement>('[role=treeitem]')];
const row = (container: Element, path: string) => container.querySelector<HTMLElement>(`[data-path="${path}"]`)!;

describe('Workflow', () => {
  it('is a tree of the tasks with their statuses', async () => {
    const { container } = await render(<Workflow workflowId="i" title="Album" />, album());
    expect(container.querySelector('[role=tree]')?.getAttribute('aria-label')).toBe('Tasks of Album');
    expect(rows(container).map((one) => one.dataset['path'])).toEqual(['#.find', '#.resize', '#.publish', '#.publish.cdn', '#.publish.mail']);
    expect(row(container, '#.resize').textContent).toContain('119 of 120 · 1 failed');
    expect(row(container, '#.find').textContent).toContain('1.5 s');
    expect(row(container, '#.resize').querySelector('.taskpath-time')?.textContent).toBe('2.0 s');
    expect(row(container, '#.resize').getAttribute('aria-expanded')).toBe('false');
    expect(row(container, '#.publish.cdn').getAttribute('aria-level')).toBe('2');
  });

  it('shows what is kept of the selected task', async () => {
    const { container, after, fetched } = await render(<Workflow workflowId="i" />, album());
    await after(() => click(row(container, '#.find')));
    await fetched();
    const panel = container.querySelector('.taskpath-panel')!;
    expect(row(container, '#.find').getAttribute('aria-selected')).toBe('true');
    expect(panel.textContent).toContain('"photos": 3');
    expect(panel.querySelector('[role=log]')?.textContent).toContain('looking');
    const context = [...panel.querySelectorAll('details')].find((one) => one.textContent?.startsWith('Context'))!;
    await after(() => {
      context.open = true;
      context.dispatchEvent(new Event('toggle'));
    });
    expect(context.textContent).toContain('What the task changed');
    await after(() => click(button(panel, 'Close')));
    expect(container.querySelector('.taskpath-panel')).toBeNull();
  });

  it('runs, and offers another way when that cannot be', async () => {
    const { container, gateway, after, fetched } = await render(<Workflow workflowId="i" defaultPath="#.find" />, album());
    await fetched();
    const error = { code: 'CANNOT_START_TASK' as const, message: '#.resize is not done.' };
    let refuse = true;
    gateway.answer = (packet) => (refuse && packet.type === 'executeTask' ? [{ type: 'appError', error, requestId: packet.requestId! }] : null);
    const panel = container.querySelector('.taskpath-panel')!;
    await after(() => click(button(panel, 'Run')));
    expect(panel.querySelector('[role=alert]')?.textContent).toContain('#.resize is not done.');
    refuse = false;
    await after(() => click(button(panel, 'Run what is missing first')));
    expect(panel.querySelector('[role=alert]')).toBeNull();
    expect(gateway.socket.sent.at(-1)).toMatchObject({ type: 'executeTask', taskPath: '#.find', mode: 'all', upstream: 'run' });
    const head = container.querySelector('.taskpath-head')!;
    await after(() => click(button(head, 'Re-run failed')));
    expect(gateway.socket.sent.at(-1)).toMatchObject({ taskPath: '#', mode: 'failed' });
    await after(() => gateway.commit('i', { status: 'working' }));
    await after(() => click(button(head, 'Cancel')));
    expect(gateway.socket.sent.at(-1)).toMatchObject({ type: 'cancel', taskPath: '#' });
  });

  it('is walked through with the keyboard', async () => {
    const { container, after } = await render(<Workflow workflowId="i" />, album());
    const at = () => (document.activeElement as HTMLElement).dataset['path'];
    await after(() => row(container, '#.find').focus());
    const keys = async (...names: string[]) => {
      for (const name of names) await after(() => press(document.activeElement!, name));
    };
    await keys('ArrowDown');
    expect(at()).toBe('#.resize');
    await keys('ArrowRight', 'ArrowRight');
    expect(at()).toBe('#.resize[0]');
    await keys('ArrowLeft', 'ArrowLeft');
    expect(at()).toBe('#.resize');
    expect(rows(container)).toHaveLength(5);
    await keys('End');
    expect(at()).toBe('#.publish.mail');
    await keys('ArrowLeft', 'ArrowLeft');
    expect(at()).toBe('#.publish');
    expect(row(container, '#.publish.mail')).toBeNull();
    await keys('Home', 'Enter');
    expect(row(container, '#.find').getAttribute('aria-selected')).toBe('true');
    expect(rows(container).filter(({ tabIndex }) => tabIndex === 0).map((one) => one.dataset['path'])).toEqual(['#.find']);
  });

  it('shows a large foreach by pages and by status', async () => {
    const { container, after } = await render(<Workflow workflowId="i" />, album());
    await after(() => click(row(container, '#.resize').querySelector('.taskpath-toggle')));
    expect(rows(container)).toHaveLength(55);
    const place = () => container.querySelector('.taskpath-pager-place')?.textContent;
    expect(place()).toBe('1–50 of 120');
    await after(() => click(button(container, 'Next items')));
    await after(() => click(button(container, 'Next items')));
    expect(place()).toBe('101–120 of 120');
    expect(button(container, 'Next items').disabled).toBe(true);
    await after(() => click(button(container, 'failed 1')));
    expect(rows(container).map((one) => one.dataset['path'])).toContain('#.resize[7]');
    expect(rows(container)).toHaveLength(6);
  });

  it('opens what is above the task that is asked for', async () => {
    const { container, fetched } = await render(<Workflow workflowId="i" defaultPath="#.resize[73]" />, album());
    await fetched();
    expect(row(container, '#.resize[73]').getAttribute('aria-selected')).toBe('true');
    expect(container.querySelector('.taskpath-pager-place')?.textContent).toBe('51–100 of 120');
  });

  it('draws again only the rows that have changed', async () => {
    const { container, gateway, after } = await render(<Workflow workflowId="i" />, album());
    await after(() => click(row(container, '#.resize').querySelector('.taskpath-toggle')));
    const changed = new Set<string>();
    const observer = new MutationObserver((found) => {
      for (const { target } of found) {
        const element = target instanceof Element ? target : target.parentElement;
        const path = element?.closest<HTMLElement>('[role=treeitem]')?.dataset['path'];
        if (path) changed.add(path);
      }
    });
    observer.observe(container, { subtree: true, childList: true, characterData: true, attributes: true });
    await after(() => gateway.commit('i', { statuses: { '#.resize[3]': state('running', { attempt: 2 }) } }));
    expect([...changed].sort()).toEqual(['#.resize', '#.resize[3]']);
  });
});
