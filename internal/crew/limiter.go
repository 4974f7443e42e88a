package crew

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Limiter is a number of places that several crews share.
type Limiter struct {
	N      int // the number of places
	places *semaphore.Weighted
}

// NewLimiter returns a limiter with n places.
func NewLimiter(n int) *Limiter { return &Limiter{n, semaphore.NewWeighted(int64(n))} }

// acquire waits for a place; outer is that of the task that asks, or nil. It
// returns nil if ctx ends first.
func (l *Limiter) acquire(ctx context.Context, outer *place) *place {
	if outer != nil {
		return outer.acquire(ctx)
	}
	if l.places.Acquire(ctx, 1) != nil {
		return nil
	}
	return &place{limiter: l}
}

// place is what a running task holds. While the task waits for tasks of its
// own, within the same limiter, it lends the place to them: that is why nesting
// does not deadlock.
type place struct {
	limiter *Limiter
	lender  *place // of a place that is lent; nil for one of the limiter's own

	mu      sync.Mutex // guards the rest; not held while waiting
	lent    bool
	left    bool      // the task has ended
	waiting []*waiter // for this place or one of the limiter's own, in order
}

// waiter is somebody who waits at the limiter, and will take a lent place too.
type waiter struct {
	lent   bool // the place was lent to this one
	cancel context.CancelFunc
}

// acquire waits for p to be lent, or for a place of the limiter's own.
func (p *place) acquire(ctx context.Context) *place {
	p.mu.Lock()
	if p.left { // the task has ended, and has given the place back; its context is still in use
		p.mu.Unlock()
		return p.limiter.acquire(ctx, p.lender)
	}
	if !p.lent {
		p.lent = true
		p.mu.Unlock()
		return &place{limiter: p.limiter, lender: p}
	}
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &waiter{cancel: cancel}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()

	got := p.limiter.places.Acquire(either, 1) == nil

	p.mu.Lock()
	lent := w.lent
	p.forget(w)
	p.mu.Unlock()
	switch {
	case got:
		if lent { // one too many
			p.takeBack()
		}
		return &place{limiter: p.limiter}
	case lent:
		return &place{limiter: p.limiter, lender: p}
	}
	return nil
}

// forget takes w out of those who wait.
func (p *place) forget(w *waiter) {
	i := slices.Index(p.waiting, w)
	p.waiting = slices.Delete(p.waiting, i, i+1) // keeps no pointer to w, and thus to its call
}

// leave ends the use of the place. The crew calls it when it has dealt with
// the task's result, not before: a failure must have cancelled the others
// when the next one gets the place.
func (t *Turn) leave() {
	if t != nil && t.place != nil {
		t.place.leave()
		t.place = nil
	}
}

// leave is the end of the task. If the place is lent, which Detach makes
// possible, it goes back with the borrower.
func (p *place) leave() {
	p.mu.Lock()
	p.left = true
	free := !p.lent
	p.mu.Unlock()
	if free {
		p.giveBack()
	}
}

// giveBack returns a place to where it is from.
func (p *place) giveBack() {
	if p.lender == nil {
		p.limiter.places.Release(1)
		return
	}
	p.lender.takeBack()
}

// takeBack lends the place on, or keeps it for its task.
func (p *place) takeBack() {
	p.mu.Lock()
	if len(p.waiting) > 0 {
		w := p.waiting[0] // until it forgets itself: it has the place, so nobody else gives that back
		w.lent = true
		w.cancel()
		p.mu.Unlock()
		return
	}
	p.lent = false
	left := p.left
	p.mu.Unlock()
	if left {
		p.giveBack()
	}
}

// placeKey is the key of a task's place in its context.
type placeKey struct{ limiter *Limiter }

// within is a source whose tasks run within a limiter. It stands between the
// crew and its source. One worker of the crew at a time waits for a place.
type within[K, T any] struct {
	Source[K, T]
	crew    *Crew[K, T]
	limiter *Limiter
	outer   *place // of the task that made the call; nil if none
	blocks  bool   // Claim of the source may block: then it comes first, so that no place is held meanwhile

	mu      sync.Mutex // guards waiting; not held while waiting
	waiting bool       // a worker is claiming
}

// Within is the source within the limiter of the configuration, if there is
// one. ctx is that of the call.
func Within[K, T any](ctx context.Context, crew *Crew[K, T], config *Config, source Source[K, T], blocks bool) Source[K, T] {
	if config.Limiter == nil {
		return source
	}
	return newWithin(ctx, crew, config, source, blocks)
}

func newWithin[K, T any](ctx context.Context, crew *Crew[K, T], config *Config, source Source[K, T], blocks bool) Source[K, T] {
	outer, _ := ctx.Value(placeKey{config.Limiter}).(*place)
	return &within[K, T]{Source: source, crew: crew, limiter: config.Limiter, outer: outer, blocks: blocks}
}

// More reports whether nobody is claiming, and there is something to claim.
func (w *within[K, T]) More(turn *Turn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.waiting && w.Source.More(turn)
}

// Claim claims a task and a place for it.
func (w *within[K, T]) Claim(turn *Turn) (n int, key K, task Task[T], ok bool) {
	if !w.begin(turn) {
		return n, key, nil, false
	}
	defer w.end()
	if w.blocks {
		if n, key, task, ok = w.Source.Claim(turn); !ok {
			return n, key, nil, false
		}
	}
	p := w.limiter.acquire(w.crew.ctx, w.outer)
	if p == nil {
		return n, key, nil, false
	}
	if w.crew.ctx.Err() != nil { // a lent place may have come since
		p.leave()
		return n, key, nil, false
	}
	if !w.blocks {
		if n, key, task, ok = w.Source.Claim(turn); !ok {
			p.leave()
			return n, key, nil, false
		}
	}
	turn.place = p
	return n, key, placed(task, p), true
}

// placed is a task that finds its place in its context.
func placed[T any](task Task[T], p *place) Task[T] {
	return func(ctx context.Context) (T, error) {
		return task(context.WithValue(ctx, placeKey{p.limiter}, p))
	}
}

// begin makes the calling worker the one that claims, or dismisses it.
func (w *within[K, T]) begin(turn *Turn) bool {
	w.mu.Lock()
	if w.waiting {
		last := w.crew.Dismiss()
		w.mu.Unlock()
		turn.dismissed = true
		if last {
			w.crew.Finish()
		}
		return false
	}
	w.waiting = w.Source.More(turn)
	ok := w.waiting
	w.mu.Unlock()
	return ok
}

// end lets the next worker claim.
func (w *within[K, T]) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
}
