package await

import (
	"fmt"
	"reflect"

	"github.com/ascompleted/await/internal/crew"
)

// Option changes how a call runs its tasks. If an option is repeated, the last
// one applies. [OnCancel] and [OnDiscard] accumulate.
type Option interface {
	apply(*crew.Config)
}

type (
	limit      int
	buffer     int
	name       string
	detach     struct{}
	recoverAll struct{}
	within     struct{ limiter *Limiter }
	onCancel   func()
)

func (n limit) apply(c *crew.Config)    { c.Limit = int(n) }
func (n buffer) apply(c *crew.Config)   { c.Buffer = int(n) }
func (s name) apply(c *crew.Config)     { c.Name = string(s) }
func (detach) apply(c *crew.Config)     { c.Detach = true }
func (recoverAll) apply(c *crew.Config) { c.Recover = true }
func (w within) apply(c *crew.Config)   { c.Limiter = w.limiter.limiter }
func (f onCancel) apply(c *crew.Config) { c.OnCancel = append(c.OnCancel, f) }

// onDiscard is the option for tasks that return a T; discarder is one for any
// type.
type (
	onDiscard[T any] func(T)
	discarder        interface{ value() reflect.Type }
)

func (f onDiscard[T]) apply(c *crew.Config) { c.OnDiscard = append(c.OnDiscard, (func(T))(f)) }
func (onDiscard[T]) value() reflect.Type    { return reflect.TypeFor[T]() }

// Limit lets at most n tasks of the call run at once. While there are n tasks
// to run, and [Buffer] has room, exactly n run. Tasks start in input order.
//
// Default: no limit; all tasks run at once. Limit panics if n < 1; to run
// without a limit, leave it out.
func Limit(n int) Option {
	if n < 1 {
		panic(fmt.Sprintf("await: Limit(%d): the limit must be at least 1", n))
	}
	return limit(n)
}

// Buffer lets tasks run ahead of the loop by n results: with Limit(m), at most
// m + n tasks are started and not yet yielded. As long as that leaves room, m
// tasks run. A result counts as yielded when the body of the loop is entered.
// Without a [Limit], a limiter for m tasks, given to [Within], counts as
// Limit(m). Without either, all tasks start at once, and Buffer has no effect.
// [Gather] and [Settle] ignore Buffer.
//
// Default: for a list, the number of tasks, so that a slow loop never delays
// them; for a sequence or a [Queue], the limit. Buffer panics if n < 0.
func Buffer(n int) Option {
	if n < 0 {
		panic(fmt.Sprintf("await: Buffer(%d): the buffer must not be negative", n))
	}
	return buffer(n)
}

// Within makes each task of the call also acquire a slot of l, which other
// calls may share. The task releases its slot when it ends, by return, panic or
// [runtime.Goexit]. Each call has at most one task that waits for a slot, and
// waiting tasks are served first come, first served. The wait ends if the
// tasks' context ends.
//
// Calls may be nested: a task that holds a slot of l may itself make a call
// with Within(l). The task lends its slot to the tasks of that call. So a
// nested call always makes progress, at any depth, even with NewLimiter(1).
// With NewLimiter(n), at most n of the innermost tasks run at once. The nested
// call must get the context of the outer task, or one derived from that. A
// nested call with any other context waits like an unrelated call, and can
// deadlock.
//
// Nest different limiters in a consistent order, as with mutexes, or they can
// deadlock.
//
// Default: no limiter. Within panics if l is nil or was not made by
// [NewLimiter].
func Within(l *Limiter) Option {
	if l == nil || l.limiter == nil {
		panic("await: Within: the limiter is nil, or not made by NewLimiter")
	}
	return within{l}
}

// A Limiter limits how many tasks run at once in all calls that share it by
// [Within]. Use [NewLimiter] to make a Limiter; the zero value cannot be used.
// A Limiter is safe for concurrent use.
type Limiter struct{ limiter *crew.Limiter }

// NewLimiter returns a Limiter for n tasks at once. It panics if n < 1.
func NewLimiter(n int) *Limiter {
	if n < 1 {
		panic(fmt.Sprintf("await: NewLimiter(%d): the limit must be at least 1", n))
	}
	return &Limiter{crew.NewLimiter(n)}
}

// Name sets the name of the call in execution traces and profiles. In a trace
// ([runtime/trace]) the call is a task of that name, and each of its tasks a
// region of it. In goroutine and CPU profiles ([runtime/pprof]) the goroutines
// of the call have the label await=name, and so has the tasks' context.
//
// Default: traces say "await", and the call adds no label to profiles.
func Name(s string) Option { return name(s) }

// Detach lets the call end before its tasks do. The end cancels the tasks'
// context, but waits neither for running tasks nor for the current step of a
// sequence. Late results are dropped ([OnDiscard] gets the values), and each
// goroutine exits when its task or step returns. A sequence that waits in yield
// for a free slot is ended and waited for, and so are its deferred calls.
//
// When the caller's context ends, tasks that still run yield at once, in the
// order in which they started, with an error that matches the context's cause
// and its Err. When a task panics, the call panics at once. A panic after the
// call has returned crashes the program, as in any goroutine.
//
// Detach is for tasks that ignore their context. Such a task may run after the
// call has returned, and there is no way to wait for it: whatever it uses must
// stay valid. In a [testing/synctest] bubble the tasks have to end before the
// test does.
//
// Default: the end of a call waits for every running task, and for the current
// step of a sequence.
func Detach() Option { return detach{} }

// Recover turns a task's panic into the error of its result, a [*PanicError].
// Other tasks continue, except in [Gather], which fails as for any error. A
// panic in the sequence, or in a function given to [OnCancel] or [OnDiscard],
// is still raised.
//
// Default: a panic cancels the other tasks and is raised again on the caller's
// goroutine.
func Recover() Option { return recoverAll{} }

// OnCancel calls f as soon as the tasks' context ends: the loop is left, a task
// panics, a [Gather] fails, the caller's context ends, or all is done, which is
// after the last iteration of the body. f is called exactly once for each range
// statement, or each call of Gather and the like, even if there are no tasks or
// ctx has already ended. f runs on a goroutine of the call. If OnCancel is
// given more than once, each f is called, in order.
//
// Use OnCancel to wake a task or a sequence that waits for something other than
// the tasks' context. For example, a sequence that reads from a channel does
// not delay the end of the loop if it selects on a context that f cancels:
//
//	reading, cancel := context.WithCancel(ctx)
//	results := await.AsCompletedSeq(ctx, receive(reading, jobs), await.Limit(8), await.OnCancel(cancel))
//
// If the sequence is the loop over a first stage, let that stage run in a
// context that f cancels. If the sequence reads from a connection, f can close
// the connection. If nothing can wake the reader, as with [os.Stdin], read in a
// goroutine of your own that sends on a channel.
//
// The end of the call waits for f, with [Detach] too, so f must not wait for
// the end. A panic in f is raised by the call; [runtime.Goexit] counts as
// return.
//
// Default: nothing is called. OnCancel panics if f is nil.
func OnCancel(f func()) Option {
	if f == nil {
		panic("await: OnCancel: the function is nil")
	}
	return onCancel(f)
}

// OnDiscard calls f exactly once with each value, even a zero one, that a task
// returned without an error and that does not reach the caller. Use OnDiscard
// for values that must be closed, such as connections and files. A value does
// not reach the caller if
//
//   - the task finished after the loop was left,
//   - or its result had not been read by then,
//   - or it came late with [Detach],
//   - or [Gather] or [Settle] panics.
//
// A result that was yielded, to [First] too, has reached the caller. So has a
// result in a slice that Gather or Settle returns, even if Gather also returns
// an error. f does not get a value that a task returned with an error. A
// [Queue] without Detach keeps its results for the next loop instead.
//
// f is called at the end of the call, on the caller's goroutine, one value at a
// time, in the order in which the tasks finished, after all tasks, the sequence
// and [OnCancel] have ended. Late values of a detached call are passed to f on
// the goroutines of their tasks, perhaps several at once. If f panics, it is
// still called with the other values; see "Panics" in the package documentation
// for which panic is raised. If OnDiscard is given more than once, each f is
// called, in order.
//
// Default: values that do not reach the caller are dropped. OnDiscard panics if
// f is nil. The call panics at once if its tasks do not return a T. [Gather2]
// and [Gather3] do not accept OnDiscard.
func OnDiscard[T any](f func(T)) Option {
	if f == nil {
		panic("await: OnDiscard: the function is nil")
	}
	return onDiscard[T](f)
}

// defaults is the configuration of a call without options.
var defaults = crew.Config{Limit: crew.Unlimited, Buffer: crew.Unset, Errors: &crewErrors}

// settings is what opts come to.
func settings(opts []Option) *crew.Config {
	if len(opts) == 0 {
		return &defaults
	}
	config := defaults
	for _, opt := range opts {
		opt.apply(&config)
	}
	return &config
}
