import { Fragment } from 'react';
import { useStayAtEnd } from '../../react/useStayAtEnd.js';
import { useTaskLog } from '../../react/useTaskLog.js';
import { count, moment, timeOfDay } from '../format.js';

/** The log of one task, which stays at its end while one looks at its end. */
export function Log({ id, path }: { id: string; path: string }) {
  const { lines, left, isLoading, error } = useTaskLog(id, path);
  const end = useStayAtEnd<HTMLOListElement>(lines);
  const note = error ? error.message : isLoading ? 'Reading…' : lines.length === 0 ? 'Nothing was logged.' : '';
  return (
    <div className="taskpath-log">
      {note ? <p className="taskpath-note">{note}</p> : null}
      {left > 0 ? <p className="taskpath-note">{count(left)} older lines are not shown.</p> : null}
      {lines.length === 0 ? null : (
        <ol
          ref={end.ref}
          role="log"
          aria-label={`Log of ${path}`}
          aria-live="off"
          tabIndex={0}
          onScroll={end.onScroll}
        >
          {lines.map((line, index) => (
            <Fragment key={left + index}>
              <li data-level={line.level}>
                <time title={moment(line.time)}>{timeOfDay(line.time)}</time>{' '}
                {index > 0 && lines[index - 1]?.attempt !== line.attempt ? <em>attempt {line.attempt}: </em> : null}
                <span>{line.text}</span>
              </li>
            </Fragment>
          ))}
        </ol>
      )}
    </div>
  );
}
