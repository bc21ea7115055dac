"""Makes a golden data directory of the version that a binary writes: make.py BINARY VERSION.

Needs nothing but Python. A directory that was made once is kept for ever: see README.md.
"""
import glob, http.client, json, os, shutil, signal, subprocess, sys, tempfile, time, urllib.parse
binary, version = sys.argv[1], int(sys.argv[2])
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"v{version}")
assert not os.path.exists(out), f"{out} is there already"
data = os.path.join(tempfile.mkdtemp(), "data")
port = 14937
def start():
    p = subprocess.Popen([binary, "serve", "--data-dir", data, "--listen", f"127.0.0.1:{port}", "--cores", "2", "--segment-bytes", "1MiB", "--max-body-bytes", "256KiB"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    line = p.stdout.readline(); assert b"ready" in line, line
    return p
def ask(method, path, body=b"", **fields):
    c = http.client.HTTPConnection("127.0.0.1", port)
    headers = {k.replace("_", "-"): str(v) for k, v in fields.items()}
    if isinstance(body, str): body = body.encode()
    url = path if path.startswith("/") else "/v1/stream/" + path
    c.request(method, url, body=body if method in ("PUT","POST") else None, headers=headers)
    r = c.getresponse(); b = r.read()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, b
def ok(want, *a, **k):
    s, h, b = ask(*a, **k); assert s in want, (a, s, b); return h, b
TEXT, JSON = {"content_type": "text/plain"}, {"content_type": "application/json"}
def fork(src, dst, **k): ok((201,), "PUT", dst, stream_forked_from="/v1/stream/"+src, **k)
def sealed(): return glob.glob(data + "/log-*/sealed-*.seg")
server = start()
ok((201,), "PUT", "text/plain", "first ", **TEXT)
ok((204,), "POST", "text/plain", "second ", **TEXT)
ok((201,), "PUT", "json/list", '[{"a":1},2]', **JSON)
ok((204,), "POST", "json/list", '["drei",{"vier":[4]}]', **JSON)
ok((201,), "PUT", "unicode/€ ä".replace("€", "%E2%82%AC").replace("ä", "%C3%A4").replace(" ", "%20"), "grün ", **TEXT)
ok((201,), "PUT", "producer", "", **TEXT)
for seq in range(3):
    ok((200, 204), "POST", "producer", f"p{seq} ", producer_id="writer", producer_epoch=1, producer_seq=seq, **TEXT)
ok((204,), "POST", "producer", "s", stream_seq="0005", **TEXT)
ok((201,), "PUT", "ttl", "stays ", stream_ttl=3153600000, **TEXT)
ok((201,), "PUT", "until", "2200", stream_expires_at="2200-01-01T00:00:00Z", **TEXT)
ok((201,), "PUT", "closed/at-birth", "all there is", stream_closed="true", **TEXT)
ok((201,), "PUT", "closed/later", "one ", **TEXT)
ok((204,200), "POST", "closed/later", "two", stream_closed="true", producer_id="closer", producer_epoch=0, producer_seq=0, **TEXT)
ok((201,), "PUT", "deleted", "gone", **TEXT); ok((204,), "DELETE", "deleted")
ok((201,), "PUT", "empty", **TEXT)
# Forks: of each kind, over both cores.
for n in range(4):
    ok((201,), "PUT", f"tree/{n}/root", "root ", **TEXT)
    fork(f"tree/{n}/root", f"tree/{n}/one"); ok((204,), "POST", f"tree/{n}/root", "LATER", **TEXT)
    ok((204,), "POST", f"tree/{n}/one", "one ", **TEXT)
    fork(f"tree/{n}/one", f"tree/{n}/two"); ok((204,), "POST", f"tree/{n}/two", "two", **TEXT)
fork("json/list", "json/fork", stream_fork_offset="-1", stream_fork_sub_offset=2)
ok((201,), "PUT", "hidden", "inherited ", **TEXT); fork("hidden", "heir"); ok((204,), "DELETE", "hidden")
ok((201,), "PUT", "again", "old", **TEXT); ok((204,), "DELETE", "again"); ok((201,), "PUT", "again", "new", **TEXT)
# Larger than one block, and than a group's first block.
big = "".join(f"{n:07d}\n" for n in range(1500))
ok((201,), "PUT", "big", big, **TEXT)
for sub in range(2):
    ok((200, 201), "PUT", f"__ds/subscriptions/watch{sub}", json.dumps({"type": "pull-wake", "pattern": f"json/*", "wake_stream": f"wakes/{sub}"}), **JSON)
if version >= 2:
    ok((201,), "PUT", "kept/bytes", "0123456789", stream_retention_bytes=20, **TEXT)
    for n in range(5): ok((204,), "POST", "kept/bytes", f"<append {n}>", **TEXT)
    ok((201,), "PUT", "kept/seconds", "kept for ever, nearly", stream_retention_seconds=3153600000, **TEXT)
    # Full segments, to be sealed: zeros, which the archive leaves out.
    ok((201,), "PUT", "zeros", b"", content_type="application/octet-stream")
    for n in range(16): ok((204,), "POST", "zeros", bytes(250_000), content_type="application/octet-stream")
    time.sleep(1)
server.send_signal(signal.SIGTERM); server.wait()
server = start()
if version >= 2:
    # Sealed is what both checkpoints have behind them; then a checkpoint names it.
    for turn in range(4):
        if sealed(): break
        ok((204,), "POST", "zeros", bytes(10), content_type="application/octet-stream")
        server.send_signal(signal.SIGTERM); server.wait()
        server = start()
        deadline = time.time() + 20
        while not sealed() and time.time() < deadline: time.sleep(0.2)
    assert sealed(), "nothing was sealed"
    time.sleep(2)
    server.send_signal(signal.SIGTERM); server.wait()
    server = start()
# The tail behind the checkpoint.
ok((204,), "POST", "text/plain", "third", **TEXT)
ok((204,), "POST", "json/list", '[5]', **JSON)
ok((201,), "PUT", "tail/new", "made after the checkpoint", **TEXT)
ok((200, 204), "POST", "producer", "p3 ", producer_id="writer", producer_epoch=1, producer_seq=3, **TEXT)
ok((201,), "PUT", "tail/gone", "x", **TEXT); ok((204,), "DELETE", "tail/gone")
fork("text/plain", "tail/fork"); ok((204,), "POST", "tail/fork", " forked", **TEXT)
ok((204,), "POST", "tree/1/two", " more", **TEXT)
ok((200, 204), "POST", "tail/new", "", stream_closed="true", **TEXT)
time.sleep(0.3)
_, body = ok((200,), "GET", "__ds/streams?limit=1000")
expected = []
for entry in json.loads(body)["streams"]:
    path = entry["path"]
    h, content = ok((200,), "GET", urllib.parse.quote(path))
    zeros = {"zeros": len(content)} if path == "zeros" else {"content": content.decode()}
    expected.append({"path": path, "content_type": entry["content_type"], "next_offset": entry["next_offset"], "closed": entry["closed"], **zeros})
server.kill(); server.wait()
os.makedirs(out, exist_ok=True)
with open(out + "/expected.json", "w") as f: json.dump(expected, f, ensure_ascii=False, indent=1, sort_keys=True); f.write("\n")
lines = []
for base, dirs, files in sorted(os.walk(data)):
    for name in sorted(files):
        path = os.path.join(base, name); rel = os.path.relpath(path, data)
        if rel.startswith("keys/") or rel in ("LOCK", ".writable", "control.sock"): continue
        content = open(path, "rb").read()
        lines.append(f"file {rel} {len(content)}\n")
        for at in range(0, len(content), 32):
            part = content[at:at+32]
            if any(part): lines.append(f"{at:08x}: {part.hex()}\n")
open(out + "/data.hex", "w").writelines(lines)
shutil.rmtree(os.path.dirname(data))
print(len(expected), "streams", sum(map(len, lines)), "bytes")
