"""Gather and as_completed of asyncio, with coroutines that return at once.

Prints lines as Go's benchmarks do, once for each job and size.
"""

import asyncio
import gc
import time


async def empty():
    return 1


async def gather(n):
    return len(await asyncio.gather(*[empty() for _ in range(n)]))


async def as_completed(n):
    seen = 0
    for next_one in asyncio.as_completed([empty() for _ in range(n)]):
        seen += await next_one
    return seen


async def main():
    for name, job in ("Gather", gather), ("AsCompleted", as_completed):
        for n in 1, 1000, 100_000:
            await job(n)  # once to warm up
            gc.collect()
            calls, start = 0, time.perf_counter_ns()
            while (spent := time.perf_counter_ns() - start) < 20_000_000:
                assert await job(n) == n
                calls += 1
            print(
                f"Benchmark{name}/task=empty/limit=none/n={n}/lib=asyncio",
                calls,
                f"{spent / calls:.1f} ns/op",
                f"{spent / calls / n:.2f} ns/task",
                sep="\t",
            )


asyncio.run(main())
