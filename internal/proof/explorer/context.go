//go:build explore

package explorer

import (
	"context"
	"slices"
	"time"
)

// ctx is a context whose end is a step, and whose children end in steps of
// their own, one after the other, as they do in package context.
type ctx struct {
	object  Object
	context context.Context // has the values, the cause and Done; it ends in the same step
	cancel  context.CancelCauseFunc
	err     error
	settled bool // the children have ended too
	kids    []*ctx
	after   []*afterFunc
}

// afterFunc is a function that is called after the end of a context.
type afterFunc struct {
	f     func()
	seals int // calls of Seal before it
}

// start starts it in a thread.
func (a *afterFunc) start() {
	t := spawn(a.f, false)
	t.sealed = a.seals < x.seals
}

// self is the key of a context for itself.
type self struct{}

// known returns the explored context that c is, or to which it only adds
// values; or nil.
func known(c context.Context) *ctx {
	if p, ok := c.Value(self{}).(*ctx); ok && p.Done() == c.Done() {
		return p
	}
	return nil
}

func (c *ctx) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *ctx) Done() <-chan struct{}       { return c.context.Done() }

func (c *ctx) Value(key any) any {
	if key == (self{}) {
		return c
	}
	return c.context.Value(key)
}

// Err has a point until the context has ended; then it can change no more.
func (c *ctx) Err() error {
	if c.err == nil {
		point("err", &c.object, false)
	} else if !x.aborting {
		x.cur.touch(&c.object, false)
	}
	return c.err
}

// end ends the context and its children. When it returns, so they have, even
// if it is another thread that ends them.
func (c *ctx) end(err, cause error) {
	if c.settled {
		return
	}
	if x.aborting {
		return // from a deferred function
	}
	point("cancel", &c.object, true)
	if c.err != nil {
		if !c.settled {
			Until("canceled", &c.object, func() bool { return c.settled })
		}
		return
	}
	c.err = err
	c.cancel(cause)
	for _, a := range c.after {
		a.start()
	}
	for _, kid := range c.kids {
		kid.end(err, cause)
	}
	c.settled = true
	x.cur.touch(&c.object, true)
}

// WithCancel is context.WithCancelCause.
func WithCancel(parent context.Context) (context.Context, context.CancelCauseFunc) {
	c := new(ctx)
	c.context, c.cancel = context.WithCancelCause(context.WithoutCancel(parent))
	end := func(cause error) { c.end(context.Canceled, cause) }
	if p := known(parent); p != nil {
		point("derive", &p.object, true)
		if p.err != nil {
			c.err, c.settled = p.err, true
			c.cancel(context.Cause(p.context))
		} else {
			p.kids = append(p.kids, c)
		}
		return c, end
	}
	if parent.Done() != nil {
		c.follow(parent)
	}
	return c, end
}

// follow ends c after a context of a foreign type, as package context does: by
// a goroutine.
func (c *ctx) follow(parent context.Context) {
	if IsDone(parent) {
		c.end(parent.Err(), context.Cause(parent))
		return
	}
	Go(func() {
		Until("follow", &c.object, func() bool { return c.err != nil || IsDone(parent) })
		if c.err == nil {
			c.end(parent.Err(), context.Cause(parent))
		}
	})
}

// IsDone reports whether c has ended. It is for the condition of Until.
func IsDone(c context.Context) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// Ended reports whether c has ended, as part of the step that the caller is
// taking.
func Ended(c context.Context) bool {
	if p := known(c); p != nil {
		x.cur.touch(&p.object, false)
	}
	return IsDone(c)
}

// AwaitDone is a step that waits until c has ended.
func AwaitDone(c context.Context) {
	o := new(Object)
	if p := known(c); p != nil {
		o = &p.object
	}
	Until("done", o, func() bool { return IsDone(c) })
}

// AfterFunc is context.AfterFunc.
func AfterFunc(parent context.Context, f func()) (stop func() bool) {
	c := known(parent)
	if c == nil {
		if parent.Done() == nil {
			return func() bool { return true }
		}
		derived, end := WithCancel(parent)
		stop := AfterFunc(derived, f)
		return func() bool {
			stopped := stop()
			if stopped {
				end(nil)
			}
			return stopped
		}
	}
	point("after", &c.object, true)
	a := &afterFunc{f, x.seals}
	if c.err != nil {
		a.start()
		return func() bool { return false }
	}
	c.after = append(c.after, a)
	return func() bool {
		point("stop", &c.object, true)
		i := slices.Index(c.after, a)
		if i < 0 || c.err != nil {
			return false
		}
		c.after = slices.Delete(c.after, i, i+1)
		return true
	}
}
