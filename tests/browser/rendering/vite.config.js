import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const here = import.meta.dirname;
const pages = ["react", "vue", "svelte", "elements", "hydrated"];

export default defineConfig({
  root: here,
  base: "./",
  plugins: [svelte()],
  // A production build of Vue has no warnings, so it would not report a mismatch.
  define: { __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true" },
  build: { minify: false, rolldownOptions: { input: pages.map((name) => `${here}/${name}.html`) } },
});
