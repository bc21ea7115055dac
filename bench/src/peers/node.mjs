// Starts the reference server of the npm package: PACKAGE PORT DATA_DIR.
import { pathToFileURL } from "node:url"

const [directory, port, dataDir] = process.argv.slice(-3)
const { DurableStreamTestServer } = await import(pathToFileURL(`${directory}/dist/index.js`))
await new DurableStreamTestServer({ host: "127.0.0.1", port: Number(port), dataDir }).start()
