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
func (r *run) report(p *recovered) {
	r.mu.Lock()
	if r.gone {
		r.mu.Unlock()
		if p.of == OfSequence && p.value == any(r.config.Errors.Goexit) { // it has ended its goroutine, and nothing else
			return
		}
		panic(p.err(r.config.Errors))
	}
	if r.panics == nil {
		r.panics = &panics{first: p, err: p.err(r.config.Errors)}
		r.panicked.Store(true)
	} else {
		r.panics.add(p)
	}
	err := r.panics.err
	// Nobody is woken here: the loop and the feeder learn of it when the task or
	// the sequence has ended (a list's loop when all workers have left), or, with
	// Detach, from contextEnded.
	r.mu.Unlock()
	r.cancel(err)
}

// callAll calls functions of the user's in their order, and keeps the first of
// their panics. If one of them calls runtime.Goexit, the rest is called before
// the goroutine ends.
func (r *run) callAll(of Origin, fs []func()) {
	for _, f := range slices.Backward(fs) {
		defer r.guard(of, f) //nolint:gocritic,revive // deferred calls go on after a runtime.Goexit
	}
}

func (r *run) guard(of Origin, f func()) {
	defer func() {
		if v := recover(); v != nil && r.late == nil {
			r.late = &recovered{of: of, value: v, stack: debug.Stack()}
		}
	}()
	f()
}

// raise raises what has panicked, but for the body of the loop.
func (r *run) raise() {
	switch {
	case r.panics != nil:
		if r.late != nil {
			r.panics.add(r.late)
		}
		panic(r.panics.all(r.config.Errors))
	case r.late != nil:
		panic(r.late.err(r.config.Errors))
	}
}

// bodyFirst raises v, the panic of the loop's body, if there is one, in place of a
// late one. Stop itself has to recover it, because it is what the loop defers.
func (r *run) bodyFirst(v any) {
	if v != nil {
		r.late = nil
		panic(v)
	}
}
