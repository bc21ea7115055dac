// Starts, kills and restarts the server binary that THALWEG_BIN names.

import { spawn, type ChildProcess } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export class Server {
  #process: ChildProcess | undefined
  #output = ""

  private constructor(
    readonly port: number,
    readonly dataDir: string
  ) {}

  static async start(): Promise<Server> {
    const dataDir = await mkdtemp(join(tmpdir(), "thalweg-ts-"))
    const server = new Server(await freePort(), dataDir)
    await server.run()
    return server
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}/v1/stream/${path}`
  }

  /** Starts the process on the same port and data directory, and waits until it answers. */
  async run(): Promise<void> {
    const binary = process.env.THALWEG_BIN
    if (!binary) throw new Error("THALWEG_BIN must name the server binary")
    const flags = ["--listen", `127.0.0.1:${this.port}`, "--data-dir", this.dataDir]
    const child = spawn(binary, ["serve", ...flags], { stdio: ["ignore", "pipe", "pipe"] })
    child.stdout.on("data", (data) => (this.#output += data))
    child.stderr.on("data", (data) => (this.#output += data))
    this.#process = child
    for (let attempt = 0; attempt < 300; attempt++) {
      if (child.exitCode !== null) throw new Error(`the server ended:\n${this.#output}`)
      const answer = await fetch(`http://127.0.0.1:${this.port}/readyz`).catch(() => undefined)
      await answer?.arrayBuffer()
      if (answer && answer.status < 500) return
      await sleep(100)
    }
    throw new Error(`the server does not answer:\n${this.#output}`)
  }

  /** As a power cut would end it: nothing is flushed, no connection is closed in order. */
  async kill(): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once("exit", resolve))
    child.kill("SIGKILL")
    await ended
  }

  async remove(): Promise<void> {
    await this.kill()
    await rm(this.dataDir, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}
