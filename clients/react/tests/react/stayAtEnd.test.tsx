import { describe, expect, it } from 'vitest';
import { useStayAtEnd } from '../../src/index.js';
import { render } from '../support/render.js';

/** A list of lines of 20 px in a place for five. */
function Lines({ count }: { count: number }) {
  const end = useStayAtEnd<HTMLOListElement>(count);
  return (
    <ol
      onScroll={end.onScroll}
      ref={(element) => {
        (end.ref as { current: HTMLOListElement | null }).current = element;
        if (!element) return;
        Object.defineProperty(element, 'scrollHeight', { configurable: true, value: count * 20 });
        Object.defineProperty(element, 'clientHeight', { configurable: true, value: 100 });
      }}
    />
  );
}

describe('useStayAtEnd', () => {
  it('stays at the end as it grows, unless one has scrolled up, and again when one is back', async () => {
    const { container, after, show } = await render(<Lines count={10} />);
    const list = container.querySelector('ol')!;
    const scrollTo = (top: number) =>
      after(() => {
        list.scrollTop = top;
        list.dispatchEvent(new Event('scroll', { bubbles: true }));
      });
    expect(list.scrollTop).toBe(200);
    await scrollTo(40);
    await show(<Lines count={11} />);
    expect(list.scrollTop).toBe(40);
    await scrollTo(110);
    await show(<Lines count={12} />);
    expect(list.scrollTop).toBe(240);
  });
});
