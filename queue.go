package await

import (
	"context"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

// A Queue is for work that makes more work: a crawler that finds links on the
// pages it loads. Tasks are added before a loop over the queue or during it,
// by the loop's body, by a task, or by any other goroutine.
//
// The zero value is an empty queue. It is safe for use by several goroutines
// at once, and must not be copied after first use.
type Queue[K, T any] struct{ queue crew.Queue[K, T] }

// Add puts a task at the end of the queue, with a key that comes back with its
// result. It does not block. It panics if task is nil.
func (q *Queue[K, T]) Add(key K, task Task[T]) {
	if task == nil {
		panic("await: Queue.Add: the task is nil")
	}
	q.queue.Add(key, task)
}

// Len counts the tasks that were added and whose results have not been handed
// to a loop: those that wait, those that run, and those that have finished.
func (q *Queue[K, T]) Len() int { return q.queue.Len() }

// AsCompleted runs the tasks of the queue and yields their keys and results,
// in the order in which they finish. Tasks are taken up in the order in which
// they were added. What is said of [AsCompletedSeq] about limits, buffers and
// panics holds here too.
//
// The loop ends when Len is 0: every task added so far has been yielded, and
// the body has added no more. If it is left earlier, or ctx ends, tasks that
// have not started stay in the queue, and a later loop goes on with them;
// those that have started but were not yielded are gone.
//
// One loop at a time can range over a queue: a second panics. AsCompleted
// panics at once if ctx or an option is nil.
func (q *Queue[K, T]) AsCompleted(ctx context.Context, opts ...Option) iter.Seq2[K, Result[T]] {
	opts = check[T](ctx, nil, opts)
	return func(yield func(K, Result[T]) bool) {
		run := crew.OfQueue(ctx, settings(opts), &q.queue)
		if run == nil {
			panic("await: Queue.AsCompleted: another loop ranges over the queue")
		}
		loop(run, yield)
	}
}
