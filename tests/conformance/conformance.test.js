// The official conformance suite, whole, against the server at SERVER_URL.
//
// The suite's own command line finds no test files under node_modules, hence this file.

import { runConformanceTests } from "@durable-streams/server-conformance-tests"

// Not BASE_URL: vitest sets that one itself.
const baseUrl = process.env.SERVER_URL
if (!baseUrl) {
  throw new Error("SERVER_URL must name a running server, such as http://127.0.0.1:4437")
}

runConformanceTests({
  baseUrl,
  subscriptions: true,
  longPollTimeoutMs: Number(process.env.LONG_POLL_TIMEOUT_MS ?? 20_000),
})
