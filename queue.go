package await

import (
	"context"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

// A Queue is for work that makes more work, such as a crawler that finds links
// on the pages it loads. Tasks are added before a loop over the queue or during
// it, by the body of the loop, by a task, or by any other goroutine.
//
// The zero value is an empty queue. A Queue is safe for concurrent use, and
// must not be copied after first use.
type Queue[K, T any] struct{ queue crew.Queue[K, T] }

// Add puts a task at the end of the queue, with a key that comes back with its
// result. It does not block.
//
// Add panics if task is nil.
func (q *Queue[K, T]) Add(key K, task Task[T]) {
	if task == nil {
		panic("await: Queue.Add: the task is nil")
	}
	q.queue.Add(key, task)
}

// Len returns the number of tasks that were added and whose results have not
// been yielded: those that wait, those that run, and those that have finished.
func (q *Queue[K, T]) Len() int { return q.queue.Len() }

// AsCompleted runs the tasks of the queue and yields their keys and results, in
// the order in which they finish. Tasks start in the order in which they were
// added. Limits, buffers, panics and the end of the loop are as with
// [AsCompletedSeq].
//
// The loop ends when Len is 0: every task added so far has been yielded, and
// the body has added no more. The loop does not wait for other goroutines to
// add; a task that is added later stays in the queue. For work that keeps
// coming, use [AsCompletedSeq] with a sequence that reads from a channel.
//
// Every Add yields exactly one result, over however many loops. If a loop is
// left, or ctx ends, tasks that have not started remain in the queue. Results
// of tasks that had started and were not yielded come first in the next loop;
// until they are read, they count toward its [Limit] and [Buffer]. A task that
// was canceled by the end of its loop comes with the error it returned; add the
// task again to run it again. There are two exceptions. A task whose panic was
// raised yields nothing more. And with [Detach], started tasks that a loop
// leaves behind count as yielded.
//
// Only one loop may range over a queue at a time; the range statement of a
// second one panics. AsCompleted panics at once if ctx or an option is nil.
func (q *Queue[K, T]) AsCompleted(ctx context.Context, opts ...Option) iter.Seq2[K, Result[T]] {
	opts = checkOptions[T](ctx, opts)
	return func(yield func(K, Result[T]) bool) {
		run := crew.OfQueue(ctx, settings(opts), &q.queue)
		if run == nil {
			panic("await: Queue.AsCompleted: another loop ranges over the queue")
		}
		loop(run, yield)
	}
}
