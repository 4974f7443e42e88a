package crew

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"
)

// fault is a task's panic. Faults form a list, the latest first.
type fault struct {
	value any
	stack []byte
	err   error // the public form, and the cause that the siblings see
	older *fault
}

// caught is a fault with what a deferred function has recovered from a task
// that did not return. The value is nil after runtime.Goexit, and after
// panic(nil) in a program that asks for GODEBUG=panicnil=1.
func caught(value any) *fault { return &fault{value: value, stack: debug.Stack()} }

// panicked deals with the panic of the task in hand; the worker lives on.
func (c *Crew[K, T]) panicked(h *hand[K]) {
	f := h.fault
	h.busy = false
	defer h.turn.leave()
	if c.config.Recover {
		var zero T
		c.sink.Put(h.n, h.key, zero, c.config.Errors.Panic(f.value, f.stack))
		return
	}
	c.report(f)
}

// nobody ends the list of panics when the loop has left, to tell so.
var nobody fault

// report puts f at the head of the panics and cancels the other tasks. If the
// loop has left, which only Detach and a sequence that blocks make possible,
// it panics: the program crashes, as for a panic in any goroutine.
func (c *Crew[K, T]) report(f *fault) {
	f.err = c.config.Errors.Panic(f.value, f.stack)
	for {
		f.older = c.panics.Load()
		if f.older == &nobody {
			panic(f.err)
		}
		if c.panics.CompareAndSwap(f.older, f) {
			c.cancel(f.err)
			c.source.Shut()
			return
		}
	}
}

// raise panics with the first of the panics. Those that other tasks added
// while they were waited for are told of after its stack.
func (c *Crew[K, T]) raise(last *fault) {
	var all []*fault
	for f := last; f != nil; f = f.older {
		all = append(all, f)
	}
	slices.Reverse(all)
	first := all[0]
	if len(all) == 1 {
		panic(first.err)
	}
	stack := bytes.NewBuffer(slices.Clone(first.stack))
	for _, f := range all[1:] {
		fmt.Fprintf(stack, "\nanother task panicked: %v\n\n%s", f.value, f.stack)
	}
	panic(c.config.Errors.Panic(first.value, stack.Bytes()))
}

// exited deals with a task that called runtime.Goexit, which ends its
// goroutine: another one goes on in its place.
func (c *Crew[K, T]) exited(h *hand[K]) {
	if h.fault.value != nil { // a panic on the way out, which does not stop the exit
		c.panicked(h)
	} else {
		var zero T
		c.sink.Put(h.n, h.key, zero, c.config.Errors.Goexit)
		h.turn.leave()
	}
	c.launch(c.body)
}
