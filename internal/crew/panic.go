package crew

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// recovered is a panic, or a runtime.Goexit, that a deferred function has
// found. The value is nil after runtime.Goexit, and after panic(nil) in a
// program that asks for GODEBUG=panicnil=1.
type recovered struct {
	of    Origin
	key   any // of the task
	value any
	stack []byte
}

// err is the panic in its public form.
func (r *recovered) err(errors *Errors) error {
	return errors.Panic(r.of, r.key, r.value, r.stack)
}

// panics are those that a call raises.
type panics struct {
	first *recovered
	err   error        // the first in its public form, and the cause of the tasks' context
	more  []*recovered // after the first, in the order they came
	count int          // of those after the first
}

// mostPanics is how many panics beside the first are raised in full: a thousand
// tasks that panic alike would make a text of a megabyte.
const mostPanics = 10

// add adds a panic.
func (p *panics) add(r *recovered) {
	if p.count++; p.count <= mostPanics {
		p.more = append(p.more, r)
	}
}

// all is the error that the call panics with: the first panic, and the others
// behind its stack.
func (p *panics) all(errors *Errors) error {
	if p.count == 0 {
		return p.err
	}
	stack := bytes.NewBuffer(bytes.Clone(p.first.stack))
	for _, r := range p.more {
		fmt.Fprintf(stack, "\nalso %s", strings.TrimPrefix(r.err(errors).Error(), "await: "))
	}
	if left := p.count - len(p.more); left > 0 {
		fmt.Fprintf(stack, "\nfurther panics: %d\n", left)
	}
	first := *p.first
	first.stack = stack.Bytes()
	return first.err(errors)
}

// report stops the run because of a panic, which Stop will raise. If the call
// has returned, which only Detach makes possible, it panics: the program
// crashes, as for a panic in any goroutine.
func (c *Crew[K, T]) report(r *recovered) {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		if r.of == OfSequence && r.value == any(c.config.Errors.Goexit) { // it has ended its goroutine, and nothing else
			return
		}
		panic(r.err(c.config.Errors))
	}
	if c.panics == nil {
		c.panics = &panics{first: r, err: r.err(c.config.Errors)}
		c.panicked.Store(true)
	} else {
		c.panics.add(r)
	}
	err := c.panics.err
	c.stopped = true
	// Nobody is woken here: the loop and the feeder learn of it when the task or
	// the sequence has ended, or, with Detach, from contextEnded.
	c.mu.Unlock()
	c.cancel(err)
}

// callAll calls functions of the user's in their order, and keeps the first of
// their panics. If one of them calls runtime.Goexit, the rest is called before
// the goroutine ends.
func (c *Crew[K, T]) callAll(of Origin, fs []func()) {
	for _, f := range slices.Backward(fs) {
		defer c.guard(of, f) //nolint:gocritic,revive // deferred calls go on after a runtime.Goexit
	}
}

func (c *Crew[K, T]) guard(of Origin, f func()) {
	defer func() {
		if v := recover(); v != nil && c.late == nil {
			c.late = &recovered{of: of, value: v, stack: debug.Stack()}
		}
	}()
	f()
}
