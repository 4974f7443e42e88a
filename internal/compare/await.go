package main

import (
	"context"
	"iter"

	"github.com/ascompleted/await"
)

// awaitPeer is this library.
var awaitPeer = peer{
	name:     "await",
	identity: "index or key",
	gather: func(ctx context.Context, tasks []task, limit int) ([]int, error) {
		return await.Gather(ctx, tasks, options(limit)...)
	},
	finish: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		for i, r := range await.AsCompleted(ctx, tasks, options(limit)...) {
			if !each(outcome{i, r.Value, r.Err}) {
				return
			}
		}
	},
	inOrder: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		for i, r := range await.InOrder(ctx, tasks, options(limit)...) {
			if !each(outcome{i, r.Value, r.Err}) {
				return
			}
		}
	},
	finishSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		for key, r := range await.AsCompletedSeq(ctx, tasks, await.Limit(limit)) {
			if !each(outcome{key, r.Value, r.Err}) {
				return
			}
		}
	},
	inOrderSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		for key, r := range await.InOrderSeq(ctx, tasks, await.Limit(limit)) {
			if !each(outcome{key, r.Value, r.Err}) {
				return
			}
		}
	},
	queue: func(ctx context.Context, fill func(add func(int, task)), limit int, each func(outcome) bool) {
		var queue await.Queue[int, int]
		fill(queue.Add)
		for key, r := range queue.AsCompleted(ctx, await.Limit(limit)) {
			if !each(outcome{key, r.Value, r.Err}) {
				return
			}
		}
	},
	nested: func(inner func()) {
		limiter := await.Within(await.NewLimiter(1))
		_, err := await.Gather(context.Background(), []task{func(ctx context.Context) (int, error) {
			_, err := await.Gather(ctx, []task{func(context.Context) (int, error) { inner(); return 0, nil }}, limiter)
			return 0, err
		}}, limiter)
		must(err)
	},
}

// options is a limit as an option.
func options(limit int) []await.Option {
	if limit == 0 {
		return nil
	}
	return []await.Option{await.Limit(limit)}
}
