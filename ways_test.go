package await_test

import (
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
)

// A way is one of the functions that give results to a loop. What all of them
// promise is tested over the table of them. The key of a task is its index.
type way struct {
	name    string
	ordered bool // results come in input order
	seq     bool // the tasks come from a sequence
	queue   bool // the tasks come from a Queue

	// loop returns the loop over tasks. Each range of it is a run of its own,
	// of a queue too. It checks what is special about the way each time.
	loop func(t testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]]
}

// list reports whether the tasks come from a list.
func (w way) list() bool { return !w.seq && !w.queue }

var ways = []way{
	{name: "AsCompleted", loop: func(_ testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]] {
		return await.AsCompleted(ctx, tasks, opts...)
	}},
	{name: "InOrder", ordered: true, loop: func(_ testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]] {
		return await.InOrder(ctx, tasks, opts...)
	}},
	{name: "AsCompletedSeq", seq: true, loop: overSequence(await.AsCompletedSeq[int, int])},
	{name: "InOrderSeq", seq: true, ordered: true, loop: overSequence(await.InOrderSeq[int, int])},
	{name: "Queue", queue: true, loop: overQueue},
}

// overSequence adapts a function over a sequence. Each run checks that the
// sequence is ranged over once, and that nothing of it runs when the loop has
// ended.
func overSequence(f func(context.Context, iter.Seq2[int, await.Task[int]], ...await.Option) iter.Seq2[int, await.Result[int]]) func(testing.TB, context.Context, []await.Task[int], ...await.Option) iter.Seq2[int, await.Result[int]] {
	return func(t testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]] {
		return func(yield func(int, await.Result[int]) bool) {
			var begun, ended atomic.Int32
			defer func() {
				assert.LessOrEqual(t, begun.Load(), int32(1), "the sequence was ranged over more than once")
				assert.Equal(t, begun.Load(), ended.Load(), "the sequence runs after the end of the loop")
			}()
			f(ctx, func(yield func(int, await.Task[int]) bool) {
				begun.Add(1)
				defer ended.Add(1)
				slices.All(tasks)(yield)
			}, opts...)(yield)
		}
	}
}

// overQueue adapts a Queue. Each run is that of a new one.
func overQueue(_ testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]] {
	return func(yield func(int, await.Result[int]) bool) {
		var queue await.Queue[int, int]
		for i, task := range tasks {
			queue.Add(i, task)
		}
		queue.AsCompleted(ctx, opts...)(yield)
	}
}

// eachWay runs f for every way in, in a bubble.
func eachWay(t *testing.T, f func(t *testing.T, w way)) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, w) })
		})
	}
}

// eachWayForReal runs f for every way in, on real goroutines and real time.
func eachWayForReal(t *testing.T, f func(t *testing.T, w way)) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}
