"""Workers and audio worklets of a package of `--format npm`, in browsers."""

from __future__ import annotations

import json

import pytest
from tinycast.artifact import Artifact
from web.fixtures import CSP, AnyPage, Serve


def test_a_worker_whose_script_is_missing_says_so(any_page: AnyPage, serve: Serve, digits: Artifact) -> None:
    files = {name: content for name, content in digits.files.items() if "thread" not in name}
    any_page.goto(serve(files))
    script = """async () => (await import("/digits.worker.js")).loadInWorker().catch((error) => error.message)"""
    assert any_page.evaluate(script) == "digits: the worker failed: its script cannot be loaded"


def test_a_package_on_another_server_starts_its_worker(any_page: AnyPage, serve: Serve, digits: Artifact) -> None:
    """As from a CDN of npm packages: a page may import from there, and start no worker."""
    other = serve(digits.files, {"Access-Control-Allow-Origin": "*"})
    any_page.goto(serve({}))
    count = any_page.evaluate(
        """async (url) => {
          const { loadInWorker } = await import(`${url}digits.worker.js`);
          return (await (await loadInWorker()).run(new Int8Array(64))).length;
        }""",
        other,
    )
    assert count == 10


def test_audio_worklet_hears_windows_of_samples(any_page: AnyPage, serve: Serve, float_digits: Artifact) -> None:
    """Windows of 64 samples, one each 96 samples: the fifth starts at sample 384. It hears what the page computes."""
    any_page.goto(serve(float_digits.files, {"Content-Security-Policy": CSP}))
    got = any_page.evaluate(
        """async () => {
          const { createAudioNode } = await import("/digits_float.audio.js");
          const { load } = await import("/digits_float.js");
          const context = new OfflineAudioContext(1, 1024, 16000);
          const buffer = context.createBuffer(1, 1024, 16000);
          const samples = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i * i));
          buffer.copyToChannel(samples, 0);
          const source = new AudioBufferSourceNode(context, { buffer });
          const node = await createAudioNode(context, { hop: 96 });
          const messages = [];
          const model = await load();
          const count = 1 + Math.floor((1024 - 64) / 96);
          const heard = new Promise((resolve) => {
            node.port.onmessage = ({ data }) => messages.push(data) === count && resolve();
          });
          source.connect(node);
          source.start();
          await context.startRendering();
          await heard;
          return messages.map(({ outputs, frame, error }) => ({
            error,
            frame,
            got: Array.from(outputs ?? []),
            expected: Array.from(model.run(samples.slice(frame - 64, frame))),
          }));
        }"""
    )
    assert [entry["frame"] for entry in got] == list(range(64, 1025, 96))
    assert all(entry["got"] == entry["expected"] for entry in got)
    assert len({json.dumps(entry["got"]) for entry in got}) == len(got)


@pytest.mark.parametrize("hop", [0, -1, 220.5])
def test_a_hop_that_would_never_end_is_refused(
    any_page: AnyPage, serve: Serve, float_digits: Artifact, hop: float
) -> None:
    any_page.goto(serve(float_digits.files))
    told = any_page.evaluate(
        """async (hop) => {
          const { createAudioNode } = await import("/digits_float.audio.js");
          const context = new OfflineAudioContext(1, 1024, 16000);
          return createAudioNode(context, { hop }).then(() => "made", (error) => error.message);
        }""",
        hop,
    )
    assert told == f"digits_float: hop is a whole number of samples above 0, not {hop}"
