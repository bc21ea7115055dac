import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["*.test.js"],
    // A test that passes at the second attempt has failed.
    retry: 0,
    testTimeout: 30_000,
  },
})
