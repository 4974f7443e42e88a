package await

import (
	"fmt"

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
)

func (n limit) apply(c *crew.Config)    { c.Limit = int(n) }
func (n buffer) apply(c *crew.Config)   { c.Buffer = int(n) }
func (s name) apply(c *crew.Config)     { c.Name = string(s) }
func (detach) apply(c *crew.Config)     { c.Detach = true }
func (recoverAll) apply(c *crew.Config) { c.Recover = true }

// Limit lets at most n tasks of this call run at once; while there are n
// tasks to run, exactly n run, and they start in input order.
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
// started and not yet yielded. Without a Limit every task starts at once, and
// Buffer changes nothing. [Gather] and [Settle], which nobody reads before the
// end, do not use it.
//
// Default: as many as there are tasks, so that a slow loop never holds tasks
// back. Buffer panics if n < 0.
func Buffer(n int) Option {
	if n < 0 {
		panic(fmt.Sprintf("await: Buffer(%d): the buffer must not be negative", n))
	}
	return buffer(n)
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
// their goroutines end by themselves. When the caller's context ends, a task
// that runs yields the context's cause at once. When a task panics, the call
// panics at once. A panic after the end crashes the program, as in any
// goroutine of its own: nobody is left to tell.
//
// It is meant for tasks that do not heed their context. Whatever such a task
// uses must stay valid until it returns, and that moment is not told.
//
// Default: the end of a call waits for every task that runs.
func Detach() Option { return detach{} }

// Recover makes a task's panic the error of its result, a [*PanicError], and
// cancels nothing.
//
// Default: a panic cancels the other tasks and is raised again on the
// caller's goroutine.
func Recover() Option { return recoverAll{} }

// defaults is the configuration of a call without options.
var defaults = crew.Config{Limit: crew.Unlimited, Buffer: crew.Unlimited, Errors: &crewErrors}

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
