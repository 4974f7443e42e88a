package await

import (
	"context"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

// InOrder yields the index and the result of every task in input order, each
// as soon as it and all before it are there. The tasks run at the same time,
// as with [AsCompleted], of which everything else said holds too.
//
// Results that finish before their turn wait; with [Limit] l and [Buffer] b at
// most l + b tasks are started and not yet yielded, whatever the first of them
// does. When ctx ends, the tasks that have begun still come with what they
// return; those after them have an error that matches [ErrNotStarted].
//
// InOrder panics at once if ctx, a task or an option is nil.
func InOrder[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) { inOrder(ctx, tasks, opts, yield) }
}

// inOrder is the loop of InOrder.
func inOrder[T any](ctx context.Context, tasks []Task[T], opts []Option, yield func(int, Result[T]) bool) {
	r := newRun(ctx, tasks, opts)
	defer r.Stop()
	r.Start()
	if reorder(&r.Stream, func(item crew.Item[struct{}, T]) bool {
		return yield(item.N, Result[T]{item.Value, item.Err})
	}) {
		r.unstarted(yield)
	}
}

// InOrderSeq is [InOrder] for a sequence of tasks, as [AsCompletedSeq] is
// AsCompleted for one. With [Limit] l and [Buffer] b at most l + b tasks are
// started and not yet yielded, whatever the first of them does; and while
// there are fewer, l run.
//
// InOrderSeq panics at once if ctx, the sequence or an option is nil.
func InOrderSeq[K, T any](ctx context.Context, tasks iter.Seq2[K, Task[T]], opts ...Option) iter.Seq2[K, Result[T]] {
	checkSeq(ctx, tasks, opts)
	return func(yield func(K, Result[T]) bool) {
		r := newSeqRun(ctx, tasks, opts)
		defer r.Stop()
		unwatch := context.AfterFunc(ctx, r.source.Shut) // a source that blocks does not see the context
		defer unwatch()
		r.Start()
		reorder(&r.Stream, func(item crew.Item[K, T]) bool {
			return yield(item.Key, Result[T]{item.Value, item.Err})
		})
	}
}

// reorder yields the results of the stream in the order of their numbers. It
// reports whether all were yielded.
func reorder[K, T any](stream *crew.Stream[K, T], yield func(crew.Item[K, T]) bool) bool {
	type slot struct {
		item crew.Item[K, T]
		full bool
	}
	head := 0               // the number of the result to yield next
	ring := make([]slot, 8) // of the results from head on; its length is a power of two
	at := func(n int) *slot { return &ring[n&(len(ring)-1)] }
	next := func() bool { // a function, so that nothing keeps the result when the loop has had it
		item, ok := stream.Next()
		if !ok {
			return false
		}
		for item.N-head >= len(ring) {
			old := ring
			ring = make([]slot, 2*len(old))
			for i := range old {
				*at(head + i) = old[(head+i)&(len(old)-1)]
			}
		}
		*at(item.N) = slot{item, true}
		return true
	}
	flush := func() bool { // yields what is there from head on
		for at(head).full && !stream.Panicked() {
			item := at(head).item
			*at(head) = slot{} // the loop has the result, or nobody
			head++
			stream.Took()
			if !yield(item) {
				return false
			}
		}
		return true
	}
	more := true
	for more && next() {
		more = flush()
	}
	for range ring {
		head++ // with Detach, a task that a sequence offered too late leaves a gap
		more = more && flush()
	}
	return more
}
