//go:build explore

package explorer

import (
	"context"
	"slices"
)

// Semaphore is a semaphore.Weighted of which one is taken at a time: first
// come, first served, and of an end of the context and a place that come at
// once, the end counts.
type Semaphore struct {
	object  Object
	free    int
	waiting []*bool // whether each has got its place
}

// NewSemaphore returns a semaphore with n places.
func NewSemaphore(n int) *Semaphore { return &Semaphore{free: n} }

// Acquire takes a place, or returns the error of c if that ends first.
func (s *Semaphore) Acquire(c context.Context, n int64) error {
	if n != 1 {
		panic("explorer: a semaphore is taken by one")
	}
	point("acquire", &s.object, true)
	if Ended(c) {
		return c.Err()
	}
	if s.free > 0 && len(s.waiting) == 0 {
		s.free--
		return nil
	}
	place := new(bool)
	s.waiting = append(s.waiting, place)
	Until("acquired", &s.object, func() bool { return *place || IsDone(c) })
	if !Ended(c) {
		return nil
	}
	if *place {
		s.free++
	} else {
		i := slices.Index(s.waiting, place)
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	s.serve()
	return c.Err()
}

// Release gives n places back.
func (s *Semaphore) Release(n int64) {
	point("release", &s.object, true)
	s.free += int(n)
	s.serve()
}

func (s *Semaphore) serve() {
	for s.free > 0 && len(s.waiting) > 0 {
		s.free--
		*s.waiting[0] = true
		s.waiting = s.waiting[1:]
	}
}
