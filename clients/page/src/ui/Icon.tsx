import type { InstanceStatus, TaskStatus } from '@taskpath/react';

const PATHS = {
  chevron: 'M6 4l4 4-4 4',
  close: 'M4 4l8 8m0-8l-8 8',
  plus: 'M8 3.5v9M3.5 8h9',
  minus: 'M3.5 8h9',
  copy: 'M5.5 5.5h7.5v7.5h-7.5zM3 10.500V3h7.500',
  check: 'M3.5 8.5l3 3 6-7',
  rerun: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.6v2.6h-2.6',
  delete: 'M3 4.5h10M6.500 4.500V3h3v1.500M4.500 4.500l.6 8.500h5.800l.6-8.500',
  save: 'M8 2.500v7.500m-3-3l3 3 3-3M3 13h10',
  search: 'M7 11.500a4.500 4.500 0 1 1 0-9 4.500 4.500 0 0 1 0 9zM10.300 10.300L13.500 13.500',
  whole: 'M2.500 5V2.500h2.500M11 2.500h2.500V5M13.500 11v2.500H11M5 13.500H2.500V11',
  info: 'M8 7.200v4M8 4.600v.2M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z',
  up: 'M4 10l4-4 4 4',
} as const;

const FILLED = {
  run: 'M5 3.6v8.8a.6.6 0 0 0 .9.5l7-4.400a.6.6 0 0 0 0-1l-7-4.400a.6.6 0 0 0-.9.5z',
  cancel: 'M5.400 4h5.200A1.400 1.400 0 0 1 12 5.400v5.200a1.400 1.400 0 0 1-1.400 1.400H5.400A1.400 1.400 0 0 1 4 10.600V5.400A1.400 1.400 0 0 1 5.400 4z',
} as const;

export type IconName = keyof typeof PATHS | keyof typeof FILLED;

/** A sign beside a word; it says nothing that the word does not. */
export function Icon({ name }: { name: IconName }) {
  const filled = name in FILLED;
  const d = filled ? FILLED[name as keyof typeof FILLED] : PATHS[name as keyof typeof PATHS];
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      {filled ? (
        <path d={d} fill="currentColor" />
      ) : (
        <path d={d} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" />
      )}
    </svg>
  );
}

type Status = TaskStatus | InstanceStatus;

const ring = { cx: 8, cy: 8, r: 6.2, fill: 'none', stroke: 'currentColor', strokeWidth: 1.5 } as const;
const line = { fill: 'none', strokeWidth: 1.7, strokeLinecap: 'round', strokeLinejoin: 'round' } as const;

function shapeOf(status: Status) {
  switch (status) {
    case 'ok':
    case 'done':
      return (
        <>
          <circle cx="8" cy="8" r="7" fill="currentColor" />
          <path d="M4.9 8.300l2.100 2.100 4.100-4.500" {...line} stroke="var(--surface)" />
        </>
      );
    case 'failed':
      return (
        <>
          <path d="M5.200 1h5.600L15 5.200v5.600L10.800 15H5.200L1 10.800V5.200z" fill="currentColor" />
          <path d="M5.600 5.600l4.800 4.800m0-4.800l-4.800 4.800" {...line} stroke="var(--surface)" />
        </>
      );
    case 'running':
    case 'working':
      return (
        <>
          <circle {...ring} strokeWidth="2" r="6" opacity=".25" />
          <path d="M8 2a6 6 0 0 1 6 6" {...line} strokeWidth="2" stroke="currentColor" className="turns" />
          <circle cx="8" cy="8" r="2" fill="currentColor" />
        </>
      );
    case 'queued':
      return (
        <>
          <circle {...ring} />
          <path d="M8 4.600V8l2.300 1.500" {...line} strokeWidth="1.5" stroke="currentColor" />
        </>
      );
    case 'skipped':
      return (
        <>
          <circle {...ring} />
          <path d="M5.200 5.600L7.600 8l-2.400 2.400M8.400 5.600L10.800 8l-2.400 2.400" {...line} strokeWidth="1.4" stroke="currentColor" />
        </>
      );
    case 'cancelled':
      return (
        <>
          <circle {...ring} />
          <rect x="5.600" y="5.600" width="4.800" height="4.800" rx="1" fill="currentColor" />
        </>
      );
    case 'inactive':
      return <circle {...ring} strokeDasharray="1.6 2.300" strokeLinecap="round" />;
  }
}

/** The shape of a status; each has one of its own, for those who do not see the colour. */
export function Mark({ status, label }: { status: Status; label?: string }) {
  const said = label === undefined ? { 'aria-hidden': true as const } : { role: 'img', 'aria-label': label };
  return (
    <svg className="mark" data-status={status} viewBox="0 0 16 16" {...said}>
      {shapeOf(status)}
    </svg>
  );
}
