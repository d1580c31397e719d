import { type ReactNode, StrictMode, act, version } from 'react';
import { type Root, createRoot } from 'react-dom/client';
import { afterEach, beforeEach } from 'vitest';
import { TaskpathProvider } from '../../src/index.js';
import { world } from './client.js';
import { settle } from './clock.js';
import { node, state } from './gateway.js';

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

const roots: Root[] = [];

beforeEach(() => {
  if (!version.startsWith(import.meta.env['REACT'] ?? '')) throw new Error(`React ${version} is not the one to be tested.`);
});

afterEach(async () => {
  await act(async () => roots.splice(0).forEach((root) => root.unmount()));
  document.body.replaceChildren();
});

/** Renders inside a provider whose gateway is in memory, strictly. */
export async function render(made: ReactNode, here = world()) {
  const container = document.createElement('div');
  document.body.append(container);
  const root = createRoot(container);
  roots.push(root);
  /** What was rendered has its effects first; then what follows from them happens, until the next frame. */
  const follow = () =>
    act(async () => {
      await settle();
      here.clock.frame();
      await settle();
    });
  const show = async (shown: ReactNode) => {
    await act(async () =>
      root.render(
        <StrictMode>
          <TaskpathProvider client={here.client}>{shown}</TaskpathProvider>
        </StrictMode>,
      ),
    );
    await follow();
  };
  await show(made);
  /** Lets something happen, and what follows from it until the next frame. */
  const after = async (what: () => unknown) => {
    await act(async () => void (await what()));
    await follow();
    await follow();
  };
  /** Lets what was fetched arrive. */
  const fetched = () =>
    act(async () => {
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve));
      here.clock.frame();
    });
  return { ...here, container, show, after, fetched, unmount: () => after(() => root.unmount()) };
}

/** A gateway with one instance, of which the first task runs. */
export function working() {
  const here = world();
  here.gateway.commit('i', {
    tasks: [node('#.find', { description: 'Find the photos' }), node('#.zip')],
    statuses: { '#.find': state('running', { attempt: 1 }), '#.zip': state('inactive') },
    status: 'working',
    progress: { total: 2, done: 0, failed: 0, running: 1, fraction: 0 },
  });
  return here;
}

export function press(element: Element, key: string): void {
  element.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
}

export function click(element: Element | null | undefined): void {
  if (!element) throw new Error('There is nothing to click on.');
  element.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }));
}

export function button(within: ParentNode, name: string): HTMLButtonElement {
  const found = [...within.querySelectorAll('button')].find((one) => (one.getAttribute('aria-label') ?? one.textContent) === name);
  if (!found) throw new Error(`There is no button ${name}.`);
  return found;
}
