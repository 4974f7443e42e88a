package crew

import "math"

// Unlimited is the Limit of a call that sets none, and Unset its Buffer.
const (
	Unlimited = math.MaxInt
	Unset     = -1
)

// Config is what the options of a call come to.
type Config struct {
	Limit     int      // tasks that run at once
	Buffer    int      // finished results that wait for the loop
	Name      string   // of the call in traces; if not empty, in profiles too
	Detach    bool     // the end cancels running tasks but does not wait for them
	Recover   bool     // a task's panic is its error
	Limiter   *Limiter // shared with other calls; nil if none
	OnCancel  []func() // called when the tasks' context ends
	OnDiscard []any    // each a func(T), for values that do not reach the caller
	Errors    *Errors
}

// Errors has the error values that reach tasks and loop. They belong to the
// package that the user imports.
type Errors struct {
	Goexit  error // of a task that called runtime.Goexit
	Stopped error // the cause, when the loop has ended

	// Failed is the error of a call that ends at the first error.
	Failed func(index int, err error) error
	// Panic is what a panic is raised as. The key is nil unless it is a
	// task's.
	Panic func(of Origin, key, value any, stack []byte) error
	// NilTask is what a nil task out of a sequence panics with.
	NilTask func(key any) error
	// NotStarted is the error of a task that never ran, and LeftBehind that
	// of one that still runs when a detached call ends. The context has ended
	// with that cause, and its Err is err.
	NotStarted func(cause, err error) error
	LeftBehind func(cause, err error) error
}

// Origin says whose code has panicked.
type Origin int

// The user's code that the engine calls.
const (
	OfTask Origin = iota
	OfSequence
	OfOnCancel
	OfOnDiscard
)

// most is how many of n tasks may be taken and not yet read by the loop;
// Unlimited if there is room for all their results. n is Unlimited if it is not
// known.
func (c *Config) most(n int) int {
	limit, buffer := c.Limit, c.Buffer
	if limit == Unlimited && c.Limiter != nil {
		limit = c.Limiter.N
	}
	if buffer == Unset {
		buffer = n
		if n == Unlimited {
			buffer = limit
		}
	}
	if buffer < n-limit { // else limit + buffer is no bound, or more than Unlimited
		return limit + buffer
	}
	return Unlimited
}
