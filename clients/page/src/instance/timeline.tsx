/** The scale that all tracks share, and the axis above them. */
import { useReducedMotion } from '@taskpath/react';
import { paths } from '@taskpath/react/core';
import { type PointerEvent, createContext, useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { type Scale, moved, roomFor, tickText, ticksOf, wholeOf, zoomed } from '../timeline/scale.js';
import { IconButton } from '../ui/Button.js';
import { useNow } from '../ui/clock.js';
import { Cell, useCell } from '../ui/store.js';
import { useGroup, useSnapshot } from './live.js';
import { endOf } from './words.js';

export interface Timeline {
  /** What is seen of the run. */
  readonly scale: Cell<Scale>;
  readonly whole: Cell<Scale>;
  /** The part that was chosen. */
  readonly part: Cell<Scale | null>;
  /** How many ticks the axis has room for. */
  readonly room: Cell<number>;
  /** How often what runs is drawn anew, ms. */
  readonly tick: number;
  /** Null for the whole run. */
  zoom(part: Scale | null): void;
}

const EMPTY: Scale = { from: 0, to: 1 };
const Context = createContext<Timeline | null>(null);

export function useTimeline(): Timeline {
  const timeline = useContext(Context);
  if (!timeline) throw new Error('useTimeline is used outside of a timeline.');
  return timeline;
}

export const TimelineProvider = Context.Provider;

/** The scale of the instance. It is kept by `<Keeper>`, so that who has it is not drawn again with every tick. */
export function useScale(): Timeline {
  const calm = useReducedMotion();
  const tick = calm ? 1_000 : 200;
  const [cells] = useState(() => ({ scale: new Cell(EMPTY), whole: new Cell(EMPTY), part: new Cell<Scale | null>(null), room: new Cell(8) }));
  return useMemo(() => ({ ...cells, tick, zoom: (to: Scale | null) => cells.part.set(to) }), [cells, tick]);
}

/**
 * Lets the scale follow the run until a part of it is chosen.
 *
 * @param finishedAt when the instance ended, which may be after all that was sent of its tasks
 */
export function Keeper({ finishedAt }: { finishedAt: number | null }) {
  const { scale, whole, part: chosen, tick } = useTimeline();
  const { span } = useGroup(paths.ROOT);
  const { status, isLive } = useSnapshot();
  const working = status === 'working';
  const now = useNow(working && isLive, tick);
  const part = useCell(chosen);
  const { start } = span;
  const end = endOf(status, span.end, finishedAt);
  useEffect(() => {
    const run = wholeOf({ start, end }, now, whole.get());
    if (!same(run, whole.get())) whole.set(run);
    const shown = part ?? whole.get();
    if (!same(shown, scale.get())) scale.set(shown);
  }, [scale, whole, start, end, now, part]);
  return null;
}

function same(one: Scale, other: Scale): boolean {
  return one.from === other.from && one.to === other.to;
}

function useTicks(timeline: Timeline) {
  const scale = useCell(timeline.scale);
  const whole = useCell(timeline.whole);
  const room = useCell(timeline.room);
  return useMemo(() => ticksOf(scale, whole.from, room), [scale, whole, room]);
}

/** Times above the tracks. Dragging over it chooses a part of the run. */
export function Axis() {
  const timeline = useTimeline();
  const ticks = useTicks(timeline);
  const scale = useCell(timeline.scale);
  const whole = useCell(timeline.whole);
  const isPart = scale.from !== whole.from || scale.to !== whole.to;
  const step = ticks.length > 1 ? (ticks[1]?.after ?? 0) - (ticks[0]?.after ?? 0) : 0;
  const [brush, setBrush] = useState<{ from: number; to: number } | null>(null);
  const axis = useRef<HTMLDivElement>(null);
  const { room } = timeline;
  useLayoutEffect(() => {
    const element = axis.current;
    if (!element) return undefined;
    const measure = () => room.set(roomFor(element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [room]);
  const at = useCallback((event: PointerEvent) => {
    const box = axis.current?.getBoundingClientRect();
    return box ? Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) : 0;
  }, []);
  const ended = () => {
    setBrush(null);
    if (!brush) return;
    const [from, to] = [Math.min(brush.from, brush.to), Math.max(brush.from, brush.to)];
    if (to - from < 0.01) return;
    const length = scale.to - scale.from;
    timeline.zoom({ from: scale.from + from * length, to: scale.from + to * length });
  };
  return (
    <div className="axis">
      <span className="axis-tools">
        <IconButton icon="minus" label="See more of the run" className="small" disabled={!isPart} onClick={() => timeline.zoom(zoomed(scale, 1 / 2, whole))} />
        <IconButton icon="plus" label="See it closer" className="small" onClick={() => timeline.zoom(zoomed(scale, 2, whole, isPart ? 0.5 : 1))} />
        <IconButton icon="whole" label="The whole run" className="small" disabled={!isPart} onClick={() => timeline.zoom(null)} />
        <IconButton icon="chevron" label="Earlier" className="small back" disabled={!isPart} onClick={() => timeline.zoom(moved(scale, -0.5, whole))} />
        <IconButton icon="chevron" label="Later" className="small" disabled={!isPart} onClick={() => timeline.zoom(moved(scale, 0.5, whole))} />
      </span>
      <div
        className="axis-ticks"
        ref={axis}
        title="Drag to see a part of the run closer"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setBrush({ from: at(event), to: at(event) });
        }}
        onPointerMove={(event) => brush && setBrush({ from: brush.from, to: at(event) })}
        onPointerUp={ended}
        onPointerCancel={() => setBrush(null)}
        onDoubleClick={() => timeline.zoom(null)}
      >
        {ticks.map((tick) => (
          <span key={tick.after} style={{ left: `${tick.at * 100}%` }}>
            {tickText(tick.after, step)}
          </span>
        ))}
        {brush ? <i className="brush" style={{ left: `${Math.min(brush.from, brush.to) * 100}%`, width: `${Math.abs(brush.to - brush.from) * 100}%` }} /> : null}
      </div>
      <span className="time" />
    </div>
  );
}

/** Lines behind the tracks, at the times of the axis, and one for now. */
export function Grid() {
  const timeline = useTimeline();
  const ticks = useTicks(timeline);
  const scale = useCell(timeline.scale);
  const { status } = useSnapshot();
  const working = status === 'working';
  const now = useNow(working, timeline.tick);
  const at = (now - scale.from) / (scale.to - scale.from);
  return (
    // As high as what is seen, and not as all rows: it is drawn anew several times a second.
    <div className="grid-holder" aria-hidden="true">
      <div className="grid">
        <span />
        <span className="grid-lines">
          {ticks.map((tick) => (
            <i key={tick.after} style={{ left: `${tick.at * 100}%` }} />
          ))}
          {working && at >= 0 && at <= 1 ? <i className="now" style={{ left: `${at * 100}%` }} /> : null}
        </span>
        <span />
      </div>
    </div>
  );
}
