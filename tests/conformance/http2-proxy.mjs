// Speaks HTTP/1.1 on one side and HTTP/2 on the other, over one connection to the server, so that
// a suite that knows only HTTP/1.1 tests HTTP/2. It changes nothing but the version: fields of the
// connection itself go, everything else passes as it is.
//
//   node http2-proxy.mjs http://127.0.0.1:4437 [PORT]      prints its own URL
//   node http2-proxy.mjs https://localhost:4437 [PORT]     NODE_EXTRA_CA_CERTS names the authority

import http from "node:http"
import http2 from "node:http2"

const [target, port = "0"] = process.argv.slice(2)
if (!target) {
  console.error("usage: http2-proxy.mjs TARGET_URL [PORT]")
  process.exit(2)
}

const OF_THE_CONNECTION = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "host",
  "te",
])

const MAX_SESSION_MEGABYTES = 1024

let session
function connection() {
  if (!session || session.closed || session.destroyed) {
    // Bodies of the suite that the server does not take yet wait here. Beyond its limit, 10 MB by
    // default, node refuses new streams by itself.
    session = http2.connect(target, { maxSessionMemory: MAX_SESSION_MEGABYTES })
    // Whoever uses it gets the error too.
    session.on("error", () => {})
  }
  return session
}

const server = http.createServer({ insecureHTTPParser: true }, async (request, response) => {
  // The whole body first: an HTTP/1.1 client does not expect an answer before it has sent it.
  const body = []
  try {
    for await (const part of request) body.push(part)
  } catch {
    return response.destroy()
  }
  const fields = {
    ":method": request.method,
    ":path": request.url,
    ":authority": request.headers.host ?? new URL(target).host,
  }
  for (const [name, value] of Object.entries(request.headers)) {
    if (!OF_THE_CONNECTION.has(name)) fields[name] = value
  }
  let stream
  const hasBody = "content-length" in request.headers || "transfer-encoding" in request.headers
  try {
    stream = connection().request(fields, { endStream: !hasBody })
  } catch (error) {
    response.writeHead(400, { "content-type": "text/plain" })
    response.end(String(error))
    return
  }
  stream.on("response", (answer) => {
    const back = {}
    for (const [name, value] of Object.entries(answer)) {
      if (!name.startsWith(":")) back[name] = value
    }
    response.writeHead(answer[":status"], back)
    response.flushHeaders()
    // A server that has answered may take back what it has not read: what came before counts.
    let left = "content-length" in back ? Number(back["content-length"]) : undefined
    stream.on("data", (part) => {
      if (left !== undefined) left -= part.length
      response.write(part)
    })
    stream.on("end", () => response.end())
    stream.on("close", () => {
      if (response.writableEnded) return
      if (left === 0) response.end()
      else response.destroy()
    })
  })
  stream.on("error", (error) => {
    // After the head, the end of the stream decides.
    if (response.headersSent) return
    response.writeHead(502, { "content-type": "text/plain" })
    response.end(String(error))
  })
  response.on("close", () => stream.close(http2.constants.NGHTTP2_CANCEL))
  if (hasBody) stream.end(Buffer.concat(body))
})

// Live reads wait for longer than the default.
server.requestTimeout = 0
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
})
