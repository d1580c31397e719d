import { useState } from 'react';
import { Jobify, useExecute } from '@taskpath/react';

interface Album {
  title: string;
  /** The job that exports it, once somebody has asked for that. */
  exportJob: string | null;
}

/** An application of one's own: it has albums, and each can be exported in the background. */
export function Albums() {
  const [albums, setAlbums] = useState<readonly Album[]>([
    { title: 'Norway', exportJob: null },
    { title: 'The garden', exportJob: null },
  ]);
  const { create, isPending, error } = useExecute();

  const exportAlbum = async (title: string) => {
    const job = await create({ workflow: 'album', name: title, data: { album: title, count: 40 }, execute: true });
    setAlbums((all) => all.map((album) => (album.title === title ? { ...album, exportJob: job.id } : album)));
  };

  return (
    <>
      <h1>Albums</h1>
      {error ? <p role="alert">{error.message}</p> : null}
      {albums.map(({ title, exportJob }) => (
        <section key={title} aria-label={title}>
          <h2>{title}</h2>
          <Jobify
            jobId={exportJob}
            component={() => (
              <p>
                {exportJob ? 'Exported. ' : 'Forty photos. '}
                <button disabled={isPending} onClick={() => void exportAlbum(title).catch(() => {})}>
                  {exportJob ? 'Export again' : 'Export'}
                </button>
              </p>
            )}
          />
        </section>
      ))}
    </>
  );
}
