import { defineConfig } from 'vite';

export default defineConfig({
  esbuild: { jsx: 'automatic' },
  // One React for the application and for the package, which lies elsewhere in this repository.
  resolve: { dedupe: ['react', 'react-dom'] },
  server: { port: 5173, strictPort: true },
});
