import { svelte } from "@sveltejs/vite-plugin-svelte";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const here = import.meta.dirname;

export default defineConfig({
  root: here,
  base: "./",
  plugins: [vue(), svelte()],
  build: {
    outDir: "../../../build/front-end",
    emptyOutDir: true,
    rolldownOptions: { input: ["react", "vue", "svelte", "elements"].map((name) => `${here}/${name}/index.html`) },
  },
});
