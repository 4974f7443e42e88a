// Package await runs tasks at the same time and gives their results to a
// range loop in the order in which they finish, or all together in input
// order. It is to Go what as_completed and gather are to Python's asyncio.
//
//	for i, r := range await.AsCompleted(ctx, tasks) {
//		// the result of tasks[i], the moment it is there
//	}
//
// # One model
//
// Tasks flow from a source, through a crew of goroutines, into a sink. The
// source is a list of tasks, a sequence that is pulled as the crew gets on,
// or a [Queue] that grows while it is worked off. The functions differ in the
// source and in how the results come back:
//
//   - [AsCompleted], [AsCompletedSeq], [Queue.AsCompleted]: each result to a
//     loop, in the order of finishing
//   - [InOrder], [InOrderSeq]: each result to a loop, in input order, as early
//     as that allows
//   - [Gather]: all values, or the first error
//   - [Settle]: every outcome, value or error
//   - [First]: the first success
//   - [Gather2], [Gather3]: like Gather, for values of different types
//
// Without [Limit] every task gets a goroutine at once, unless others are
// through so quickly that they can take it on: a goroutine may run several
// tasks one after another. So a task must leave its goroutine as it found it
// (no [runtime.LockOSThread] without its unlock, no profiler labels left
// behind). A task never waits for another one unless a limit says so.
//
// # The end is the end
//
// A call, or the loop over it, ends when all tasks are done, or earlier: by
// break, return, goto, a panic or [runtime.Goexit] in the loop's body, or the
// stop function of [iter.Pull2]. However it ends, the context of the tasks
// is cancelled, no further task starts, and control leaves only when every
// task that was running has returned. So no goroutine outlives the loop, a
// deferred Close after it is safe, and there is nothing to close or to drain.
// A task that does not heed its context holds up that end; [Detach] is for
// those.
//
// [context.Cause] of a task's context tells why it ended: [ErrStopped] when
// the loop has ended, the [*TaskError] that made a Gather fail, the
// [*PanicError] of another task, or the cause of the caller's context. A task
// that returns it in place of ctx.Err() makes its errors clearer.
//
// # The caller's context
//
// Every task gets a context that is a child of the caller's. When the
// caller's context ends, no further task starts. Tasks that run are waited
// for, and what they return counts, as does what had finished before. Tasks
// of a list that never ran have the error [ErrNotStarted]; a sequence is not
// pulled any further, and the rest of a [Queue] stays there.
//
// # Panics
//
// A task's panic is never lost. The context of the other tasks is cancelled
// at once, with the [*PanicError] as its cause, and once those that run have
// returned, the call panics with it on the caller's goroutine, ahead of
// results that still wait. It has the stack of the task. That differs from
// errgroup, where a task's panic crashes the program: golang.org/x/sync
// v0.14.0 raised it in Wait (golang/go#53757), and v0.16.0 took that back,
// because the panic came late, without its stack, and not at all in a program
// that hung before Wait. Here a caller is waiting by construction, the stack
// travels along, and the other tasks are told to end. With [Recover] a panic
// is an error like any other.
//
// A task that calls [runtime.Goexit], as a test's t.FailNow does, has the
// error [ErrGoexit].
//
// # Cost
//
// A call on a list allocates a fixed number of times, five or so without
// options, whatever the number of tasks, and memory for the results. A task
// that returns at once costs about as much as sending its result through a
// channel. Results that wait are kept until the loop takes them or ends.
package await

import (
	"context"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

// A Result is what one task returned: Value is kept also when Err is not nil.
//
// If the task did not return, Value is zero and Err says why: it matches
// [ErrNotStarted] or [ErrGoexit], is a [*PanicError] (with [Recover]), or is
// the cause of the caller's context (with [Detach]).
type Result[T any] struct {
	Value T
	Err   error
}

// AsCompleted yields the index and the result of every task, in the order in
// which the tasks finish, each as soon as it is there.
//
// The call itself starts nothing; the range does. Ranging again runs the
// tasks again, and several goroutines may range the same value at once, each
// a run of its own. Each run leaves the slice as it is, and so must the
// caller until it has ended. A task that stands in the list twice runs twice.
//
// The loop blocks until the next task has finished. A slow loop does not hold
// tasks back: results wait in a buffer with room for all of them, unless
// [Buffer] says less. A failed task is a result like any other, and the loop
// goes on. What a task wrote before it returned is visible to the loop when
// it gets the result.
//
// Leaving the loop cancels the tasks that run and waits for them. When ctx
// ends, the results of tasks that have begun come first; then, in input
// order, the others, with an error that matches [ErrNotStarted] and the cause
// of ctx. A task's panic ends the loop and is raised again, as the package
// comment says.
//
// AsCompleted panics at once if ctx, a task or an option is nil.
func AsCompleted[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	opts = check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) {
		loop(crew.OfList(ctx, settings(opts), tasks, false), yield)
	}
}

// InOrder yields the index and the result of every task in input order, each
// as soon as it and all before it are there. The tasks run concurrently,
// as with [AsCompleted], of which everything else said holds too.
//
// Results that finish before their turn wait; with [Limit] l and [Buffer] b at
// most l + b tasks are started and not yet yielded, whatever the first of them
// does. When ctx ends, the tasks that have begun still come with what they
// return; those after them have an error that matches [ErrNotStarted].
//
// InOrder panics at once if ctx, a task or an option is nil.
func InOrder[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	opts = check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) {
		loop(crew.OfList(ctx, settings(opts), tasks, true), yield)
	}
}

// AsCompletedSeq is [AsCompleted] for a sequence of tasks, each with a key that
// comes back with its result: [TaskSeq] pairs inputs with tasks, [slices.All]
// gives the tasks of a list their index, and [maps.All] tasks their name. The
// sequence may be endless. With [Limit] l, or [Within] a limiter for l tasks,
// the call takes constant memory: at most l tasks run, and at most [Buffer]
// results wait, by default l; then the sequence waits for the loop. Without a
// limit, nothing holds it back.
//
// The sequence is pulled only when a task can start (with [Within]: by one
// task more, which waits for its place), by one goroutine of the call at a time,
// and never after its end. When the loop ends, it is stopped, and what it has
// deferred has run when control leaves the loop. There is one exception: if
// the sequence is in the middle of its next step then, be it blocked for
// ever, it does not hold up the end; it is stopped when that step returns, and
// the task that it then offers is not started. So a sequence that may block,
// as on a channel, should heed a context that the caller cancels.
//
// When ctx ends, the sequence is not pulled any further, and the loop ends
// with the results of the tasks that have begun. A panic in the sequence, or
// a nil task, is raised again as a task's panic is; a panic after the loop's
// end crashes the program. If the sequence calls [runtime.Goexit], that is
// raised as a [*PanicError] too, with the Value [ErrGoexit].
//
// AsCompletedSeq panics at once if ctx, the sequence or an option is nil.
func AsCompletedSeq[K, T any](ctx context.Context, tasks iter.Seq2[K, Task[T]], opts ...Option) iter.Seq2[K, Result[T]] {
	opts = checkSeq(ctx, tasks, opts)
	return func(yield func(K, Result[T]) bool) {
		loop(crew.OfSeq(ctx, settings(opts), tasks, false), yield)
	}
}

// InOrderSeq is [InOrder] for a sequence of tasks, as [AsCompletedSeq] is
// AsCompleted for one. With [Limit] l and [Buffer] b at most l + b tasks are
// started and not yet yielded, whatever the first of them does; and while
// there are fewer, l run.
//
// InOrderSeq panics at once if ctx, the sequence or an option is nil.
func InOrderSeq[K, T any](ctx context.Context, tasks iter.Seq2[K, Task[T]], opts ...Option) iter.Seq2[K, Result[T]] {
	opts = checkSeq(ctx, tasks, opts)
	return func(yield func(K, Result[T]) bool) {
		loop(crew.OfSeq(ctx, settings(opts), tasks, true), yield)
	}
}

// loop is the loop over the results of a run.
func loop[K, T any](run *crew.Crew[K, T], yield func(K, Result[T]) bool) {
	defer run.Stop()
	run.Start()
	for {
		item, ok := run.Next()
		if !ok || !yield(item.Key, Result[T]{item.Value, item.Err}) {
			break
		}
	}
	run.Returned()
}
