"""What the contenders in Python share. Each line of the input is a request, answered by a line."""

import itertools
import json
import sys
from time import perf_counter_ns


def each(group, call, arguments):
    """What each call took, on average over groups of those that follow each other, and the results."""
    took, results = [], []
    for several in itertools.batched(arguments, group):
        start = perf_counter_ns()
        found = [call(*one) for one in several]
        took.append((perf_counter_ns() - start) / len(several))
        results += found
    return took, results


def serve(requests):
    """Answers every request by the function of its name; timed work by the nanoseconds of its calls."""
    for line in sys.stdin:
        request = json.loads(line)
        answer = requests[request.pop("request")](**request)
        print(json.dumps(answer), flush=True)
