package main

import (
	"context"
	"iter"

	"github.com/bradenaw/juniper/iterator"
	"github.com/bradenaw/juniper/parallel"
	"github.com/bradenaw/juniper/stream"
)

// juniper is github.com/bradenaw/juniper/parallel. It always has a limit:
// none is one as high as the number of tasks.
var juniper = peer{
	name:     "juniper",
	identity: "order",
	unfair:   "a single task of gather runs on the caller's goroutine; for want of an error per result, its loops send outcomes as values; without a limit it is given one as high as n",
	gather: func(ctx context.Context, tasks []task, limit int) ([]int, error) {
		return parallel.MapContext(ctx, juniperLimit(limit, len(tasks)), tasks,
			func(ctx context.Context, task task) (int, error) { return task(ctx) })
	},
	inOrder: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		limit = juniperLimit(limit, len(tasks))
		results := parallel.MapStream(ctx, stream.FromIterator(iterator.Slice(tasks)), limit, limit,
			func(ctx context.Context, task task) (outcome, error) {
				value, err := task(ctx)
				return outcome{0, value, err}, nil
			})
		defer results.Close()
		for i := range tasks {
			result, err := results.Next(ctx)
			if err != nil {
				return
			}
			result.key = i
			if !each(result) {
				return
			}
		}
	},
	inOrderSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		next, stop := iter.Pull2(tasks)
		defer stop()
		results := parallel.MapStream(ctx, stream.FromIterator(pulled{next}), limit, limit,
			func(ctx context.Context, j job) (outcome, error) {
				value, err := j.task(ctx)
				return outcome{j.key, value, err}, nil
			})
		defer results.Close()
		for {
			result, err := results.Next(ctx)
			if err != nil || !each(result) {
				return
			}
		}
	},
}

// juniperLimit is what stands for no limit; it takes 0 for the number of cores.
func juniperLimit(limit, n int) int {
	if limit == 0 {
		return max(n, 1)
	}
	return limit
}

// pulled makes juniper's kind of iterator from a sequence.
type pulled struct{ next func() (int, task, bool) }

// Next returns the next element.
func (p pulled) Next() (job, bool) {
	key, task, ok := p.next()
	return job{key, task}, ok
}
