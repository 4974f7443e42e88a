package await

import (
	"fmt"
	"reflect"

	"github.com/ascompleted/await/internal/crew"
)

// Option changes how a call runs its tasks. If one kind is given more than
// once, the last counts.
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

// Limit lets at most n tasks of this call run at once; while there are n
// tasks to run, exactly n run, and they are taken up in input order.
//
// Default: no limit, every task runs at once. Limit panics if n < 1.
func Limit(n int) Option {
	if n < 1 {
		panic(fmt.Sprintf("await: Limit(%d): the limit must be at least 1", n))
	}
	return limit(n)
}

// Buffer lets at most n finished results wait for the loop. A task that
// finishes when the buffer is full keeps its place under [Limit] until there
// is room. So a loop that has stopped reading sees at most limit + n tasks
// started and not yet yielded. Without a Limit, [Within] a limiter for l tasks
// counts as the limit; without either, every task starts at once, and Buffer
// changes nothing. [Gather] and [Settle], which nobody reads before the end,
// do not use it.
//
// Default: for a list, as many as there are tasks, so that a slow loop never
// holds tasks back; for a sequence or a [Queue], the same number as the limit.
// Buffer panics if n < 0.
func Buffer(n int) Option {
	if n < 0 {
		panic(fmt.Sprintf("await: Buffer(%d): the buffer must not be negative", n))
	}
	return buffer(n)
}

// Within lets the tasks of this call count against l too, which other calls
// share. A task starts when it has a place in l, and gives it back when it
// ends, by return, panic or [runtime.Goexit]. Tasks that wait get their place
// in the order in which they asked, one task of each call at a time; the wait
// ends with the context.
//
// Calls may be nested. While a task that holds a place in l runs a call of its
// own Within(l), it lends its place to that call's tasks. So that call always
// makes progress, even with NewLimiter(1) and at any depth, and no more than n
// of the innermost tasks run at once. The inner call must be given the context
// of the outer task, or one made from it: that is how it is known. Different
// limiters must be nested in one order, as mutexes must be locked in one.
//
// Default: no limiter. Within panics if l is nil.
func Within(l *Limiter) Option {
	if l == nil || l.limiter == nil {
		panic("await: Within: the limiter is nil, or not made by NewLimiter")
	}
	return within{l}
}

// A Limiter limits how many tasks run at once in all calls that share it by
// [Within]. It is safe for use by several goroutines at once.
type Limiter struct{ limiter *crew.Limiter }

// NewLimiter returns a Limiter for n tasks at once. It panics if n < 1.
func NewLimiter(n int) *Limiter {
	if n < 1 {
		panic(fmt.Sprintf("await: NewLimiter(%d): the limit must be at least 1", n))
	}
	return &Limiter{crew.NewLimiter(n)}
}

// Name names the call for those who look into the running program. In an
// execution trace ([runtime/trace]) every call is a task of that name, and
// each of its tasks a region of it. In goroutine and CPU profiles
// ([runtime/pprof]) the goroutines of the call carry the label await=name,
// and so does the tasks' context.
//
// Default: traces say "await", and profiles have no label.
func Name(s string) Option { return name(s) }

// Detach lets the call end before its tasks do: its end cancels the tasks
// that run, but does not wait for them. Their late results are dropped and
// their goroutines end by themselves. When the caller's context has ended and
// the loop asks for its next result, tasks that still run yield the context's
// cause at once, in the order in which they started. When a task panics, the
// call panics at once. A panic after the end crashes the program, as in any
// goroutine of its own: nobody is left to tell.
//
// It is meant for tasks that do not heed their context. Whatever such a task
// uses must stay valid until it returns, and that moment is not told. A
// [testing/synctest] bubble waits for such tasks too.
//
// Default: the end of a call waits for every task that runs.
func Detach() Option { return detach{} }

// Recover makes a task's panic the error of its result, a [*PanicError], and
// cancels nothing (but an error makes a [Gather] fail). A panic of a sequence,
// which belongs to no task, is raised all the same.
//
// Default: a panic cancels the other tasks and is raised again on the
// caller's goroutine.
func Recover() Option { return recoverAll{} }

// OnCancel has f called once in each run.
func OnCancel(f func()) Option {
	if f == nil {
		panic("await: OnCancel: the function is nil")
	}
	return onCancel(f)
}

// OnDiscard has f called with every value that does not reach the caller.
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
