// Starts the reference server of the npm package: PACKAGE PORT DATA_DIR.
import { pathToFileURL } from "node:url"

const [directory, port, dataDir] = process.argv.slice(-3)
const { DurableStreamTestServer } = await import(pathToFileURL(`${directory}/dist/index.js`))
const server = new DurableStreamTestServer({ host: "127.0.0.1", port: Number(port), dataDir })

// It keeps 100 files open and has no option for more. With appends to more streams than that under
// way it closes a file before it is synced, and answers 404.
const { store } = server
if (store.fileHandlePool) store.fileHandlePool = new store.fileHandlePool.constructor(4096)

await server.start()
