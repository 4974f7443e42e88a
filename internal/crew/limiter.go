package crew

import (
	"context"
	"slices"
)

// Limiter has a number of permits that several crews share.
type Limiter struct {
	N       int // the number of permits
	permits *semaphore
}

// NewLimiter returns a limiter with n permits.
func NewLimiter(n int) *Limiter { return &Limiter{n, newSemaphore(n)} }

// acquire waits for a permit; outer is that of the task that asks, or nil. It
// returns nil if ctx ends first.
func (l *Limiter) acquire(ctx context.Context, outer *permit) *permit {
	if outer != nil {
		return outer.acquire(ctx)
	}
	if l.permits.Acquire(ctx, 1) != nil {
		return nil
	}
	return &permit{limiter: l}
}

// permitKey is the key of a task's permit in the task's context.
type permitKey struct{ limiter *Limiter }

// permit is what a running task holds. While the task waits for tasks of its
// own within the same limiter, it lends its permit to them: that is why nesting
// does not deadlock.
type permit struct {
	limiter *Limiter
	parent  *permit // that has lent this one; nil if it is the limiter's own

	mu       mutex // guards the rest; not held while waiting
	lent     bool
	released bool      // the task has ended
	waiters  []*waiter // for this permit or one of the limiter's own, in order
}

// waiter waits at the limiter, and takes a lent permit too.
type waiter struct {
	lent   bool // the permit was lent to it
	cancel context.CancelCauseFunc
}

// acquire waits for p to be lent, or for a permit of the limiter's own.
func (p *permit) acquire(ctx context.Context) *permit {
	p.mu.Lock()
	if p.released { // the task has ended and its permit is gone, but its context is still in use
		p.mu.Unlock()
		return p.limiter.acquire(ctx, p.parent)
	}
	if !p.lent {
		p.lent = true
		p.mu.Unlock()
		return &permit{limiter: p.limiter, parent: p}
	}
	either, cancel := withCancel(ctx)
	defer cancel(nil)
	w := &waiter{cancel: cancel}
	p.waiters = append(p.waiters, w)
	p.mu.Unlock()

	acquired := p.limiter.permits.Acquire(either, 1) == nil

	p.mu.Lock()
	lent := w.lent
	p.forget(w)
	p.mu.Unlock()
	switch {
	case acquired:
		if lent { // one too many
			p.reclaim()
		}
		return &permit{limiter: p.limiter}
	case lent:
		return &permit{limiter: p.limiter, parent: p}
	}
	return nil
}

// forget removes w from those that wait.
func (p *permit) forget(w *waiter) {
	i := slices.Index(p.waiters, w)
	p.waiters = slices.Delete(p.waiters, i, i+1) // keeps no pointer to w, and thus to its call
}

// release is the end of the task. If the permit is lent, which Detach makes
// possible, it goes back when the borrower releases it.
func (p *permit) release() {
	p.mu.Lock()
	p.released = true
	lent := p.lent
	p.mu.Unlock()
	if !lent {
		p.giveBack()
	}
}

// giveBack returns a permit to where it is from.
func (p *permit) giveBack() {
	if p.parent == nil {
		p.limiter.permits.Release(1)
		return
	}
	p.parent.reclaim()
}

// reclaim lends the permit on, or keeps it for its task.
func (p *permit) reclaim() {
	p.mu.Lock()
	if len(p.waiters) > 0 {
		w := p.waiters[0] // it removes itself; until then no one else can return this permit
		w.lent = true
		p.mu.Unlock()
		w.cancel(nil)
		return
	}
	p.lent = false
	released := p.released
	p.mu.Unlock()
	if released {
		p.giveBack()
	}
}
