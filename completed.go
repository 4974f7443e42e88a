// Package await runs Go functions concurrently. Their results arrive in a range
// loop, in finish order or in input order, or all at once in a slice. The
// package is to Go what asyncio.as_completed and asyncio.gather are to Python.
//
//	for i, r := range await.AsCompleted(ctx, await.Tasks(urls, fetch), await.Limit(8)) {
//		if r.Err != nil {
//			log.Printf("%s: %v", urls[i], r.Err)
//			continue
//		}
//		process(r.Value) // runs as soon as this page is here, while others are still loading
//	}
//
// # Functions
//
// A [Task] is a function that takes a context and returns a value and an error.
// Tasks come from a slice, from an iterator that is pulled lazily, or from a
// [Queue] to which tasks can be added while it runs. The functions differ in
// where tasks come from and in how results are returned:
//
//   - [AsCompleted], [AsCompletedSeq], [Queue.AsCompleted]: each result to a
//     loop, in the order in which the tasks finish
//   - [InOrder], [InOrderSeq]: each result to a loop, in input order, as early
//     as that allows
//   - [Gather]: all values, or the first error
//   - [Settle]: every outcome, value or error
//   - [First]: the first success
//   - [Gather2], [Gather3]: like Gather, for values of different types
//
// [Tasks], [Times], [TaskSeq] and [TaskSeq2] make tasks from inputs and one
// function. [Option] values such as [Limit] change how a call runs its tasks.
//
// Without a limit, no task waits for another: all tasks of a list run at once,
// and 20,000 tasks that each open a file need 20,000 file descriptors. See
// [Limit]. A goroutine that has finished one task may run another, so a task
// must leave its goroutine as it found it: no [runtime.LockOSThread] without
// its unlock, no profiler labels left behind.
//
// # Leaving the loop
//
// The body of the loop runs on the caller's goroutine, one result at a time,
// so it needs no lock.
//
// The loop ends when all tasks are done, or earlier: by break, return, goto, a
// panic or [runtime.Goexit] in the body, or the stop function of [iter.Pull2].
// Then the tasks' context is canceled and no further task starts. (A task that
// was about to start may still do so, with a context that has ended.) Control
// leaves the loop only after every running task has returned, and after a
// sequence of tasks has finished its current step, the code between two calls
// of yield, and its deferred calls. So nothing of the call outlives the loop,
// and there is nothing to close. Results that have not been read are dropped;
// [OnDiscard] gets their values.
//
// A task that ignores its context delays the end; see [Detach]. [OnCancel] can
// wake a task that waits for something other than its context.
//
// A value that is tied to its task's context, such as the Body of a
// [net/http.Response], or a [database/sql.Rows], cannot be used after the loop,
// nor after [Gather], [Settle] or [First] has returned it. Read such a value in
// the task, or in the body of the loop.
//
// # Cancellation
//
// Every task gets a context that is a child of the caller's. When the caller's
// context ends, no further task starts. Running tasks are waited for, and their
// results are delivered, as are those of tasks that finished earlier. Each task
// of a list that did not start gets an error that matches [ErrNotStarted],
// context.Cause(ctx) and ctx.Err() under [errors.Is]. If a loop over a sequence
// is cut short, its last result has such an error too; see [AsCompletedSeq].
// Tasks of a [Queue] that have not started remain in the queue, and [Queue.Len]
// counts them.
//
// For a list or a sequence, ErrNotStarted tells whether the loop was cut short.
// ctx.Err() does not, because ctx can end while the last tasks run.
//
//	cut := false
//	for input, r := range results {
//		cut = cut || errors.Is(r.Err, await.ErrNotStarted)
//		...
//	}
//
// [context.Cause] of a task's context tells why that context ended:
// [ErrStopped] when the loop or the call has ended, the [*TaskError] that made
// a [Gather] fail, the [*PanicError] of another task or of the sequence, or the
// cause of the caller's context. Tasks should return context.Cause(ctx) rather
// than ctx.Err().
//
// To start no more tasks but finish those that run, let each task work with
// [context.WithoutCancel] of its context.
//
// # Panics
//
// A task's panic is never lost. The context of the other tasks is canceled at
// once, with a [*PanicError] as its cause, and no further result is delivered.
// When the running tasks have returned, the call panics with that *PanicError,
// which carries the stack of the task, on the caller's goroutine. The same
// happens if the loop was left just before the panic. With [Recover] a panic is
// an error like any other.
//
// If there are several panics, the call raises the first one of a task or of
// the sequence. If there is none of these, it raises that of the loop's body,
// else the first one of a function given to [OnCancel] or [OnDiscard].
//
// This differs from errgroup, where a task's panic crashes the program:
// golang.org/x/sync v0.14.0 raised the panic in Wait (golang/go#53757), and
// v0.16.0 reverted that, because the panic came late, without its stack, and
// not at all in a program that hung before Wait. Here the caller is already
// waiting, the panic keeps its stack, and the other tasks are canceled.
//
// A task that calls [runtime.Goexit], as a test's t.FailNow does, has the error
// [ErrGoexit]. The call does not hang, and the slot of the task is released.
//
// # Cost
//
// A call on a list without options allocates five or six times, whatever the
// number of tasks, plus memory for the results. A task that returns at once
// costs about as much as a send and a receive on a channel. A task that blocks
// costs a goroutine. Results wait in memory until the loop reads them or ends.
//
// Recipes for retries, timeouts, rate limits, progress bars, traces and more
// are in internal/recipes of the repository.
package await

import (
	"context"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

// A Result is what one task returned. Value is kept also when Err is not nil.
//
// If the task did not return, Value is zero and Err says why: it matches
// [ErrNotStarted] or [ErrGoexit], is a [*PanicError] (with [Recover]), or
// matches the cause of the caller's context and its Err (with [Detach]).
type Result[T any] struct {
	Value T
	Err   error
}

// AsCompleted yields the index and the result of every task, in the order in
// which the tasks finish, each as soon as it is available. The index is that of
// the task in the slice, not a counter.
//
// Calling AsCompleted starts nothing; the range statement does, or the first
// call of the next function of [iter.Pull2]. Ranging again runs the tasks
// again, and several goroutines may range over the same value at once; each
// runs the tasks for itself. Do not modify the slice while a loop over it runs.
// A task that occurs twice in the slice runs twice. An empty slice yields
// nothing. Options are read when AsCompleted is called, not when the range
// statement starts.
//
// The loop blocks until the next task has finished. A slow loop does not delay
// tasks: results wait in a buffer with room for all of them, unless a limit and
// [Buffer] say less. A failed task is a result like any other, and the loop
// goes on. A task's return happens before the body receives its result.
//
// Leaving the loop cancels the running tasks and waits for them. When ctx ends,
// the results of tasks that have started come first; then, in input order, the
// others, with [ErrNotStarted]. A task's panic ends the loop and is raised
// again; see "Panics" in the package documentation.
//
// AsCompleted panics at once if ctx, a task or an option is nil.
func AsCompleted[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	opts = check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) {
		loop(crew.OfList(ctx, settings(opts), tasks, false), yield)
	}
}

// InOrder yields the index and the result of every task in input order, each
// as soon as it and all before it are available. Otherwise it is like
// [AsCompleted]: the tasks run concurrently, and they finish in any order.
//
// A result that is available before its turn waits. [Limit] and [Buffer] bound
// how many tasks are started and not yet yielded, even if the first of them is
// slow.
//
// InOrder panics at once if ctx, a task or an option is nil.
func InOrder[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	opts = check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) {
		loop(crew.OfList(ctx, settings(opts), tasks, true), yield)
	}
}

// AsCompletedSeq is [AsCompleted] for a sequence of tasks, each with a key that
// comes back with its result. [TaskSeq] pairs inputs with tasks, [slices.All]
// pairs the tasks of a list with their indexes, and [maps.All] those of a map
// with their names. The sequence may be endless: with a limit, the call takes
// constant memory.
//
// One goroutine of the call ranges over the sequence while the body of the loop
// runs, so data that both use needs a lock. The next task is pulled only when
// there is a free slot for it. With a [Limit], the sequence also waits for the
// loop if as many tasks are started and not yet yielded as Limit and [Buffer]
// allow. With [Within], one more task may be pulled; that task waits for its
// slot. Without a limit, nothing holds the sequence back.
//
// When the loop has ended, nothing of the sequence runs, and what it deferred
// has run: the scanner, the rows or the map behind it are the caller's again.
// So the end waits for a step of the sequence as it does for a task. If the
// sequence can block, as on a channel, let it watch a context that [OnCancel]
// cancels; or use [Detach], which does not wait.
//
// When ctx ends, running tasks are waited for, and so is the current step of
// the sequence. Every task that the sequence has yielded has one result; tasks
// that have not started come last, with [ErrNotStarted]. If all have started
// and the sequence has not ended, one more task is pulled. That task is not
// started; its result, with ErrNotStarted, marks the cut. If the sequence
// blocks, the loop waits for that task. So the error of the last result of a
// loop that ctx has cut short matches ErrNotStarted.
//
// There are two exceptions. With Detach, the loop does not wait, pulls no more
// tasks, and drops a task that the sequence yields later. And a sequence that
// ends by itself when ctx ends looks complete. Such a sequence should yield one
// last task, whose result is then ErrNotStarted; the input of a [TaskSeq2] can
// yield ctx.Err().
//
// A panic in the sequence is raised again like a task's panic. A nil task
// counts as a panic in the sequence. So does [runtime.Goexit] in the sequence,
// as a [*PanicError] with the Value [ErrGoexit].
//
// AsCompletedSeq panics at once if ctx, the sequence or an option is nil.
func AsCompletedSeq[K, T any](ctx context.Context, tasks iter.Seq2[K, Task[T]], opts ...Option) iter.Seq2[K, Result[T]] {
	checkSeq(tasks)
	opts = checkOptions[T](ctx, opts)
	return func(yield func(K, Result[T]) bool) {
		loop(crew.OfSeq(ctx, settings(opts), tasks, false), yield)
	}
}

// InOrderSeq is [InOrder] for a sequence of tasks. InOrderSeq treats the
// sequence as [AsCompletedSeq] does. [Limit] and [Buffer] bound how many tasks
// are started and not yet yielded, even if the first of them is slow.
//
// InOrderSeq panics at once if ctx, the sequence or an option is nil.
func InOrderSeq[K, T any](ctx context.Context, tasks iter.Seq2[K, Task[T]], opts ...Option) iter.Seq2[K, Result[T]] {
	checkSeq(tasks)
	opts = checkOptions[T](ctx, opts)
	return func(yield func(K, Result[T]) bool) {
		loop(crew.OfSeq(ctx, settings(opts), tasks, true), yield)
	}
}

// loop is the loop over the results of a run.
func loop[K, T any](run crew.Run[K, T], yield func(K, Result[T]) bool) {
	defer run.Stop()
	run.Start()
	for {
		item, ok := run.Next()
		if !ok || !yield(item.Key, Result[T]{item.Value, item.Err}) {
			break
		}
	}
}
