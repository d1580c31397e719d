import type { InstanceProgress, InstanceStatus, TaskStatus } from '@taskpath/react/core';

export interface Part {
  readonly status: TaskStatus;
  readonly share: number;
}

/** A bar of parts, each as long as its share of the whole. */
export function Progress({ parts, fraction, label, text }: { parts: readonly Part[]; fraction: number; label: string; text: string }) {
  const percent = Math.floor(fraction * 100);
  return (
    <div className="bar" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent} aria-valuetext={text}>
      {parts.map(({ status, share }) => (
        <span key={status} data-status={status} style={{ width: `${share * 100}%` }} />
      ))}
    </div>
  );
}

/** How an instance is made up. */
export function partsOf({ total, done, failed, running }: InstanceProgress, status: InstanceStatus | null): Part[] {
  const all = Math.max(1, total);
  const over: TaskStatus = status === 'cancelled' ? 'skipped' : 'ok';
  return [
    { status: over, share: done / all },
    { status: 'failed', share: failed / all },
    { status: 'running', share: running / all },
  ];
}
