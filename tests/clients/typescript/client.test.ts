// What an application does with @durable-streams/client, against the real binary.

import { setTimeout as sleep } from "node:timers/promises"

import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { afterAll, beforeAll, describe, expect, test } from "vitest"

import { Server } from "./server"

type Item = { n: number }
type Live = "sse" | "long-poll"

const JSON_TYPE = "application/json"
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index)

let server: Server
let paths = 0

beforeAll(async () => {
  server = await Server.start()
})
afterAll(() => server?.remove())

function freshUrl(): string {
  return server.url(`typescript/${process.pid}-${paths++}`)
}

async function readItems(url: string): Promise<number[]> {
  const session = await stream<Item>({ url, live: false })
  return (await session.json()).map((item) => item.n)
}

/** Follows `url` from `offset` until `count` items are there, over any number of sessions. */
async function follow(
  url: string,
  live: Live,
  count: number,
  onItems: (all: number[]) => void = () => {}
): Promise<number[]> {
  const seen: number[] = []
  let offset = "-1"
  while (seen.length < count) {
    const abort = new AbortController()
    try {
      const session = await stream<Item>({ url, live, offset, signal: abort.signal })
      await new Promise<void>((resolve) => {
        session.subscribeJson<Item>((batch) => {
          seen.push(...batch.items.map((item) => item.n))
          offset = batch.offset
          onItems(seen)
          if (seen.length >= count) resolve()
        })
        session.closed.then(resolve, () => resolve())
      })
    } catch {
      // The server is away: try again.
    }
    abort.abort()
    if (seen.length < count) await sleep(50)
  }
  return seen
}

describe("create, append, read", () => {
  test("JSON messages keep their order and boundaries", async () => {
    const url = freshUrl()
    const handle = await DurableStream.create({ url, contentType: JSON_TYPE })
    for (const n of numbers(0, 5)) await handle.append(JSON.stringify({ n }))
    await handle.append(JSON.stringify([{ n: 5 }, { n: 6 }]))
    expect((await readItems(url)).slice(0, 5)).toEqual(numbers(0, 5))
    expect((await DurableStream.head({ url })).contentType).toBe(JSON_TYPE)
  })

  test("text and bytes come back as they went in", async () => {
    const text = freshUrl()
    const handle = await DurableStream.create({ url: text, contentType: "text/plain" })
    await handle.append("Grüße, ")
    await handle.append("Welt\n")
    expect(await (await stream({ url: text, live: false })).text()).toBe("Grüße, Welt\n")

    const binary = freshUrl()
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31) % 256)
    const blob = await DurableStream.create({
      url: binary,
      contentType: "application/octet-stream",
    })
    await blob.append(bytes)
    expect(await (await stream({ url: binary, live: false })).body()).toEqual(bytes)
  })

  test("a read resumes at the offset of an earlier one", async () => {
    const url = freshUrl()
    const handle = await DurableStream.create({ url, contentType: JSON_TYPE })
    await handle.append(JSON.stringify({ n: 1 }))
    const { offset } = await handle.head()
    await handle.append(JSON.stringify({ n: 2 }))
    const session = await stream<Item>({ url, offset, live: false })
    expect(await session.json()).toEqual([{ n: 2 }])
  })

  test("errors are the ones the client knows", async () => {
    const url = freshUrl()
    await expect(stream({ url, live: false })).rejects.toMatchObject({ status: 404 })
    await DurableStream.create({ url, contentType: "text/plain" })
    await expect(
      DurableStream.create({ url, contentType: JSON_TYPE })
    ).rejects.toMatchObject({ status: 409 })
    await DurableStream.delete({ url })
    expect(await DurableStream.head({ url })).toMatchObject({ exists: false })
  })
})

describe("IdempotentProducer", () => {
  test("batches many messages into few requests, in order", async () => {
    const url = freshUrl()
    const handle = await DurableStream.create({ url, contentType: JSON_TYPE })
    let requests = 0
    const errors: Error[] = []
    const producer = new IdempotentProducer(handle, "batcher", {
      lingerMs: 5,
      fetch: (...args) => {
        requests++
        return fetch(...args)
      },
      onError: (error) => errors.push(error),
    })
    for (const n of numbers(0, 1000)) producer.append(JSON.stringify({ n }))
    await producer.flush()
    await producer.detach()
    expect(errors).toEqual([])
    expect(await readItems(url)).toEqual(numbers(0, 1000))
    expect(requests).toBeLessThan(100)
  })

  test("a retried batch is stored once", async () => {
    const url = freshUrl()
    const handle = await DurableStream.create({ url, contentType: JSON_TYPE })
    const producer = new IdempotentProducer(handle, "twice", {
      // The answer to the first attempt gets lost.
      fetch: async (...args) => {
        await (await fetch(...args)).arrayBuffer()
        return fetch(...args)
      },
    })
    for (const n of numbers(0, 10)) {
      producer.append(JSON.stringify({ n }))
      await producer.flush()
    }
    await producer.detach()
    expect(await readItems(url)).toEqual(numbers(0, 10))
  })

  test("a newer epoch fences the older producer", async () => {
    const url = freshUrl()
    const handle = await DurableStream.create({ url, contentType: JSON_TYPE })
    const errors: Error[] = []
    const old = new IdempotentProducer(handle, "fenced", { onError: (e) => errors.push(e) })
    old.append(JSON.stringify({ n: 0 }))
    await old.flush()
    const young = new IdempotentProducer(handle, "fenced", { epoch: 1 })
    young.append(JSON.stringify({ n: 1 }))
    await young.flush()
    old.append(JSON.stringify({ n: 2 }))
    await old.flush().catch((error) => errors.push(error))
    expect(errors.length).toBeGreaterThan(0)
    expect(await readItems(url)).toEqual([0, 1])
  })
})

describe.each<Live>(["sse", "long-poll"])("live by %s", (live) => {
  test("history first, then what is appended, then the end", async () => {
    const url = freshUrl()
    const handle = await DurableStream.create({ url, contentType: JSON_TYPE })
    await handle.append(JSON.stringify({ n: 0 }))
    const session = await stream<Item>({ url, live })
    const seen: number[] = []
    session.subscribeJson<Item>((batch) => {
      seen.push(...batch.items.map((item) => item.n))
    })
    await expect.poll(() => seen).toEqual([0])
    for (const n of numbers(1, 20)) await handle.append(JSON.stringify({ n }))
    await expect.poll(() => seen).toEqual(numbers(0, 20))
    await handle.close({ body: JSON.stringify({ n: 20 }), contentType: JSON_TYPE })
    await session.closed
    // The session ends before its last batch has been handed out.
    await expect.poll(() => seen).toEqual(numbers(0, 21))
  })

  test("bytes that are not text", async () => {
    const url = freshUrl()
    const handle = await DurableStream.create({ url, contentType: "application/octet-stream" })
    const session = await stream({ url, live })
    const seen: number[] = []
    session.subscribeBytes((chunk) => {
      seen.push(...chunk.data)
    })
    await handle.append(Uint8Array.of(0, 255, 10, 13, 128))
    await handle.append(Uint8Array.of(1))
    await handle.close()
    await session.closed
    await expect.poll(() => seen).toEqual([0, 255, 10, 13, 128, 1])
  })

  test("resumes after the server was killed and restarted", async () => {
    const own = await Server.start()
    try {
      const url = own.url("resumed")
      const handle = await DurableStream.create({ url, contentType: JSON_TYPE })
      const errors: Error[] = []
      const producer = new IdempotentProducer(handle, "survivor", {
        lingerMs: 0,
        maxInFlight: 1,
        onError: (error) => errors.push(error),
      })
      const write = async (n: number) => {
        producer.append(JSON.stringify({ n }))
        await producer.flush()
      }
      let seen = 0
      const reading = follow(url, live, 60, (all) => (seen = all.length))
      for (const n of numbers(0, 30)) await write(n)
      await expect.poll(() => seen, { timeout: 10_000 }).toBeGreaterThan(0)

      await own.kill()
      await own.run()

      // What was acknowledged is there, and the same batch again stores nothing.
      expect(await readItems(url)).toEqual(numbers(0, 30))
      const retry = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": JSON_TYPE,
          "producer-id": "survivor",
          "producer-epoch": "0",
          "producer-seq": "29",
        },
        body: JSON.stringify([{ n: 29 }]),
      })
      expect(retry.status).toBe(204)
      for (const n of numbers(30, 60)) await write(n)
      expect(errors).toEqual([])
      expect(await reading).toEqual(numbers(0, 60))
      expect(await readItems(url)).toEqual(numbers(0, 60))
    } finally {
      await own.remove()
    }
  })
})
