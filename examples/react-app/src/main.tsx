import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { TaskpathProvider } from '@taskpath/react';
import '@taskpath/react/style.css';
import './page.css';
import { Albums } from './Albums';

// Where `taskpath up` listens. In production: the same origin, or one that lists this page in TASKPATH_ALLOWED_ORIGINS.
const gateway: string = import.meta.env.VITE_TASKPATH_URL ?? 'http://127.0.0.1:8080';

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <TaskpathProvider url={gateway}>
      <Albums />
    </TaskpathProvider>
  </StrictMode>,
);
