"""The process in which decord runs. Reads `{"path", "indices"}`, one JSON line a request; answers `{"shape", "times",
"bytes"}` and the frames as raw bytes, or `{"error"}`. Times are seconds since the first frame.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    import decord

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print goes to standard error, never between the frames
    for line in sys.stdin:
        request = json.loads(line)
        try:
            clip = decord.VideoReader(request["path"], num_threads=1)
            frames = clip.get_batch(request["indices"]).asnumpy()
            stamps = clip.get_frame_timestamp([0, *request["indices"]])[:, 0]
        except (RuntimeError, IndexError, decord.DECORDError) as error:
            answers.write(json.dumps({"error": str(error).strip().splitlines()[-1]}).encode() + b"\n")
        else:
            times = (stamps[1:] - stamps[0]).astype(float).tolist()
            header = {"shape": frames.shape, "times": times, "bytes": frames.nbytes}
            answers.write(json.dumps(header).encode() + b"\n" + frames.tobytes())
        answers.flush()


if __name__ == "__main__":
    main()
