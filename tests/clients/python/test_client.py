"""What an application does with the Python package durable-streams, against the real binary."""

import itertools
import json
import os
import threading
import time
import unittest
from collections.abc import Callable

import httpx
from durable_streams import DurableStream, SeqConflictError, StreamNotFoundError, stream
from server import Server

JSON_TYPE = "application/json"
PATHS = itertools.count()


def read_numbers(url: str) -> list[int]:
    with stream(url, live=False) as session:
        return [item["n"] for item in session.read_json()]


def follow(url: str, live: str, count: int, on_item: Callable[[int], None]) -> list[int]:
    """Follows `url` until `count` items are there, over any number of sessions."""
    seen: list[int] = []
    offset = "-1"
    while len(seen) < count:
        try:
            with stream(url, live=live, offset=offset, timeout=30) as session:
                for event in session.iter_events(mode="json_batches"):
                    seen.extend(item["n"] for item in event.data)
                    offset = event.next_offset
                    on_item(len(seen))
                    if len(seen) >= count:
                        break
        except Exception:  # The server is away: try again.
            time.sleep(0.05)
    return seen


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the condition did not become true")
        time.sleep(0.01)


class ClientTest(unittest.TestCase):
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.remove()

    def fresh_url(self) -> str:
        return self.server.url(f"python/{os.getpid()}-{next(PATHS)}")

    def test_json_messages_keep_their_order(self) -> None:
        url = self.fresh_url()
        with DurableStream.create(url, content_type=JSON_TYPE) as handle:
            for n in range(10):
                handle.append({"n": n})
        self.assertEqual(read_numbers(url), list(range(10)))
        with DurableStream.connect(url) as handle:
            self.assertEqual(handle.content_type, JSON_TYPE)

    def test_text_and_bytes_come_back_as_they_went_in(self) -> None:
        url = self.fresh_url()
        with DurableStream.create(url, content_type="text/plain") as handle:
            handle.append("Grüße, ")
            handle.append("Welt\n")
        with stream(url, live=False) as session:
            self.assertEqual(session.read_text(), "Grüße, Welt\n")

        url = self.fresh_url()
        data = bytes(range(256)) * 300
        with DurableStream.create(url, content_type="application/octet-stream") as handle:
            handle.append(data)
        with stream(url, live=False) as session:
            self.assertEqual(session.read_bytes(), data)

    def test_concurrent_appends_are_batched_and_all_stored(self) -> None:
        url = self.fresh_url()
        with DurableStream.create(url, content_type=JSON_TYPE) as handle:
            writers = [
                threading.Thread(target=handle.append, args=({"n": n},)) for n in range(50)
            ]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
        self.assertEqual(sorted(read_numbers(url)), list(range(50)))

    def test_sequence_numbers_must_grow(self) -> None:
        url = self.fresh_url()
        with DurableStream.create(url, content_type="text/plain", batching=False) as handle:
            handle.append("a", seq="002")
            with self.assertRaises(SeqConflictError):
                handle.append("b", seq="001")
        with stream(url, live=False) as session:
            self.assertEqual(session.read_text(), "a")

    def test_a_read_resumes_at_an_offset(self) -> None:
        url = self.fresh_url()
        with DurableStream.create(url, content_type=JSON_TYPE) as handle:
            offset = handle.append({"n": 1}).next_offset
            handle.append({"n": 2})
        with stream(url, offset=offset, live=False) as session:
            self.assertEqual(session.read_json(), [{"n": 2}])

    def test_a_deleted_stream_is_not_found(self) -> None:
        url = self.fresh_url()
        with DurableStream.create(url, content_type="text/plain") as handle:
            handle.delete()
        with self.assertRaises(StreamNotFoundError):
            stream(url, live=False)

    def check_live(self, live: str) -> None:
        url = self.fresh_url()
        with DurableStream.create(url, content_type=JSON_TYPE) as handle:
            handle.append({"n": 0})
            seen: list[int] = []
            reader = threading.Thread(
                target=lambda: seen.extend(follow(url, live, 20, lambda _: None))
            )
            reader.start()
            for n in range(1, 20):
                handle.append({"n": n})
            reader.join(timeout=30)
        self.assertEqual(seen, list(range(20)))

    def test_live_by_sse(self) -> None:
        self.check_live("sse")

    def test_live_by_long_poll(self) -> None:
        self.check_live("long-poll")

    def check_resume(self, live: str) -> None:
        server = Server()
        try:
            url = server.url("resumed")
            seen: list[int] = []
            progress = [0]
            with DurableStream.create(url, content_type=JSON_TYPE) as handle:
                reader = threading.Thread(
                    target=lambda: seen.extend(
                        follow(url, live, 60, lambda count: progress.__setitem__(0, count))
                    )
                )
                reader.start()
                for n in range(29):
                    handle.append({"n": n})
            # The package has no idempotent producer: the one that must survive is written out.
            producer = {
                "content-type": JSON_TYPE,
                "producer-id": "survivor",
                "producer-epoch": "0",
                "producer-seq": "0",
            }
            body = json.dumps([{"n": 29}])
            self.assertEqual(httpx.post(url, headers=producer, content=body).status_code, 200)
            wait_until(lambda: progress[0] > 0)

            server.kill()
            server.run()

            # What was acknowledged is there, and the same append again stores nothing.
            self.assertEqual(read_numbers(url), list(range(30)))
            self.assertEqual(httpx.post(url, headers=producer, content=body).status_code, 204)
            with DurableStream.connect(url) as handle:
                for n in range(30, 60):
                    handle.append({"n": n})
            reader.join(timeout=60)
            self.assertEqual(seen, list(range(60)))
            self.assertEqual(read_numbers(url), list(range(60)))
        finally:
            server.remove()

    def test_resume_by_sse_after_the_server_was_killed(self) -> None:
        self.check_resume("sse")

    def test_resume_by_long_poll_after_the_server_was_killed(self) -> None:
        self.check_resume("long-poll")


if __name__ == "__main__":
    unittest.main()
