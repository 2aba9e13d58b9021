// Builds the console into `dist`, which the binary embeds. `npm run dev` passes API and proxy calls on to a local
// Costlens (COSTLENS_URL), so that the session cookie stays on one origin, as it does in production.
import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const backend = process.env.COSTLENS_URL ?? "http://127.0.0.1:8080";
// The host stays the browser's: the API refuses writes whose origin is not the host it was asked by.
const passedOn = Object.fromEntries(["/api", "/v1"].map((path) => [path, { target: backend, changeOrigin: false }]));

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: { proxy: passedOn },
  preview: { proxy: passedOn },
  build: { target: "es2023", assetsInlineLimit: 0, chunkSizeWarningLimit: 700, reportCompressedSize: true },
  // A machine that builds and tests at once is slow.
  test: { environment: "node", include: ["src/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
});
