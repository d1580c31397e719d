import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type Plugin, defineConfig } from 'vite';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const gateway = process.env['TASKPATH_URL'] ?? 'http://127.0.0.1:8080';

/** Compressed once, here, and not by the gateway at each request. */
function compressed(): Plugin {
  let folder = '';
  return {
    name: 'compressed',
    apply: 'build',
    configResolved: ({ build }) => {
      folder = build.outDir;
    },
    closeBundle: () => {
      mkdirSync(folder, { recursive: true });
      for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(css|html|js|svg)$/.test(file)) continue;
        const path = join(folder, file);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [compressed()],
  esbuild: { jsx: 'automatic' },
  resolve: {
    // The package as it is written: it need not be built before the page is.
    alias: [
      { find: '@taskpath/react/core', replacement: at('../react/src/core/index.ts') },
      { find: '@taskpath/react', replacement: at('../react/src/index.ts') },
    ],
    dedupe: ['react', 'react-dom'],
  },
  build: {
    outDir: at('./dist'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    // Nothing inline: the gateway's content security policy allows none of it.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    port: 5199,
    strictPort: true,
    // The gateway has to be told: TASKPATH_ALLOWED_ORIGINS=http://127.0.0.1:5199
    proxy: {
      '/api': { target: gateway, changeOrigin: true },
      '/ws': { target: gateway, changeOrigin: true, ws: true },
    },
  },
});
